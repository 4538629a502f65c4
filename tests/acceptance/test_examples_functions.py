"""`postmill dev examples/functions`: one function of each kind, on the embedded Postgres, as its docs say."""

from __future__ import annotations

import ast
import asyncio
import json
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from websockets.asyncio.client import connect

from tests.serving import Serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.acceptance.conftest import Cli

FOLDER = Path(__file__).parents[2] / "examples" / "functions"
NAMES = sorted(["mailer", *(path.stem for path in FOLDER.glob("*.py"))])


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    """All of them, under `postmill dev`."""
    (tmp_path / "postmill.toml").write_text("[runtime]\nport = 0\n")
    with Serving(tmp_path, "dev", str(FOLDER)) as running:
        yield running


def curl_lines(name: str) -> list[str]:
    """The commands in a function's docstring."""
    text = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    told = ast.get_docstring(ast.parse(text)) or ""
    return [line for line in told.splitlines() if line.startswith("curl ")]


def run(line: str, serving: Serving) -> str:
    """What a line prints, with the address and the key it asks for."""
    line = line.replace("$URL", serving.functions).replace("$KEY", serving.keys.publishable)
    words = shlex.split(line)
    return subprocess.run([*words, "-sS"], check=True, capture_output=True, text=True, timeout=100).stdout


def test_every_example_does_what_it_says(serving: Serving, cli_without_database: Cli) -> None:
    for name in NAMES:
        serving.said(f"/functions/v1/{name} ")
    listed = cli_without_database("functions", "list", "--json").json
    assert [row["function"] for row in listed] == NAMES
    (line,) = curl_lines("hello")
    assert json.loads(run(line, serving)) == {"message": "Hello, Ada!"}
    adding, reading = curl_lines("notes")
    assert json.loads(run(adding, serving)) == {"number": 1}
    assert json.loads(run(reading, serving)) == {"text": "buy flour"}
    assert serving.client.post("notes", json={"text": ""}).status_code == 422
    (line,) = curl_lines("countdown")
    assert run(line.replace("from=5", "from=5&pause=0"), serving).count("event: count") == 5
    (line,) = curl_lines("signup")
    accepted = json.loads(run(line, serving))
    assert accepted["status"] == "accepted"
    serving.said("counted ada@example.com")
    serving.said("sent 'Welcome!' to ada@example.com")
    cli_without_database("send", "mail", '{"to": "nobody", "subject": "x"}')
    serving.said("message.dead")
    assert serving.stop() == 0


def test_the_curl_lines_it_prints_can_be_pasted(serving: Serving) -> None:
    """They ask `postmill keys show` for the key; this shell has no postmill on its path but ours."""
    line = serving.said("curl ").strip()
    paths = str(Path(__import__("sys").executable).parent)
    shown = subprocess.run(
        ["bash", "-c", f"{line} -sS -o /dev/null -w '%{{http_code}}'"],
        cwd=serving.project,
        env={"PATH": f"{paths}:/usr/bin:/bin"},
        check=True,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert shown.stdout == "200"


async def test_a_websocket_reaches_an_app(serving: Serving) -> None:
    at = f"{serving.functions}/notes/live".replace("http://", "ws://")
    async with connect(at, additional_headers={"apikey": serving.keys.anon}) as socket:
        await socket.send("over a socket")
        number = json.loads(await socket.recv())["number"]
    response = await asyncio.to_thread(serving.client.get, f"notes/{number}")
    assert response.json() == {"text": "over a socket"}

"""What the page about the API says, run as it stands there, against `postmill dashboard`."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.serving import Serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import psycopg

    Db = psycopg.Connection[dict[str, Any]]

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "use-the-api.md"
BY_CURL, _, GENERATED = PAGE.read_text(encoding="utf-8").partition("## With a client made")
BLOCKS = re.findall(r"```sh\n(.*?)```", BY_CURL, re.DOTALL)
KEY_BLOCK = BLOCKS[0]
USUAL = "http://127.0.0.1:54320"
"""The page's address, with the usual port; tests have one each."""
COMMANDS = f"""
    postmill() {{ "{sys.executable}" -m postmill.cli.main "$@"; }}
    pip() {{ [ "$1" = install ]; }}
"""
"""What the page's commands are here: its packages are installed with the tests' own."""
pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="make test-deps installs curl")


@pytest.fixture
def bash(tmp_path: Path, database_url: str, db: Db) -> Iterator[Callable[[str], str]]:
    """Runs a script of the page beside a dashboard, and returns what it has printed."""
    db.execute("select postmill.create_queue('mail'), postmill.send('mail', '{}', '1 hour')")
    (tmp_path / "postmill.toml").write_text(f"[db]\nurl = {database_url!r}\n[dashboard]\nport = 0\n")
    with Serving(tmp_path, "dashboard", environment={"POSTMILL_DASHBOARD": "on"}, listening=False) as process:
        address = re.search(r"http://[^/]+", process.said("Dashboard: "))
        assert address is not None

        def run(script: str) -> str:
            assert USUAL in script
            script = f"set -e\n{COMMANDS}\n{script.replace(USUAL, address[0])}"
            done = subprocess.run(
                ["bash", "-c", script],
                cwd=tmp_path,
                env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
                capture_output=True,
                text=True,
                check=False,
                timeout=100,
            )
            assert done.returncode == 0, done.stderr + done.stdout
            return done.stdout

        yield run


def documents(text: str) -> list[Any]:
    """JSON documents that stand behind one another."""
    found, rest = [], text.strip()
    while rest:
        document, end = json.JSONDecoder().raw_decode(rest)
        found.append(document)
        rest = rest[end:].strip()
    return found


def test_each_command_does_what_the_page_says(bash: Callable[[str], str], db: Db) -> None:
    parts = bash("\necho '#'\n".join(BLOCKS)).split("#\n")
    _key, looked, acted, refused = map(documents, parts)
    queues, overview, messages, message = looked
    assert [each["queue"] for each in queues["items"]] == ["mail"]
    assert [each["queue"] for each in overview["queues"]] == ["mail"]
    assert [each["msg_id"] for each in messages["items"]] == ["1"]
    assert message["state"] == "scheduled"
    sent, retried, paused, resumed = acted
    assert sent["msg_id"] == "2"
    assert "ready" in json.dumps(retried)
    assert (paused["paused"], resumed["paused"]) == (True, False)
    assert [each["status"] for each in refused] == [404, 401]
    done = db.execute("select viewer, action from postmill.audit order by audit_id").fetchall()
    assert {each["viewer"] for each in done} == {"deploy-bot"}
    assert [each["action"] for each in done][-2:] == ["queue.pause", "queue.resume"]


def test_the_client_that_the_page_makes_looks_acts_and_is_refused(
    bash: Callable[[str], str], tmp_path: Path, db: Db
) -> None:
    """The generator leaves out, with a warning, what it does not understand of the document."""
    (making,) = re.findall(r"```sh\n(.*?)```", GENERATED, re.DOTALL)
    (program,) = re.findall(r"```python\n(.*?)```", GENERATED, re.DOTALL)
    (tmp_path / "program.py").write_text(program)
    said = bash(f"{KEY_BLOCK}{making}echo '#'\npython program.py")
    made, _, printed = said.partition("#\n")
    assert "warning" not in made.lower(), made
    assert printed.splitlines() == ["['mail']", "[('1', 'ready')]", "queue-not-found"]
    assert db.execute("select vt <= clock_timestamp() as due from pgmq.q_mail").fetchall() == [{"due": True}]

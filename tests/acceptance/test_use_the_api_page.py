"""The commands of the page about the API, run as they stand there, against `postmill dashboard`."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.serving import Serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    Db = psycopg.Connection[dict[str, Any]]

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "use-the-api.md"
BLOCKS = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="make test-deps installs curl")


@pytest.fixture
def said(tmp_path: Path, database_url: str, db: Db) -> Iterator[list[list[Any]]]:
    """What the commands of each block have printed: JSON documents one after the other."""
    db.execute("select postmill.create_queue('mail'), postmill.send('mail', '{}', '1 hour')")
    (tmp_path / "postmill.toml").write_text(f"[db]\nurl = {database_url!r}\n[dashboard]\nport = 0\n")
    with Serving(tmp_path, "dashboard", environment={"POSTMILL_DASHBOARD": "on"}, listening=False) as process:
        address = re.search(r"http://[^/]+", process.said("Dashboard: "))
        assert address is not None
        script = "set -e\n" + "\necho '#'\n".join(BLOCKS)
        assert "http://127.0.0.1:54320" in script  # the usual port; tests have one each
        script = script.replace("http://127.0.0.1:54320", address[0])
        done = subprocess.run(
            ["bash", "-c", f'postmill() {{ "{sys.executable}" -m postmill.cli.main "$@"; }}\n{script}'],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
        assert done.returncode == 0, done.stderr + done.stdout
        yield [documents(part) for part in done.stdout.split("#\n")]


def documents(text: str) -> list[Any]:
    """JSON documents that stand behind one another."""
    found, rest = [], text.strip()
    while rest:
        document, end = json.JSONDecoder().raw_decode(rest)
        found.append(document)
        rest = rest[end:].strip()
    return found


def test_each_command_does_what_the_page_says(said: list[list[Any]], db: Db) -> None:
    _key, looked, acted, refused = said
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

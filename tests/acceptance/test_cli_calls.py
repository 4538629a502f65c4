"""Calls from the command line, and in the processes that make them."""

from __future__ import annotations

import importlib.util
import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from tests.serving import Serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import psycopg
    import pytest

    from tests.acceptance.conftest import Cli

    Database = psycopg.Connection[dict[str, Any]]

GIVE_UP_S = 60.0
FUNCTION = """
async def handler(request):
    return {"size": (await request.json())["size"] * 2}
"""


class Hook(BaseHTTPRequestHandler):
    """Answers with the header that the tests look for."""

    def do_GET(self) -> None:
        body = json.dumps({"key": self.headers.get("X-Key")}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@contextmanager
def hook() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/hook"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def until(db: Database, sql: str) -> dict[str, Any]:
    end = time.monotonic() + GIVE_UP_S
    while (found := db.execute(sql.encode()).fetchone()) is None:
        assert time.monotonic() < end, sql
        time.sleep(0.02)
    return found


def test_calls_are_made_by_calls_run_with_the_secrets_of_the_project(
    cli: Cli, db: Database, database_url: str, tmp_path: Path
) -> None:
    assert cli("secrets", "set", "KEY=s3cret").code == 0
    assert cli("secrets", "grant", "KEY", "--to", "postgres", "--json").code == 0
    environment = {"POSTMILL_DB_URL": database_url, "POSTMILL_CALL_ADDRESSES": "127.0.0.0/8"}
    with hook() as url, Serving(tmp_path, "calls", "run", environment=environment, listening=False) as making:
        making.said("calls.started")
        keyed = b'select net.http_get($1, headers => \'{"X-Key": "{{secret:KEY}}"}\') as id'
        call = db.execute(keyed, [url]).fetchone()
        assert call is not None
        answer = until(db, f"select * from net._http_response where id = {call['id']}")
        assert (answer["status_code"], json.loads(answer["content"])) == (200, {"key": "s3cret"})
        shown = cli("calls", "show", str(call["id"]), "--json").json
        assert (shown["state"], shown["status_code"]) == ("answered", 200)
        db.execute(b"select net.http_get('http://[::1]:1/')")
        until(db, "select from postmill.call_list where state = 'failed'")
        (failed,) = cli("calls", "list", "--state", "failed", "--json").json
        assert "not a public address" in failed["error"]
        assert making.stop() == 0
    assert cli("secrets", "revoke", "KEY", "--from", "postgres").code == 0
    assert db.execute(b"select * from postmill.secret_grants").fetchall() == []
    assert cli("calls", "show", "99").error_code == "not-found"


def test_serve_runs_queues_of_calls_of_its_own_functions(
    cli: Cli, db: Database, database_url: str, tmp_path: Path
) -> None:
    folder = tmp_path / "functions"
    folder.mkdir()
    (folder / "double.py").write_text(FUNCTION)
    made = cli("calls", "create-queue", "sizes", "--function", "double", "--workers", "2", "--json")
    assert made.json == {"queue": "sizes", "workers": 2}
    with Serving(tmp_path, "serve", "--port", "0", environment={"POSTMILL_DB_URL": database_url}):
        db.execute(b"select postmill.send('sizes', '{\"size\": 21}')")
        found = until(db, "select result from postmill.results where queue_name = 'sizes'")
    assert (found["result"]["status"], found["result"]["body"]) == (200, {"size": 42})


def test_dev_makes_calls_also_to_this_machine(db: Database, database_url: str, tmp_path: Path) -> None:
    environment = {"POSTMILL_DB_URL": database_url}
    with hook() as url, Serving(tmp_path, "dev", environment=environment, listening=False) as development:
        development.said("calls.started")
        db.execute(b"select net.http_get($1)", [url])
        assert until(db, "select status_code from net._http_response")["status_code"] == 200
        assert development.stop() == 0


def test_what_is_missing_is_said_with_what_to_install(
    cli: Cli, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    hidden = lambda name, package=None: None if name == "aiohttp" else found(name, package)  # noqa: E731
    monkeypatch.setattr("postmill.app.calling.find_spec", hidden)
    for command in (["calls", "run"], ["bench", "calls"]):
        answer = cli(*command)
        assert answer.error_code == "refused"
        assert "pip install 'postmill[calls]'" in answer.err


def test_a_call_queue_needs_one_target(cli: Cli) -> None:
    assert cli("calls", "create-queue", "jobs").code == 2
    assert cli("calls", "create-queue", "jobs", "--url", "https://x", "-H", "no header").code == 2

"""Commands that talk to the host of their project: the key goes to that host, and to no other program."""

from __future__ import annotations

import json
import shutil
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest

from postmill.auth import key_file
from postmill.cli import served
from tests.serving import Serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ONE = "async def handler(request): return 'one'\n"


class Stranger:
    """A program that has the port now. It answers everything, and keeps what it was sent."""

    def __init__(self, answer: Any = "{}", address: tuple[str, int] = ("127.0.0.1", 0)) -> None:
        self.received: list[dict[str, str]] = []
        stranger = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                stranger.received.append({"path": self.path, **dict(self.headers)})
                text = answer(self.path) if callable(answer) else answer
                self.send_response(200)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: Any) -> None:
                """Nothing."""

        self.server = HTTPServer(address, Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self._thread = threading.Thread(target=self.server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()


@pytest.fixture
def serving(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serving]:
    """A project with one function, which is served."""
    monkeypatch.setenv("POSTMILL_DB_URL", database_url)
    project = tmp_path / "shop"
    (project / "functions").mkdir(parents=True)
    (project / "functions" / "one.py").write_text(ONE)
    (project / "postmill.toml").write_text("[runtime]\nport = 0\n")
    with Serving(project, "serve", "--on-demand") as running:
        yield running


def test_the_host_proves_itself_and_is_asked(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy of the environment is told the key either."""
    stranger = Stranger()
    monkeypatch.setenv("http_proxy", stranger.url)
    monkeypatch.delenv("no_proxy", raising=False)
    try:
        (row,) = served.ask(serving.project, "GET", "functions") or []
        assert row["function"] == "one"
        assert (serving.project / ".postmill" / "served.json").stat().st_mode & 0o777 == 0o600
    finally:
        stranger.close()
    assert stranger.received == []


def test_whoever_has_the_port_now_is_sent_no_key(serving: Serving) -> None:
    """A killed host leaves its file behind, and another program may get its port."""
    serving.process.kill()
    serving.process.wait()
    address = urlsplit(serving.url)
    stranger = Stranger(address=("127.0.0.1", address.port or 0))
    try:
        assert served.ask(serving.project, "GET", "functions") is None
    finally:
        stranger.close()
    assert stranger.received
    assert serving.keys.secret not in json.dumps(stranger.received)


def test_a_program_that_passes_the_question_on_is_sent_no_key(serving: Serving) -> None:
    """The host's own answer is worth nothing at another address."""
    stranger = Stranger(lambda path: httpx.get(f"{serving.url}{path}").text)
    _change(serving.project, url=stranger.url)
    try:
        assert served.ask(serving.project, "GET", "functions") is None
    finally:
        stranger.close()
    assert "proof" in stranger.received[0]["path"]
    assert serving.keys.secret not in json.dumps(stranger.received)


def test_a_copied_project_does_not_speak_for_the_original(serving: Serving) -> None:
    """Its keys are the same and its file names the original's host: `functions stop` stopped that one's."""
    copy = serving.project.parent / "copy"
    shutil.copytree(serving.project, copy, ignore=shutil.ignore_patterns("control"))
    assert served.ask(copy, "GET", "functions") is None
    assert served.ask(serving.project, "GET", "functions")


@pytest.mark.parametrize("challenge", ["", "challenge=", "challenge=" + "g" * 64, "challenge=" + "a" * 63])
def test_what_is_no_challenge_is_not_answered(serving: Serving, challenge: str) -> None:
    assert httpx.get(f"{serving.url}/control/v1/proof?{challenge}").status_code == 404


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"url": 1}', '{"url": "http://127.0.0.1:1"}'])
def test_a_file_that_says_nothing_is_no_host(tmp_path: Path, content: str) -> None:
    key_file.create(tmp_path / ".postmill")
    (tmp_path / ".postmill" / "served.json").write_text(content)
    assert served.ask(tmp_path, "GET", "functions") is None


def test_only_the_host_that_wrote_it_removes_the_file(tmp_path: Path) -> None:
    """In containers every host is process 1."""
    served.remember(tmp_path, "http://127.0.0.1:1", "first")
    served.remember(tmp_path, "http://127.0.0.1:2", "second")
    served.forget(tmp_path, "first")
    assert (tmp_path / ".postmill" / "served.json").exists()
    served.forget(tmp_path, "second")
    assert not (tmp_path / ".postmill" / "served.json").exists()


def _change(project: Path, **values: str) -> None:
    path = project / ".postmill" / "served.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

"""A real browser without a window, told what to do over the DevTools protocol."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import threading
import time
import urllib.request
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from websockets.sync.client import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from websockets.sync.client import ClientConnection

PATIENCE_S = 90
"""A browser on a busy machine takes half a minute to start."""
QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-proxy-server",
    "--remote-debugging-port=0",
)
"""Nothing but the page that it is told to open."""


class Browser:
    """One page."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._number = 0

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression on the page, awaited. Raises what it throws."""
        told = self._say("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    def open(self, url: str) -> None:
        """Go to ``url``, and wait until it is there."""
        self._say("Page.navigate", url=url)
        until = time.monotonic() + PATIENCE_S
        while self.evaluate("document.readyState + location.href") != f"complete{url}":
            assert time.monotonic() < until, f"{url} did not load"
            time.sleep(0.05)

    def _say(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        self._connection.send(json.dumps({"id": self._number, "method": method, "params": params}))
        while True:
            heard = json.loads(self._connection.recv(timeout=PATIENCE_S))
            if heard.get("id") == self._number:
                assert "error" not in heard, heard
                result: dict[str, Any] = heard["result"]
                return result


@contextmanager
def browser(binary: Path) -> Iterator[Browser]:
    """A browser of its own, with a profile that is thrown away."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [str(binary), *QUIET, f"--user-data-dir={profile}", "about:blank"]
        environment = {**os.environ, "HOME": profile}
        with subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
        ) as process:
            try:
                with connect(_page(Path(profile), process), max_size=None, proxy=None) as connection:
                    yield Browser(connection)
            finally:
                process.kill()


def _page(profile: Path, process: subprocess.Popen[bytes]) -> str:
    """The address of the first page."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        assert process.poll() is None, f"the browser ended with {process.returncode}"
        try:
            port = (profile / "DevToolsActivePort").read_text().split()[0]
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list") as answer:
                pages = [each for each in json.load(answer) if each["type"] == "page"]
            if pages:
                return str(pages[0]["webSocketDebuggerUrl"])
        except (OSError, IndexError):
            pass
        time.sleep(0.05)
    raise AssertionError("the browser did not start")


@contextmanager
def site(files: dict[str, tuple[str, bytes]]) -> Iterator[str]:
    """Serve ``files`` (type and content by path) on an origin of its own; gives it."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind, content = files.get(self.path, ("text/plain", b""))
            self.send_response(200 if self.path in files else 404)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

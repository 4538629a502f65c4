"""Serves the demo's site over HTTP on loopback, in a process of its own: ``python -m examples.scraper.site``.

Prints its address and serves until its standard input closes, so it ends with the process that started it.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from contextlib import contextmanager
from html import escape
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING

from examples.scraper import sitemap, trouble
from examples.scraper.trouble import Answer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from examples.scraper.sitemap import SiteMap

LONGEST_HANG = 60.0  # seconds
RETRY_AFTER = 1  # seconds


class Site(ThreadingHTTPServer):
    """The server: a site map, and how often each page was asked for."""

    daemon_threads = True

    def __init__(self, pages: SiteMap, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.pages = pages
        self.closing = Event()
        self._tries: Counter[str] = Counter()
        self._lock = Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"

    def next_try(self, path: str) -> int:
        """Which try of this page the request is, counted from 1."""
        with self._lock:
            self._tries[path] += 1
            return self._tries[path]


class _Handler(BaseHTTPRequestHandler):
    server: Site
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # headers and body leave together

    def do_GET(self) -> None:
        site, number = self.server.pages, self.server.next_try(self.path)
        if self.path in trouble.PAGES:
            self._trouble(trouble.PAGES[self.path], number)
        elif number <= trouble.busy_tries(self.path) and self.path in site.files:
            self._busy()
        elif self.path in site.folders:
            self._answer(_idle(self.path, site.folders[self.path]), "text/html; charset=utf-8")
        elif self.path in site.files:
            self._answer(site.files[self.path].read_bytes(), "text/x-python")
        else:
            self._missing()

    def _trouble(self, page: trouble.Page, number: int) -> None:
        match page.on_try(number):
            case Answer.MISSING:
                self._missing()
            case Answer.BUSY:
                self._busy()
            case Answer.HANG:
                self.server.closing.wait(LONGEST_HANG)
                self.close_connection = True
            case Answer.CUT:
                self._answer(page.body[: len(page.body) // 2], "text/x-python", length=len(page.body))
                self.close_connection = True
            case Answer.PAGE:
                charset = f"; charset={page.charset}" if page.charset else ""
                self._answer(page.body, "text/x-python" + charset)

    def _missing(self) -> None:
        self._answer(b"no such page\n", "text/plain", status=HTTPStatus.NOT_FOUND)

    def _busy(self) -> None:
        self._answer(b"busy\n", "text/plain", status=HTTPStatus.SERVICE_UNAVAILABLE, retry_after=RETRY_AFTER)

    def _answer(
        self,
        body: bytes,
        content_type: str,
        *,
        status: HTTPStatus = HTTPStatus.OK,
        length: int | None = None,
        retry_after: int | None = None,
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        if retry_after is not None:
            self.send_header("Retry-After", str(retry_after))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in http.server
        """Stay quiet: the demo's screen shows the progress."""


def _idle(path: str, links: list[str]) -> bytes:
    """A folder as the plain HTML list that web servers make."""
    items = "".join(f'<li><a href="{escape(link)}">{escape(link)}</a></li>\n' for link in links)
    title = escape(f"Index of {path}")
    return f"<!doctype html>\n<title>{title}</title>\n<h1>{title}</h1>\n<ul>\n{items}</ul>\n".encode()


@contextmanager
def serving(pages: SiteMap, port: int = 0) -> Iterator[Site]:
    """Serve ``pages`` from a thread of this process; port 0 takes a free one."""
    with Site(pages, port) as site:
        thread = Thread(target=site.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield site
        finally:
            site.closing.set()
            site.shutdown()
            thread.join()


def main() -> None:
    """Serve this Python until standard input ends."""
    parser = argparse.ArgumentParser(prog="python -m examples.scraper.site", description=main.__doc__)
    parser.add_argument("--pages", type=int, default=1200, help="at most this many pages")
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    options = parser.parse_args()
    pages = sitemap.build(sitemap.this_python(), pages=options.pages)
    try:
        with serving(pages, options.port) as site:
            print(site.url, flush=True)
            sys.stdin.read()
    except KeyboardInterrupt:  # it reaches the whole terminal group; the parent decides what it means
        pass


if __name__ == "__main__":
    main()

"""Two ways for a gateway to reach an application in another process, measured in one run.

    python -m benchmarks.isolate_transport [--seconds 5] [--clients 16]

The same application and the same work in the gateway's place (no HTTP server in front, so that only the way
differs): frames over a socket pair, as the host does it, and an HTTP/1.1 connection over a Unix socket to
uvicorn, kept alive, with a parser in C on both sides. Prints requests a second and latency for each, and the
plain call of the application in this process as the floor.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httptools
import uvloop

from postmill.host.host import Host
from postmill.host.launch.usage import descendants
from postmill.host.launch.usage import measure as measure_process
from postmill.model.functions.settings import RuntimeSettings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Call = Callable[[], Awaitable[None]]

APPLICATION = """
from starlette.responses import JSONResponse

async def app(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError
    await JSONResponse({"hello": "world"})(scope, receive, send)
"""
HEADERS = [
    (b"host", b"127.0.0.1:54321"),
    (b"user-agent", b"benchmark"),
    (b"accept", b"*/*"),
    (b"authorization", b"Bearer " + b"x" * 180),
]
QUIET = ["--log-level", "warning", "--no-access-log", "--lifespan", "off"]
SCOPE: dict[str, Any] = {
    "type": "http",
    "http_version": "1.1",
    "scheme": "http",
    "method": "GET",
    "path": "/functions/v1/hello/",
    "raw_path": b"/functions/v1/hello/",
    "root_path": "/functions/v1/hello",
    "query_string": b"",
    "headers": HEADERS,
    "client": ("127.0.0.1", 1),
    "server": ("127.0.0.1", 54321),
}


async def receive() -> dict[str, Any]:
    """A client that sends no body and stays."""
    await asyncio.Event().wait()
    raise AssertionError


async def send(_message: Any) -> None:
    """A client that takes everything."""


class UnixClient(asyncio.Protocol):
    """One kept-alive HTTP connection: builds a request's head, parses the response with httptools. It does
    the least that a proxy must: no pool, no streaming, no watch over the client.
    """

    def __init__(self) -> None:
        self.transport: Any = None
        self._done: asyncio.Future[None] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._headers: list[tuple[bytes, bytes]] = []
        self._body = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        if self._done is not None:
            self._done.set_result(None)

    async def call(self) -> None:
        """One request."""
        scope = dict(SCOPE)
        loop = asyncio.get_running_loop()
        self._done = loop.create_future()
        self._parser = httptools.HttpResponseParser(self)
        self._headers, self._body = [], b""
        lines = [b"%s %s HTTP/1.1" % (scope["method"].encode(), scope["raw_path"])]
        lines += [name + b": " + value for name, value in scope["headers"]]
        self.transport.write(b"\r\n".join(lines) + b"\r\n\r\n")
        timer = loop.call_later(150, self._done.cancel)
        await self._done
        timer.cancel()
        status = self._parser.get_status_code()
        await send({"type": "http.response.start", "status": status, "headers": self._headers})
        await send({"type": "http.response.body", "body": self._body, "more_body": False})


async def measure(
    calls: list[Call], seconds: float, other_s: Callable[[], float] = float
) -> dict[str, float]:
    """Requests a second of all clients together, what one costs this process and the other (``other_s``
    tells the CPU that it has used), then the latency of one alone.
    """
    for call in calls:
        await call()
    until = time.perf_counter() + seconds
    count = 0

    async def client(call: Call) -> None:
        nonlocal count
        while time.perf_counter() < until:
            await call()
            count += 1

    began, used, used_there = time.perf_counter(), time.process_time(), other_s()
    await asyncio.gather(*(client(call) for call in calls))
    rate = count / (time.perf_counter() - began)
    used, used_there = time.process_time() - used, other_s() - used_there
    waits = []
    for _ in range(3000):
        began = time.perf_counter()
        await calls[0]()
        waits.append(time.perf_counter() - began)
    return {
        "requests_per_s": round(rate),
        "cpu_us_gateway": round(used / count * 1e6, 1),
        "cpu_us_application": round(used_there / count * 1e6, 1),
        "p50_us": round(statistics.median(waits) * 1e6),
        "p99_us": round(statistics.quantiles(waits, n=100)[98] * 1e6),
    }


def cpu_s(pid: int) -> float:
    """CPU that a process has used."""
    measured = measure_process(pid)
    return measured.cpu_s if measured is not None else 0.0


def children_s() -> float:
    """CPU of this process's children: the function's, and the one that it was forked from."""
    measured = descendants({os.getpid()}).get(os.getpid())
    return measured.cpu_s if measured is not None else 0.0


async def frames(folder: Path, clients: int, seconds: float) -> dict[str, float]:
    """Through the host."""
    host = Host(folder, RuntimeSettings(), {}, {}, None)
    await host.start()
    try:
        await host.handle("hello", dict(SCOPE), receive, send)
        call = [lambda: host.handle("hello", dict(SCOPE), receive, send)]
        return await measure(call * clients, seconds, children_s)
    finally:
        await host.stop()


async def http(folder: Path, clients: int, seconds: float) -> dict[str, float]:
    """Through HTTP on a Unix socket, one connection a client."""
    path = folder / "socket"
    server = subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-m", "uvicorn", "hello:app", "--uds", str(path), "--app-dir", str(folder), *QUIET]
    )
    try:
        await listening(path)
        loop = asyncio.get_running_loop()
        connections = [await loop.create_unix_connection(UnixClient, str(path)) for _ in range(clients)]
        result = await measure(
            [protocol.call for _, protocol in connections], seconds, partial(cpu_s, server.pid)
        )
        for transport, _ in connections:
            transport.close()
        return result
    finally:
        server.terminate()
        server.wait()


async def listening(path: Path) -> None:
    """Until a server takes connections."""
    while True:
        try:
            _, writer = await asyncio.open_unix_connection(str(path))
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return


async def plain(folder: Path, seconds: float) -> dict[str, float]:
    """The application itself, in this process."""
    sys.path.insert(0, str(folder))
    from hello import app  # type: ignore[import-not-found]  # noqa: PLC0415

    return await measure([lambda: app(dict(SCOPE), receive, send)], seconds)


async def run(clients: int, seconds: float, rounds: int) -> dict[str, Any]:
    """All of them, in turn, the median of the rounds by requests a second."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "hello.py").write_text(APPLICATION, encoding="utf-8")
        found: dict[str, list[dict[str, float]]] = {"plain": [], "frames": [], "http_unix": []}
        for _ in range(rounds):
            found["plain"].append(await plain(folder, seconds / 2))
            found["frames"].append(await frames(folder, clients, seconds))
            found["http_unix"].append(await http(folder, clients, seconds))
    middle = {
        name: sorted(results, key=lambda result: result["requests_per_s"])[len(results) // 2]
        for name, results in found.items()
    }
    return {"clients": clients, "rounds": rounds, **middle}


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    print(json.dumps(uvloop.run(run(given.clients, given.seconds, given.rounds)), indent=2))


if __name__ == "__main__":
    main()

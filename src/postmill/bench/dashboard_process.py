"""A dashboard and the people who watch it, for ``bench dashboard``: two processes on this machine."""

from __future__ import annotations

import asyncio
import json
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from secrets import token_urlsafe
from time import perf_counter
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from postmill.model.errors import TimedOut

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from postmill.model.config.address import Address

READY_S = 60.0
"""How long a process may take until it answers, in seconds. It takes one; after a minute it is broken."""
END_S = 20.0
"""How long a dashboard may take to stop, in seconds. Promised is one; what takes 20 is broken, and killed."""
_LISTENING = re.compile(rb"Dashboard: (http://[^/\s]+)")


@dataclass(frozen=True, slots=True)
class RunningDashboard:
    """Where it is, how one gets in, and its process."""

    url: str
    key: str
    process: asyncio.subprocess.Process

    @property
    def headers(self) -> dict[str, str]:
        """Of each request: those of a reader's program."""
        return {"authorization": f"Bearer {self.key}", "accept-encoding": "gzip"}

    async def get(self, path: str, **headers: str) -> Answer:
        """One request on a connection of its own. Raises ``RuntimeError`` for an answer that is not 200."""
        return await asyncio.to_thread(_get, self.url, path, {**self.headers, **headers})

    def cpu_s(self) -> float | None:
        """Seconds of processor time that it has had; None without /proc."""
        return cpu_s_of(self.process.pid)

    async def end(self) -> float:
        """SIGTERM; returns after how many seconds it was gone."""
        began = perf_counter()
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(END_S):
            await self.process.wait()
        return perf_counter() - began


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server has answered, its body as it was sent."""

    headers: Mapping[str, str]
    body: bytes


@asynccontextmanager
async def dashboard_process(address: Address) -> AsyncIterator[RunningDashboard]:
    """``postmill dashboard`` on a free port, in a folder of its own. Raises ``TimedOut`` when it does not
    come up.
    """
    key = token_urlsafe()
    with tempfile.TemporaryDirectory(prefix="postmill-bench-") as folder:
        environ = {
            **os.environ,
            "POSTMILL_DB_URL": address.url,
            "POSTMILL_LOG_LEVEL": "error",
            "POSTMILL_READER_KEY": key,
        }
        command = [sys.executable, "-m", "postmill.cli.main", "dashboard", "--port", "0"]
        async with _running(command, environ, folder, stderr=subprocess.PIPE) as process:
            assert process.stderr is not None  # noqa: S101
            yield RunningDashboard(await _url(process.stderr), key, process)


@asynccontextmanager
async def watching(
    dashboard: RunningDashboard, topics: Sequence[str], viewers: int, *, asks: bool = False
) -> AsyncIterator[asyncio.subprocess.Process]:
    """So many watch while the block runs, from the moment all of them were told the versions; with ``asks``
    each does what a browser does with the overview: what has changed is asked for again.
    """
    command = [sys.executable, "-m", "postmill.bench.watcher_process"]
    task = {
        "url": dashboard.url,
        "headers": dashboard.headers,
        "path": "/live?" + urlencode([("topic", each) for each in topics]),
        "viewers": viewers,
        "asks": "/" if asks else None,
    }
    async with _running(command, dict(os.environ), None, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None  # noqa: S101
        assert process.stdout is not None  # noqa: S101
        process.stdin.write(json.dumps(task).encode() + b"\n")
        async with asyncio.timeout(READY_S):
            if not await process.stdout.readline():
                raise TimedOut("The viewers have ended before they watched.")
        yield process
        process.stdin.close()


@asynccontextmanager
async def busy(share: float) -> AsyncIterator[None]:
    """A process takes this share of one processor while the block runs."""
    command = [sys.executable, "-m", "postmill.bench.busy_process", str(share)]
    async with _running(command, dict(os.environ), None):
        yield


def cpu_s_of(pid: int) -> float | None:
    """Seconds of processor time that a process has had; None without /proc, or when it is elsewhere."""
    with suppress(OSError, IndexError):
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        fields = stat.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return None


def allow_streams(number: int) -> None:
    """Let this process, and those that it starts, have so many connections open, as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < number:
        wanted = number if hard == resource.RLIM_INFINITY else min(number, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _get(url: str, path: str, headers: Mapping[str, str]) -> Answer:
    place = urlsplit(url)
    connection = HTTPConnection(place.hostname or "", place.port, timeout=READY_S)
    try:
        connection.request("GET", path, headers=dict(headers))
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    if answer.status != 200:
        raise RuntimeError(f"{path} was answered with {answer.status}.")
    return Answer({name.lower(): value for name, value in answer.getheaders()}, body)


async def _url(stderr: asyncio.StreamReader) -> str:
    async with asyncio.timeout(READY_S):
        async for line in stderr:
            found = _LISTENING.search(line)
            if found:
                return found[1].decode()
    raise TimedOut("postmill dashboard has ended before it listened.")


@asynccontextmanager
async def _running(
    command: Sequence[str],
    environ: dict[str, str],
    folder: str | None,
    *,
    stdout: int = subprocess.DEVNULL,
    stderr: int = subprocess.DEVNULL,
) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, env=environ, stdin=subprocess.PIPE, stdout=stdout, stderr=stderr
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(END_S):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()

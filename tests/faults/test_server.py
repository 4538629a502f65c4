"""A server that restarts, crashes, stays away, is full: what was acknowledged is there afterwards, and the
workers go on without anybody's help.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
import pytest_asyncio

from postmill.engine.maintain import heartbeat
from postmill.model.events import Event
from tests.faults.account import Account
from tests.faults.handlers import WaitingHandler, handler
from tests.faults.scene import Scene
from tests.faults.test_postgres import outages
from tests.servers import PrivateServer
from tests.service.running import running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from postmill.embedded.binaries import Binaries
    from tests.service.running import Running

pytestmark = pytest.mark.slow


@pytest_asyncio.fixture
async def own(server: PrivateServer) -> AsyncIterator[Scene]:
    """A scene on a server of the test's own."""
    made = Scene(server.url, await asyncpg.connect(server.url))
    try:
        await made.prepare()
        yield made
    finally:
        await made.close()


async def _again(scene: Scene) -> None:
    """The test's own connection did not survive either."""
    scene.db.terminate()
    scene.db = await asyncpg.connect(scene.url)


@pytest.mark.parametrize("mode", ["fast", "immediate", "kill"])
async def test_a_restart(server: PrivateServer, own: Scene, mode: str) -> None:
    """Three messages are running, others wait; more are sent afterwards."""
    waiting = WaitingHandler()
    async with running(own.url, handler(waiting, max_concurrent=3)) as run:
        await own.send(20)
        await waiting.until_waiting(3)
        server.restart(mode)
        await _again(own)
        waiting.released.set()
        await own.send(5)
        await run.until(Event.MESSAGE_COMPLETED, count=25)
        await run.until_true(lambda: outages(run) in {(0, 0), (1, 1)})
    assert await own.account() == Account(completed=25)
    assert await own.runs() == [1] * 25


@pytest.mark.parametrize("seconds", [3, pytest.param(30, marks=pytest.mark.slow)])
async def test_an_outage_of_seconds(
    server: PrivateServer, own: Scene, monkeypatch: pytest.MonkeyPatch, seconds: int
) -> None:
    """Three handlers finish while there is no server: their outcomes are written when it is back."""
    monkeypatch.setattr(heartbeat, "PERIOD_S", 0.2)  # it tells of the outage too, in the same line
    waiting = WaitingHandler()
    async with running(own.url, handler(waiting, max_concurrent=3)) as run:
        await own.send(3)
        await waiting.until_waiting(3)
        server.stop("fast")
        waiting.released.set()
        await run.until(Event.DATABASE_LOST)
        await asyncio.sleep(seconds)
        server.start()
        await run.until(Event.MESSAGE_COMPLETED, count=3)
        await run.until(Event.DATABASE_BACK)
        await run.until_true(lambda: outages(run) == (1, 1))
        await _again(own)
    assert await own.account() == Account(completed=3)
    assert await own.runs() == [1] * 3


async def test_after_a_restart_the_rate_is_back_within_five_seconds(
    server: PrivateServer, own: Scene
) -> None:
    """The handler takes its time, so that the rate is the worker's slots', whatever the machine."""

    async def handle(payload: dict[str, Any]) -> None:
        await asyncio.sleep(0.05)

    async with running(own.url, handler(handle, max_concurrent=10)) as run:
        await own.send(5000)
        await run.until(Event.MESSAGE_COMPLETED, count=50)
        before = await _completed_in_a_second(run)
        server.restart("fast")
        after = [await _completed_in_a_second(run) for _ in range(5)]
    assert max(after) >= 0.9 * before


async def _completed_in_a_second(run: Running) -> int:
    before = run.worker.settler.settled
    await asyncio.sleep(1)
    return run.worker.settler.settled - before


async def test_after_a_crash_idle_workers_are_woken_again(server: PrivateServer, own: Scene) -> None:
    """The list of those who want to be woken is unlogged: a crash empties it."""
    listed = "select exists (select from postmill.idle_workers)"
    async with running(own.url, handler(max_poll_seconds=600)) as run:
        await own.until(listed)
        server.restart("kill")
        await _again(own)
        await own.until(listed)
        await own.send()
        await run.until(Event.MESSAGE_COMPLETED)
    assert await own.account() == Account(completed=1)


async def test_a_worker_is_started_during_an_outage(server: PrivateServer, own: Scene) -> None:
    await own.send()
    async with running(own.url, handler(), begin=False) as run:
        server.stop()
        starting = asyncio.create_task(run.engine.start())
        await asyncio.sleep(0.5)  # it tries in vain
        server.start()
        await starting
        await run.until(Event.MESSAGE_COMPLETED)
    await _again(own)
    assert await own.account() == Account(completed=1)


async def test_a_login_that_is_refused_for_a_while(own: Scene) -> None:
    """As when a password is changed on one side first. The finished handler's outcome is kept meanwhile."""
    await own.db.execute("create role app superuser login")
    waiting = WaitingHandler()
    async with running(own.url.replace("//postgres@", "//app@"), handler(waiting)) as run:
        await own.send()
        await waiting.until_waiting(1)
        await own.db.execute("alter role app nologin")
        await own.end_sessions()
        waiting.released.set()
        await run.until(Event.WORKER_FAILED, count=6)
        await own.db.execute("alter role app login")
        await run.until(Event.MESSAGE_COMPLETED)
    assert await own.account() == Account(completed=1)
    assert await own.runs() == [1]


async def test_a_worker_finds_no_connection_left(
    postgres_binaries: Binaries, caplog: pytest.LogCaptureFixture
) -> None:
    """At its start, and later: it waits until others leave."""
    with _server(
        postgres_binaries, {"max_connections": "8", "superuser_reserved_connections": "0"}
    ) as server:
        scene = Scene(server.url, await asyncpg.connect(server.url))
        await scene.prepare()
        await scene.send(2)
        async with running(scene.url, handler(), begin=False) as run:
            others = await _take_all(scene.url)
            starting = asyncio.create_task(run.engine.start())
            while "database.lost" not in caplog.messages:  # noqa: ASYNC110 - a log has no events
                await asyncio.sleep(0.01)
            for other in others:
                await other.close()
            await starting
            await run.until(Event.MESSAGE_COMPLETED, count=2)
            others = await _take_all(scene.url)
            await scene.end_sessions()
            others += await _take_all(scene.url)
            await scene.send(2)
            for other in others:
                await other.close()
            await run.until(Event.MESSAGE_COMPLETED, count=4)
        assert (await scene.account()).completed == 4
        await scene.close()


async def _take_all(url: str) -> list[asyncpg.Connection]:
    taken = []
    while True:
        try:
            taken.append(await asyncpg.connect(url))
        except asyncpg.TooManyConnectionsError:
            return taken


async def test_the_disk_is_full(postgres_binaries: Binaries, small_disk: Path) -> None:
    """Neither claims nor archived messages find room, until somebody makes some."""
    sizes = {"min_wal_size": "32MB", "max_wal_size": "64MB"}
    with _server(postgres_binaries, sizes, small_disk) as server:
        scene = Scene(server.url, await asyncpg.connect(server.url))
        await scene.prepare()
        waiting = WaitingHandler()
        async with running(scene.url, handler(waiting, max_concurrent=200)) as run:
            await scene.send(200, noise=[os.urandom(4000).hex() for _ in range(2)])
            await waiting.until_waiting(200)
            _fill(small_disk)
            waiting.released.set()
            (lost,) = await run.until(Event.DATABASE_LOST)
            assert "DiskFull" in lost["reason"]
            (small_disk / "filler").unlink()
            await run.until(Event.MESSAGE_COMPLETED, count=200)
            await run.until(Event.DATABASE_BACK)
        await _again(scene)
        assert await scene.account() == Account(completed=200)
        assert await scene.runs() == [1] * 200
        await scene.close()


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of 256 MB, where the server's user can get at its files."""
    folder = Path(tempfile.mkdtemp(prefix="postmill-disk-"))
    folder.chmod(0o711)
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256m,mode=1777", "tmpfs", folder],
        capture_output=True,
        check=False,
    )
    if made.returncode:
        pytest.skip(f"nothing can be mounted here: {made.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)
        folder.rmdir()


def _fill(disk: Path) -> None:
    with suppress(OSError), (disk / "filler").open("wb", buffering=0) as filler:
        while True:
            filler.write(b"x" * 4096)


@contextmanager
def _server(found: Binaries, settings: dict[str, str], within: Path | None = None) -> Iterator[PrivateServer]:
    server = PrivateServer(found, settings, within)
    try:
        server.start()
        server.migrate()
        yield server
    finally:
        server.close()

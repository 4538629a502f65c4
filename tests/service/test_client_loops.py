"""A client with an address in more than one event loop, and workers where they can't run."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from postmill import AsyncClient, EdgeWorker, worker
from postmill.engine import worker_process as process
from postmill.model.errors import InvalidOption, Refused
from postmill.testing import drain


def count(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("select count(*) from pgmq.q_many").fetchone()
    assert row is not None
    return int(row[0])


def test_a_client_works_in_one_loop_after_the_other(database_url: str) -> None:
    """In a notebook, or after asyncio.run twice, the second loop met the first one's connections."""
    program = (
        "import asyncio, sys; from postmill import AsyncClient; client = AsyncClient(sys.argv[1])\n"
        "asyncio.run(client.create_queue('many'))\n"
        "for _ in range(3): asyncio.run(client.send('many', {}))\n"
        "asyncio.run(client.close())"
    )
    subprocess.run([sys.executable, "-c", program, database_url], check=True, timeout=60)
    assert count(database_url) == 3


def test_a_client_works_in_two_loops_at_once(database_url: str) -> None:
    client = AsyncClient(database_url)
    both = threading.Barrier(2, timeout=20)

    async def send() -> None:
        await client.send("many", {})
        both.wait()
        await asyncio.gather(*(client.send("many", {}) for _ in range(10)))
        both.wait()
        await client.close()

    with psycopg.connect(database_url) as connection:
        connection.execute("select postmill.create_queue('many')")
    threads = [threading.Thread(target=asyncio.run, args=(send(),)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert count(database_url) == 22
    gc.collect()  # a connection that was left open says so now


async def test_workers_are_not_started_on_a_loop_that_runs() -> None:
    """In a notebook: nothing was started, and the error spoke of a coroutine."""
    with pytest.raises(Refused, match="notebook"):
        EdgeWorker.start(print)


@pytest.mark.parametrize(
    ("library", "module", "function", "threads"),
    [
        ("gevent", "gevent.monkey", "is_module_patched", "threading"),
        ("eventlet", "eventlet.patcher", "is_monkey_patched", "thread"),
    ],
)
def test_workers_are_not_started_on_green_threads(
    library: str, module: str, function: str, threads: str, monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    """Nor in a test: there the heartbeat failed in silence, and the queues were never empty."""
    patched: Any = SimpleNamespace(**{function: lambda name: name == threads})
    monkeypatch.setitem(sys.modules, module, patched)
    with pytest.raises(Refused, match=library):
        EdgeWorker.start(print)
    with pytest.raises(Refused, match=library):
        asyncio.run(drain(worker(queue="green")(print), database=database_url))


@pytest.mark.parametrize(("wanted", "module"), [("asyncio", "asyncio"), ("uvloop", "uvloop"), ("", "uvloop")])
def test_the_event_loop_can_be_chosen(monkeypatch: pytest.MonkeyPatch, wanted: str, module: str) -> None:
    pytest.importorskip("uvloop")
    monkeypatch.setenv("POSTMILL_LOOP", wanted)
    seen = []

    async def look() -> None:
        seen.append(type(asyncio.get_running_loop()).__module__.split(".")[0])

    process.run(look())
    assert seen == [module]


def test_an_event_loop_that_nobody_knows_is_refused() -> None:
    with pytest.raises(InvalidOption, match="POSTMILL_LOOP"):
        process.loop_factory("trio")

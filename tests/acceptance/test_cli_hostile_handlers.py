"""Handlers that do to their process what no handler should. The worker goes on with its next message and
stops as always; where it can't go on, it ends, and its exit code says so.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.test_cli_running import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.conftest import Cli

JOBS = """
import asyncio, ctypes, os, sys
from concurrent.futures import ThreadPoolExecutor

from postmill import Context, worker
from postmill.engine.claim.claimer import Claimer


async def shut_the_executor():
    await asyncio.to_thread(bool)
    await asyncio.get_running_loop().shutdown_default_executor()

async def no_executor():
    shut = ThreadPoolExecutor(1)
    shut.shutdown()
    asyncio.get_running_loop().set_default_executor(shut)

async def old_task_factory():
    asyncio.get_running_loop().set_task_factory(lambda loop, work: asyncio.Task(work, loop=loop))

async def broken_task_factory():
    def refuse(loop, work, **options):
        work.close()
        raise RuntimeError("no tasks")
    asyncio.get_running_loop().set_task_factory(refuse)

async def end_generators():
    await asyncio.get_running_loop().shutdown_asyncgens()

async def stop_the_loop():
    asyncio.get_running_loop().stop()
    await asyncio.sleep(0)

async def fork_and_return():
    os.fork()

async def fork_by_library():
    ctypes.PyDLL(None).fork()

async def fork_and_raise():
    if not os.fork():
        raise RuntimeError("in the child")

async def fork_and_wait():
    if not os.fork():
        await asyncio.Event().wait()

async def exit_in_a_task():
    async def leave():
        sys.exit(4)
    kept.append(asyncio.create_task(leave()))
    await asyncio.Event().wait()

async def exit_in_a_callback():
    asyncio.get_running_loop().call_soon(sys.exit, 4)
    await asyncio.Event().wait()

async def break_the_claimer():
    async def broken(self):
        raise RuntimeError("broken for good")
    Claimer.run_once = broken

kept = []

@worker(queue="hostile", max_concurrent=2, grace=2)
async def work(payload: dict, ctx: Context) -> None:
    if "do" in payload:
        await globals()[payload["do"]]()
    if "wait" in payload:
        ctx.log.info("WAITING")
        await ctx.stopping.wait()

@worker(queue="hostile")
def fork_in_thread(payload: dict) -> None:
    if "do" in payload:
        os.fork()
"""

SURVIVED = (
    "shut_the_executor",
    "no_executor",
    "old_task_factory",
    "broken_task_factory",
    "end_generators",
    "stop_the_loop",
    "fork_and_return",
    "fork_by_library",
    "fork_and_raise",
    "fork_and_wait",
    "fork_in_thread",
)


@pytest.fixture
def started(cli: Cli, spawn: Any, tmp_path: Path) -> Any:
    (tmp_path / "jobs.py").write_text(JOBS)

    def start(name: str = "work") -> Any:
        child = spawn("worker", "run", f"jobs:{name}", "--probe-port", "0")
        until(child, "worker.started")
        return child

    return start


@pytest.mark.parametrize("deed", SURVIVED)
def test_the_worker_goes_on_and_stops_as_always(cli: Cli, db: Any, started: Any, deed: str) -> None:
    """A forked child that came back into the event loop spoke to the server on its parent's connections, and
    the stop raised where the loop's executor or task factory was gone.
    """
    child = started("fork_in_thread" if deed == "fork_in_thread" else "work")
    cli("send", "hostile", f'{{"do": "{deed}"}}')
    until(child, "message.completed")
    cli("send", "hostile", "{}")
    until(child, "message.completed")
    child.send_signal(signal.SIGTERM)
    assert child.wait() == 0
    assert db.execute("select count(*) from pgmq.a_hostile").fetchone() == {"count": 2}
    assert db.execute("select count(*) from postmill.failures").fetchone() == {"count": 0}
    assert db.execute("select stop_reason from postmill.workers").fetchall() == [{"stop_reason": "shutdown"}]


@pytest.mark.parametrize("deed", ["exit_in_a_task", "exit_in_a_callback"])
def test_sys_exit_beside_a_handler_drains_and_keeps_its_code(
    cli: Cli, db: Any, started: Any, deed: str
) -> None:
    """It broke the event loop off: what ran beside it was cancelled, which counted as a failed attempt."""
    child = started()
    cli("send", "hostile", '{"wait": 1}')
    until(child, "WAITING")
    cli("send", "hostile", f'{{"do": "{deed}"}}')
    assert child.wait() == 4
    assert db.execute("select msg_id from pgmq.a_hostile").fetchall() == [{"msg_id": 1}]
    assert db.execute("select count(*) from postmill.failures where kind = 'error'").fetchone() == {
        "count": 0
    }
    assert db.execute("select count(*) from postmill.claims").fetchone() == {"count": 0}


def test_a_service_that_failed_for_good_ends_the_process(cli: Cli, db: Any, started: Any) -> None:
    """Its probe says why until then; what runs may finish, nothing stays claimed, and the exit code is 1."""
    child = started()
    cli("send", "hostile", '{"wait": 1}')
    until(child, "WAITING")
    cli("send", "hostile", '{"do": "break_the_claimer"}')
    until(child, "for good")
    until(child, "A worker's claimer has failed for good.")
    assert child.wait() == 1
    assert db.execute("select count(*) from pgmq.a_hostile").fetchone() == {"count": 2}
    assert db.execute("select count(*) from postmill.claims").fetchone() == {"count": 0}
    assert db.execute("select stop_reason from postmill.workers").fetchall() == [{"stop_reason": "failed"}]

"""``executor="process"``: a handler that may hang, exit or crash takes nobody along."""

from __future__ import annotations

import asyncio
import functools
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from postmill import Retry, worker
from postmill.model.errors import InvalidHandler
from postmill.model.events import Event
from tests.service import in_child
from tests.service.running import finished, running

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child finds what its parent's path has."""
    monkeypatch.syspath_prepend(str(ROOT))


def is_running(pid: int) -> bool:
    """False also once it only waits for its parent to take note of its end."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def in_process(**options: Any) -> Any:
    return worker(executor="process", **options)(in_child.handle)


async def test_it_runs_in_another_process_that_is_kept_for_the_next(database_url: str) -> None:
    async with running(database_url, in_process(keep_results=True, max_concurrent=1)) as run:
        for _ in range(3):
            await run.send('"pid"')
        assert (await finished(run, 3))["archive"] == 3
        rows = await run.db.fetch("select result from postmill.results")
    pids = {json.loads(row["result"]) for row in rows}
    assert len(pids) == 1
    assert os.getpid() not in pids


@pytest.mark.parametrize(
    ("what", "message"),
    [("exit", "the process exited with code 3"), ("segfault", "the process was ended by SIGSEGV")],
)
async def test_a_child_that_dies_is_a_crash_and_is_replaced(
    database_url: str, what: str, message: str
) -> None:
    async with running(database_url, in_process(retry=Retry.fixed(0, 2), max_concurrent=1)) as run:
        await run.send(f'"{what}"')
        await run.send('"pid"')
        assert await finished(run, 2) == {"queue": 0, "archive": 1, "dead": 1, "claims": 0}
        rows = await run.db.fetch("select kind, error_message from postmill.failures")
    assert [tuple(row) for row in rows] == [("crash", message)] * 2


async def test_a_child_that_hangs_is_killed_at_its_limit(database_url: str) -> None:
    async with running(
        database_url, in_process(retry=Retry.none, timeout=1.5, max_concurrent=1, keep_results=True)
    ) as run:
        await run.send('"hang"')
        await run.send('"pid"')
        assert await finished(run, 2) == {"queue": 0, "archive": 1, "dead": 1, "claims": 0}
        assert await run.db.fetchval("select kind from postmill.failures") == "timeout"


async def test_a_child_that_hangs_does_not_hold_up_a_stop(database_url: str) -> None:
    async with running(database_url, in_process(grace=0.1)) as run:
        await run.send('"hang"')
        await run.until(Event.MESSAGE_CLAIMED)
        await run.engine.stop()
        assert await run.account() == {"queue": 1, "archive": 0, "dead": 0, "claims": 0}
        assert await run.db.fetchval("select vt <= clock_timestamp() from pgmq.q_tasks")


@pytest.mark.parametrize(
    ("what", "error_type", "text"),
    [
        ("error", "ValueError", "in the child"),
        ("awkward", "RuntimeError", "Awkward: one and two"),
        ("sys.exit", "SystemExit", "3"),
    ],
)
async def test_an_error_in_the_child_is_recorded_with_its_place(
    database_url: str, what: str, error_type: str, text: str
) -> None:
    async with running(database_url, in_process(retry=Retry.none)) as run:
        await run.send(f'"{what}"')
        assert (await finished(run, 1))["dead"] == 1
        failure = await run.db.fetchrow("select * from postmill.failures")
    assert (failure["kind"], failure["error_type"], failure["error_message"]) == ("error", error_type, text)
    assert "in_child.py" in failure["traceback"]


@pytest.mark.parametrize(
    ("what", "event"),
    [
        ("retry", Event.MESSAGE_RETRYING),
        ("snooze", Event.MESSAGE_SNOOZED),
        ("return snooze", Event.MESSAGE_SNOOZED),
        ("dead", Event.MESSAGE_DEAD),
    ],
)
async def test_outcomes_cross_the_border(database_url: str, what: str, event: Event) -> None:
    async with running(database_url, in_process()) as run:
        msg_id = await run.send(f'"{what}"')
        await run.until(event)
        assert run.ends(msg_id) == [event]


async def test_a_result_that_can_not_cross_fails_the_attempt_only(database_url: str) -> None:
    async with running(database_url, in_process(retry=Retry.none, max_concurrent=1)) as run:
        await run.send('"lock"')
        await run.send('"pid"')
        assert await finished(run, 2) == {"queue": 0, "archive": 1, "dead": 1, "claims": 0}


async def test_what_can_be_awaited_is_awaited_in_the_child(database_url: str) -> None:
    async with running(database_url, in_process(keep_results=True)) as run:
        await run.send('"coroutine"')
        await run.until(Event.MESSAGE_COMPLETED)
        assert await run.db.fetchval("select result from postmill.results") == '"worked"'


@pytest.mark.parametrize("what", ["generator", "map"])
async def test_code_that_waits_to_be_run_is_a_failure_in_the_child_too(database_url: str, what: str) -> None:
    async with running(database_url, in_process(retry=Retry.none)) as run:
        await run.send(f'"{what}"')
        assert (await finished(run, 1))["dead"] == 1
        assert "has not been done" in await run.db.fetchval("select error_message from postmill.failures")


async def test_a_handler_that_cancels_itself_spares_the_next_message(database_url: str) -> None:
    """Its CancelledError was taken for ours: the process was killed, and crashed the next message with it."""
    async with running(
        database_url, in_process(retry=Retry.none, max_concurrent=1, keep_results=True)
    ) as run:
        for what in ("pid", "cancelled", "pid"):
            await run.send(f'"{what}"')
        assert await finished(run, 3) == {"queue": 0, "archive": 2, "dead": 1, "claims": 0}
        failures = await run.db.fetch("select msg_id, kind, error_type from postmill.failures")
        pids = await run.db.fetch("select distinct result from postmill.results")
    assert [tuple(row) for row in failures] == [(2, "error", "CancelledError")]
    assert len(pids) == 1


async def test_a_child_that_died_while_it_was_idle_costs_no_attempt(database_url: str) -> None:
    """Killed from outside between two messages: the next one was recorded as a crash."""
    async with running(database_url, in_process(max_concurrent=1, keep_results=True)) as run:
        await run.send('"pid"')
        await run.until(Event.MESSAGE_COMPLETED)
        pid = int(await run.db.fetchval("select result from postmill.results"))
        os.kill(pid, signal.SIGKILL)
        while is_running(pid):  # noqa: ASYNC110 - a kill is told nowhere
            await asyncio.sleep(0.01)
        await run.send('"pid"')
        assert (await finished(run, 2))["archive"] == 2
        assert await run.count("postmill.failures") == 0


async def test_it_can_be_started_again_after_its_end(database_url: str) -> None:
    """A second run of the same worker in one process waited for threads that had ended."""
    handle = in_process()
    for number in (1, 2):
        async with running(database_url, handle) as run:
            await run.send('"pid"')
            await run.until(Event.MESSAGE_COMPLETED)
            assert await run.count("pgmq.a_tasks") == number


async def test_a_module_that_the_child_can_not_import_is_an_error_that_says_so(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = in_process(retry=Retry.none)
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place not in ("", str(ROOT))])
    async with running(database_url, handler) as run:
        await run.send('"pid"')
        assert (await finished(run, 1))["dead"] == 1
        failure = await run.db.fetchrow("select kind, error_type, error_message from postmill.failures")
    assert tuple(failure) == ("error", "ModuleNotFoundError", "No module named 'tests'")


async def test_a_batch_in_a_process(database_url: str) -> None:
    handler = worker(executor="process", batch=10, retry=Retry.none)(in_child.handle_all)
    async with running(database_url, handler) as run:
        await run.db.execute("""select pgmq.send_batch('tasks', array['"pid"', '"pid"']::jsonb[])""")
        assert (await finished(run, 2))["archive"] == 2
        await run.db.execute("""select pgmq.send_batch('tasks', array['"pid"', '"exit"']::jsonb[])""")
        assert (await finished(run, 4))["dead"] == 2
        assert await run.count("postmill.failures where kind = 'crash'") == 2


class Box:
    """Importable, but an object of it is not: the process would call the function without the object."""

    def __init__(self, content: str) -> None:
        self._content = content

    def handle(self, payload: object = None) -> None: ...


async def test_a_decorator_that_the_child_would_not_find_is_no_success(database_url: str) -> None:
    """The child ran what was wrapped, under the name that the wrapper has taken over."""

    @functools.wraps(in_child.handle)
    def checked(what: str) -> None:
        raise PermissionError(what)

    async with running(database_url, worker(executor="process", retry=Retry.none)(checked)) as run:
        await run.send('"pid"')
        assert (await finished(run, 1))["dead"] == 1
        assert await run.db.fetchval("select error_type from postmill.failures") == "InvalidHandler"


def test_what_can_not_run_there_is_refused_at_once() -> None:
    def local(payload: str) -> None: ...

    async def coroutine(payload: str) -> None: ...

    def context(payload: str, ctx) -> None: ...  # type: ignore[no-untyped-def]

    calls_a_copy = Box("in the parent").handle
    bound = functools.partial(in_child.handle)
    for function in (local, coroutine, context, lambda payload: None, calls_a_copy, bound):
        with pytest.raises(InvalidHandler):
            worker(executor="process")(function)

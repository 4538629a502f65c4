"""The on_dead hook: called after the letter was written, and unable to harm anybody."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from postmill import Retry, worker
from postmill.model.events import Event
from postmill.sql.catalog import statement
from tests.service.running import finished, running

if TYPE_CHECKING:
    import asyncpg


class Hook:
    """A callable object whose call is a coroutine."""

    def __init__(self, letters: list[Any], done: asyncio.Event) -> None:
        self.letters, self.done = letters, done

    async def __call__(self, letter: Any) -> None:
        self.letters.append(letter)
        self.done.set()


@pytest.mark.parametrize("how", ["async", "sync", "object"])
async def test_the_hook_is_given_the_letter(database_url: str, how: str) -> None:
    letters: list[Any] = []
    done = asyncio.Event()
    loop = asyncio.get_running_loop()
    hook = Hook(letters, done)

    def sync(letter: Any) -> None:
        letters.append(letter)
        loop.call_soon_threadsafe(done.set)

    hooks = {"async": hook.__call__, "sync": sync, "object": hook}

    @worker(retry=Retry.none, on_dead=hooks[how])
    async def handle(payload: dict[str, Any]) -> None:
        raise ValueError("no")

    async with running(database_url, handle) as run:
        msg_id = await run.send('{"a": 1}')
        async with asyncio.timeout(30):
            await done.wait()
        assert (await run.account())["dead"] == 1
    (letter,) = letters
    assert (letter.message.msg_id, letter.message.payload, letter.kind) == (msg_id, {"a": 1}, "error")
    assert (letter.error_type, letter.error_message) == ("ValueError", "no")


@pytest.mark.parametrize("how", ["async", "sync"])
@pytest.mark.parametrize("trouble", [ValueError("hook"), SystemExit(1)], ids=lambda e: type(e).__name__)
async def test_a_hook_that_raises_is_reported_and_the_work_goes_on(
    database_url: str, how: str, trouble: BaseException
) -> None:
    async def in_loop(letter: Any) -> None:
        raise trouble

    def in_thread(letter: Any) -> None:
        raise trouble

    @worker(retry=Retry.none, on_dead=in_loop if how == "async" else in_thread)
    async def handle(number: int) -> None:
        raise ValueError

    async with running(database_url, handle) as run:
        for number in range(3):
            await run.send(str(number))
        await run.until(Event.HOOK_FAILED, count=3)
        assert await finished(run, 3) == {"queue": 0, "archive": 0, "dead": 3, "claims": 0}


async def test_a_stop_waits_for_hooks_that_run(database_url: str) -> None:
    began, go_on, ended = asyncio.Event(), asyncio.Event(), []

    async def hook(letter: Any) -> None:
        began.set()
        await go_on.wait()
        ended.append(letter)

    @worker(retry=Retry.none, on_dead=hook)
    async def handle(payload: dict[str, Any]) -> None:
        raise ValueError

    async with running(database_url, handle) as run:
        await run.send("{}")
        await began.wait()
        stopping = asyncio.create_task(run.engine.stop())
        await run.until(Event.WORKER_DRAINING)
        go_on.set()
        await stopping
        assert len(ended) == 1


@pytest.mark.parametrize(("sent_us", "found"), [(0, 1), (2**57, 1), (None, 0)])
async def test_the_last_failure_of_a_message_from_the_future_is_found(
    adb: asyncpg.Connection, sent_us: int | None, found: int
) -> None:
    """Its letter told of none. An older failure of the same id (None: sent just now) is another message's."""
    await adb.execute(
        "insert into postmill.failures (queue_name, msg_id, attempt, kind, error_message, failed_at)"
        " values ('tasks', 1, 1, 'error', 'no', clock_timestamp() - interval '1 h')"
    )
    now_us = await adb.fetchval("select (extract(epoch from clock_timestamp()) * 1000000)::bigint")
    rows = await adb.fetch(statement("last_failures"), "tasks", [1], [now_us if sent_us is None else sent_us])
    assert len(rows) == found

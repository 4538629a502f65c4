"""A handler that takes several messages at once: an outcome for each."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from postmill import Completed, Context, Dead, Retry, Snooze, worker
from postmill.model.errors import LeaseLost
from postmill.model.events import Event
from tests.service.running import finished, running


async def send_numbers(run: Any, count: int) -> None:
    await run.db.execute(
        "select pgmq.send_batch('tasks', array(select to_jsonb(n) from generate_series(1, $1::int) as n))",
        count,
    )


@pytest.mark.parametrize("how", ["async", "thread"])
async def test_a_batch_completes_whole(database_url: str, how: str) -> None:
    sizes, seen = [], []

    def take(numbers: list[int]) -> None:
        sizes.append(len(numbers))
        seen.extend(numbers)

    async def in_loop(numbers: list[int]) -> None:
        take(numbers)

    handler = worker(batch=10, max_concurrent=2)(in_loop if how == "async" else take)
    async with running(database_url, handler) as run:
        await send_numbers(run, 100)
        assert await finished(run, 100) == {"queue": 0, "archive": 100, "dead": 0, "claims": 0}
    assert sorted(seen) == list(range(1, 101))
    assert max(sizes) <= 10
    assert len(sizes) < 100


async def test_each_message_of_a_batch_has_its_own_outcome(database_url: str) -> None:
    @worker(batch=10, keep_results=True, retry=Retry.fixed(3000, 2))
    async def handle(numbers: list[int]) -> list[Any]:
        outcomes = [None, 41, Completed(42), Retry(), Dead("five"), Snooze(3000), ValueError("seven")]
        return [outcomes[number - 1] for number in numbers]

    async with running(database_url, handle) as run:
        await send_numbers(run, 7)
        await run.db.execute("select pgmq.send('tasks', '\"wrong\"')")
        await run.until(
            Event.MESSAGE_COMPLETED,
            Event.MESSAGE_DEAD,
            Event.MESSAGE_RETRYING,
            Event.MESSAGE_SNOOZED,
            count=8,
        )
        assert await run.account() == {"queue": 3, "archive": 3, "dead": 2, "claims": 0}
        dead = await run.db.fetch("select msg_id, kind from postmill.dead_letters order by msg_id")
        results = await run.db.fetch("select msg_id, result from postmill.results order by msg_id")
        left = await run.db.fetch("select msg_id from pgmq.q_tasks order by msg_id")
        failed = await run.db.fetch("select msg_id, kind from postmill.failures order by msg_id")
    assert [tuple(row) for row in dead] == [(5, "error"), (8, "invalid_payload")]
    assert [tuple(row) for row in results] == [(2, "41"), (3, "42")]
    assert [row["msg_id"] for row in left] == [4, 6, 7]
    assert [tuple(row) for row in failed] == [
        (4, "error"),
        (5, "error"),
        (7, "error"),
        (8, "invalid_payload"),
    ]


@pytest.mark.parametrize("answer", [["too few"], "text", 5, [None] * 4], ids=str)
async def test_an_answer_of_the_wrong_length_fails_the_batch(database_url: str, answer: Any) -> None:
    @worker(batch=10, retry=Retry.none)
    async def handle(numbers: list[int]) -> Any:
        return answer

    async with running(database_url, handle) as run:
        await send_numbers(run, 3)
        assert (await finished(run, 3)) == {"queue": 0, "archive": 0, "dead": 3, "claims": 0}


async def test_a_batch_that_raises_or_takes_too_long_fails_each_of_its_messages(database_url: str) -> None:
    @worker(batch=10, retry=Retry.fixed(0, 2), timeout=0.2)
    async def handle(numbers: list[int], ctx: Context) -> None:
        if ctx.attempt == 1:
            await asyncio.Event().wait()
        raise ValueError

    async with running(database_url, handle) as run:
        await send_numbers(run, 3)
        assert (await finished(run, 3)) == {"queue": 0, "archive": 0, "dead": 3, "claims": 0}
        kinds = await run.db.fetch(
            "select msg_id, array_agg(kind order by attempt) as kinds from postmill.failures group by 1"
            " order by 1"
        )
    assert [(row["msg_id"], row["kinds"]) for row in kinds] == [(n, ["timeout", "error"]) for n in (1, 2, 3)]


async def test_the_context_of_a_batch_is_its_first_messages(database_url: str) -> None:
    """A transaction completes that one, and what is sent goes out with its completion: both once."""

    @worker(batch=10)
    async def handle(names: list[str], ctx: Context) -> None:
        if names[0] == "transaction":
            async with ctx.transaction() as tx:
                await tx.send("onward", names)
        else:
            ctx.send("onward", names)

    async with running(database_url, handle) as run:
        await run.db.execute("select postmill.create_queue('onward')")
        await run.db.execute("""select pgmq.send_batch('tasks', array['"transaction"', '"b"']::jsonb[])""")
        await run.until(Event.MESSAGE_COMPLETED, count=2)
        await run.db.execute("""select pgmq.send_batch('tasks', array['"send"', '"b"']::jsonb[])""")
        await run.until(Event.MESSAGE_COMPLETED, count=4)
        assert await run.account() == {"queue": 0, "archive": 4, "dead": 0, "claims": 0}
        sent = await run.db.fetch("select message->>0 as first from pgmq.q_onward order by msg_id")
        assert run.events(Event.LEASE_LOST) == []
    assert [row["first"] for row in sent] == ["transaction", "send"]


@pytest.mark.parametrize("how", ["transaction", "send"])
async def test_a_lease_lost_in_a_batchs_transaction_is_one_messages(database_url: str, how: str) -> None:
    """All of them were given up as lost, and ran again only when their leases had ended."""
    go_on = asyncio.Event()
    seen: list[list[int]] = []

    @worker(batch=10, visibility_timeout=60)
    async def handle(numbers: list[int], ctx: Context) -> None:
        seen.append(numbers)
        if len(seen) == 1:
            await go_on.wait()
            if how == "send":
                ctx.send("tasks", 0)
                return
            async with ctx.transaction():
                pass

    async with running(database_url, handle) as run:
        await send_numbers(run, 3)
        await run.until(Event.MESSAGE_CLAIMED, count=3)
        await run.db.execute("select pgmq.archive('tasks', 1::bigint)")
        go_on.set()
        await run.until(Event.MESSAGE_COMPLETED, count=2)
        assert await run.account() == {"queue": 0, "archive": 3, "dead": 0, "claims": 0}
        assert len(run.events(Event.MESSAGE_RELEASED)) == (2 if how == "transaction" else 0)
        kinds = await run.db.fetch("select msg_id, kind from postmill.failures")
    assert seen == ([[1, 2, 3], [2, 3]] if how == "transaction" else [[1, 2, 3]])
    assert [tuple(row) for row in kinds] == [(1, "lost_lease")]


async def test_a_batch_that_says_by_itself_that_a_lease_is_lost_has_failed(database_url: str) -> None:
    @worker(batch=10, retry=Retry.none)
    async def handle(numbers: list[int]) -> None:
        raise LeaseLost("so it says")

    async with running(database_url, handle) as run:
        await send_numbers(run, 3)
        assert (await finished(run, 3)) == {"queue": 0, "archive": 0, "dead": 3, "claims": 0}


async def test_a_message_of_a_batch_that_is_lost_takes_none_of_the_others_along(database_url: str) -> None:
    go_on = asyncio.Event()

    @worker(batch=10)
    async def handle(numbers: list[int]) -> None:
        await go_on.wait()

    async with running(database_url, handle) as run:
        await send_numbers(run, 3)
        await run.until(Event.MESSAGE_CLAIMED, count=3)
        await run.db.execute("select pgmq.archive('tasks', 2::bigint)")
        go_on.set()
        await run.until(Event.MESSAGE_COMPLETED, count=2)
        assert [fields["msg_id"] for fields in await run.until(Event.LEASE_LOST)] == [2]
        assert await run.account() == {"queue": 0, "archive": 3, "dead": 0, "claims": 0}

"""A message's own retry policy and time limit, beside the worker's options."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from postmill import Context, Retry, Worker, worker
from postmill.model.errors import InvalidOption
from postmill.model.events import Event
from postmill.model.queue.attempt_policy import AttemptPolicy, shortest_timeout_s
from tests.service.running import running

if TYPE_CHECKING:
    from postmill.model.queue.message import Message

PATIENT = AttemptPolicy(Retry.fixed(0, 3), None)


def by_payload(message: Message) -> AttemptPolicy:
    """What a scheduler would write into the headers stands in the payload here."""
    said = message.payload
    return AttemptPolicy(Retry.fixed(0, said["attempts"]), said.get("limit"))


def failing(**options: Any) -> Worker:
    """It waits for ever where it has a limit, and fails where it has none."""

    @worker(queue="tasks", retry=Retry.none, **options)
    async def handle(payload: dict[str, Any]) -> None:
        if "limit" in payload:
            await asyncio.Event().wait()
        raise ValueError(payload["attempts"])

    return handle


async def kinds(run: Any) -> dict[int, list[str]]:
    """The kinds of each message's failed attempts."""
    rows = await run.db.fetch(
        "select msg_id, array_agg(kind order by attempt) as kinds from postmill.failures group by msg_id"
    )
    return {row["msg_id"]: row["kinds"] for row in rows}


async def test_each_message_has_its_own_attempts_and_its_own_time(database_url: str) -> None:
    handle = failing()
    handle.policy_for = by_payload
    async with running(database_url, handle) as run:
        await run.send('{"attempts": 1}')
        await run.send('{"attempts": 3}')
        await run.send('{"attempts": 2, "limit": 0.05}')
        dead = await run.until(Event.MESSAGE_DEAD, count=3)
        assert await kinds(run) == {1: ["error"], 2: ["error"] * 3, 3: ["timeout"] * 2}
        reasons = {each["msg_id"]: each["reason"] for each in dead}
        assert reasons[2] == "failed 3 of 3 attempts: ValueError: 3"
        assert reasons[3] == "failed 2 of 2 attempts: TimeoutError: still running after 0.05 s"


async def test_a_message_with_failures_is_judged_by_its_own_policy_before_it_runs(database_url: str) -> None:
    # The worker itself allows one attempt: a second one runs only because this message may have three.
    handle = failing()
    handle.policy_for = lambda _message: PATIENT
    async with running(database_url, handle) as run:
        await run.send('{"attempts": 1}')
        await run.until(Event.MESSAGE_DEAD)
        assert run.ends(1) == [Event.MESSAGE_RETRYING, Event.MESSAGE_RETRYING, Event.MESSAGE_DEAD]


async def test_a_policy_that_can_not_be_found_leaves_the_workers_options(database_url: str) -> None:
    handle = failing()
    handle.policy_for = by_payload
    async with running(database_url, handle) as run:
        await run.send('{"attempts": 0}')
        await run.send('{"attempts": "many"}')
        await run.until(Event.MESSAGE_DEAD, count=2)
        assert {each["msg_id"] for each in run.events(Event.HOOK_FAILED)} == {1, 2}
        assert await kinds(run) == {1: ["error"], 2: ["error"]}


async def test_a_batch_ends_at_the_shortest_of_its_messages_limits(database_url: str) -> None:
    @worker(queue="tasks", batch=5)
    async def handle(payloads: list[dict[str, Any]]) -> None:
        await asyncio.Event().wait()

    handle.policy_for = by_payload
    async with running(database_url, handle, begin=False) as run:
        await run.db.execute("select pgmq.create('tasks')")
        await run.send('{"attempts": 1, "limit": 3600}')
        await run.send('{"attempts": 1, "limit": 0.05}')
        await run.send('{"attempts": 1}')
        await run.engine.start()
        dead = await run.until(Event.MESSAGE_DEAD, count=3)
        assert {each["error"] for each in dead} == {"TimeoutError: still running after 0.05 s"}


async def test_a_batch_whose_first_payload_does_not_fit_still_knows_its_time_limit(
    database_url: str,
) -> None:
    """The limit was the first message's alone, and the context is the first one's that fits."""
    deadlines: list[float | None] = []

    @worker(queue="tasks", batch=5, timeout=60)
    async def handle(payloads: list[dict[str, Any]], ctx: Context) -> None:
        deadlines.append(ctx.deadline)
        ctx.extend(60)
        deadlines.append(ctx.deadline)

    async with running(database_url, handle, begin=False) as run:
        await run.db.execute("select pgmq.create('tasks')")
        await run.send('"misfit"')
        await run.send("{}")
        await run.engine.start()
        await run.until(Event.MESSAGE_COMPLETED)
    first, second = deadlines
    assert first is not None
    assert second is not None
    assert 0 < first <= 60 < second <= 120


def test_the_shortest_limit_leaves_out_those_without_one() -> None:
    limited = [AttemptPolicy(Retry.none, limit) for limit in (None, 3, 2)]
    assert shortest_timeout_s(limited) == 2
    assert shortest_timeout_s(limited[:1]) is None


@pytest.mark.parametrize("timeout_s", [0, -1, "soon"])
def test_a_limit_that_no_attempt_could_keep_is_refused(timeout_s: Any) -> None:
    with pytest.raises(InvalidOption):
        AttemptPolicy(Retry.none, timeout_s)

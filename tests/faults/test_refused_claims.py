"""Rows that a claim can't take. One of them made every claim of its queue fail, for each worker, for ever."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from postmill import Retry
from postmill.engine.claim import odd_rows
from postmill.engine.claim.odd_rows import MOST_LEFT_OUT, OddRows
from postmill.model.events import Event
from tests.faults.account import Account
from tests.faults.handlers import handler
from tests.faults.test_refused_settlements import encoded
from tests.service.running import running

if TYPE_CHECKING:
    from postmill.embedded import Server
    from tests.faults.scene import Scene

HUGE = "('[' || repeat('1e131000,', 8300) || '1]')::jsonb"
"""2 KB in the table, and more text than a server can send: jsonb writes such a number out."""
TRIGGER = """
create function refuse() returns trigger language plpgsql as
$$ begin if new.message ? 'odd' then raise exception 'not this one'; end if; return new; end $$;
create trigger refuse before update on pgmq.q_tasks for each row execute function refuse()
"""
BACK = """
insert into pgmq.q_tasks (msg_id, vt, message) overriding system value
select msg_id, now() - interval '1 s' * msg_id, message from pgmq.a_tasks;
truncate pgmq.a_tasks, runs;
"""
"""What was completed is sent again, with the ids that workers have passed."""
MENDED = "drop trigger refuse on pgmq.q_tasks"


@pytest.mark.parametrize("place", ["message", "headers"])
async def test_a_message_that_the_server_can_not_send_is_a_dead_letter(scene: Scene, place: str) -> None:
    """Its claim fails before anything is counted: the message is claimed without what can't be sent."""
    await scene.send()
    (odd,) = await scene.send()
    await scene.send(2)
    await scene.db.execute(f"update pgmq.q_tasks set {place} = {HUGE} where msg_id = {odd}")
    async with running(scene.url, handler(retry=Retry.none)) as run:
        await run.until(Event.MESSAGE_COMPLETED, count=3)
        (dead,) = await run.until(Event.MESSAGE_DEAD)
        assert run.events(Event.WORKER_FAILED) == []
    assert (dead["msg_id"], dead["kind"]) == (odd, "invalid_payload")
    assert await scene.account() == Account(completed=3, dead=1, failures={"invalid_payload": 1})
    assert await scene.db.fetchval(f"select pg_column_size({place}) > 1000 from postmill.dead_letters")


async def test_bytes_that_are_no_text_stop_no_queue(shared_server: Server) -> None:
    """A database without an encoding takes any bytes, and has no text of them for a client."""
    async with encoded(shared_server, "SQL_ASCII") as scene:
        await scene.db.execute(
            r"""insert into pgmq.q_tasks (vt, message)
                values (now(), ('{"x": "' || E'\xff' || '"}')::jsonb)"""
        )
        await scene.db.execute("select pgmq.send('tasks', '{\"id\": 2}')")
        async with running(scene.url, handler()) as run:
            await run.until(Event.MESSAGE_COMPLETED)
            await run.until(Event.MESSAGE_DEAD)


@pytest.mark.parametrize("lane", ["fast", "due"])
async def test_a_row_that_refuses_its_claim_is_left_out(
    scene: Scene, lane: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trigger raises at its update, so it can't even be counted. When that is mended, it runs."""
    monkeypatch.setattr(odd_rows, "LEFT_OUT_S", 0.5)
    async with running(scene.url, handler(), begin=False) as run:
        await scene.send(2)
        (odd,) = await scene.send(odd=1)
        await scene.send(2)
        if lane == "due":
            await run.engine.start()
            await run.until(Event.MESSAGE_COMPLETED, count=5)
        await scene.db.execute(f"{BACK if lane == 'due' else ''} {TRIGGER}")  # at once: it is one transaction
        if lane == "fast":
            await run.engine.start()
        refused = (await run.until(Event.CLAIM_REFUSED))[0]
        await scene.until("select count(*) = 4 from pgmq.a_tasks")
        assert (refused["msg_id"], refused["reason"]) == (odd, "P0001: not this one")
        assert run.events(Event.WORKER_FAILED) == []
        await scene.db.execute(MENDED)
        await scene.until("select count(*) = 5 from pgmq.a_tasks")
    assert await scene.runs() == [1, 1, 1, 1, 1]


async def test_a_message_that_others_have_read_as_often_as_can_be_counted(scene: Scene) -> None:
    """One more, and its counter was out of range."""
    (odd, *_) = await scene.send(2)
    await scene.db.execute("update pgmq.q_tasks set read_ct = 2147483647 where msg_id = $1", odd)
    async with running(scene.url, handler()) as run:
        await run.until(Event.MESSAGE_COMPLETED, count=2)
    assert await scene.account() == Account(completed=2)


async def test_a_queue_that_refuses_every_claim_is_said_to_fail() -> None:
    """Only so many rows are odd: with more, what the claim met is raised as ever, and nothing is skipped."""
    left_out: list[int] = []
    rows, odd = iter(range(1_000)), OddRows()
    odd.on_left_out = lambda msg_id, _: left_out.append(msg_id)

    async def fetch(_limit: int, _left_out: list[int], *flags: str) -> Any:
        if "front" in flags:
            return {"front": next(rows)}
        raise asyncpg.CheckViolationError("refused")

    with pytest.raises(asyncpg.CheckViolationError):
        await odd.claim(fetch, 10)
    assert left_out == list(range(MOST_LEFT_OUT))


async def test_what_is_not_for_a_rows_sake_is_raised_at_once() -> None:
    asked = []

    async def fetch(limit: int, _left_out: list[int], *_flags: str) -> Any:
        asked.append(limit)
        raise asyncpg.InsufficientPrivilegeError("refused")

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await OddRows().claim(fetch, 10)
    assert asked == [10]

"""Messages of a group wait for a place in it, whoever sent them; the limits hold for all workers together."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from postmill import Context, Snooze, worker
from postmill.model.events import Event
from postmill.model.queue.gate_horizon import LONG_AGO
from postmill.model.queue.retry import FixedRetry
from postmill.sql.catalog import queue_statement
from tests.servers import async_session
from tests.service.running import finished, running

if TYPE_CHECKING:
    from postmill.handlers import Worker
    from tests.service.running import Running

SEND = "select * from postmill.send_batch('tasks', $1::jsonb[], group_keys => $2::text[])"


class Truth:
    """What runs, by the handlers' own account: nothing of the database's is asked."""

    def __init__(self) -> None:
        self.running: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.order: list[str] = []
        self.hold = asyncio.Event()
        self.hold.set()

    def began(self, key: str) -> None:
        self.order.append(key)
        self.running[key] += 1
        self.most[key] = max(self.most[key], self.running[key])

    def handler(self, **options: Any) -> Worker:
        @worker(queue="tasks", max_poll_seconds=60, retry=FixedRetry(3, 0.0), **options)
        async def handle(key: str) -> None:
            self.began(key)
            try:
                await self.hold.wait()
                await asyncio.sleep(0)
            finally:
                self.running[key] -= 1

        return handle


async def send(run: Running, *keys: str) -> None:
    """One message for each key, of that group; its payload is the key."""
    await run.db.fetch(SEND, [json.dumps(key) for key in keys], list(keys))


async def limited(run: Running, max_running: int) -> None:
    await run.db.execute("select postmill.limit_groups('tasks', max_running => $1)", max_running)


async def test_messages_of_groups_are_run(database_url: str) -> None:
    truth = Truth()
    async with running(database_url, truth.handler()) as run:
        await send(run, "a", "b", "a")
        assert await finished(run, 3) == {"queue": 0, "archive": 3, "dead": 0, "claims": 0}
        assert await run.count("postmill.gates") == 0
    assert sorted(truth.order) == ["a", "a", "b"]


async def test_several_workers_keep_a_limit_together(database_url: str) -> None:
    truth = Truth()
    async with running(database_url, *(truth.handler(max_concurrent=5) for _ in range(3))) as run:
        await limited(run, 2)
        await send(run, *(key for _ in range(40) for key in "abc"))
        assert (await finished(run, 120))["archive"] == 120
    assert truth.most == {"a": 2, "b": 2, "c": 2}


async def test_a_noisy_tenant_does_not_delay_a_quiet_one(database_url: str) -> None:
    """The quiet one's message was sent last, behind 300 others."""
    truth = Truth()
    async with running(database_url, truth.handler(max_concurrent=4, batch_size=4), begin=False) as run:
        await run.db.execute("select postmill.create_queue('tasks')")
        await send(run, *["noisy"] * 300, "quiet")
        await run.engine.start()
        assert (await finished(run, 301))["archive"] == 301
    assert truth.order.index("quiet") < 12


async def test_a_plain_backlog_and_one_of_groups_share_the_room(database_url: str) -> None:
    """Neither waits for the end of the other."""
    seen: list[str] = []

    @worker(queue="tasks", max_concurrent=1, batch_size=4, max_poll_seconds=60)
    async def handle(kind: str) -> None:
        seen.append(kind)

    async with running(database_url, handle, begin=False) as run:
        await run.db.execute("select postmill.create_queue('tasks')")
        await run.db.fetch(SEND, ['"gated"'] * 200, ["a"] * 200)
        await run.db.execute(
            "select postmill.send_batch('tasks', array_fill('\"plain\"'::jsonb, array[200]))"
        )
        await run.engine.start()
        assert (await finished(run, 400))["archive"] == 400
    assert {"plain", "gated"} == set(seen[:100])


async def test_a_message_that_another_client_sends_into_a_group_is_parked_on_sight(database_url: str) -> None:
    """20,000 such sends were raced: none may run beyond the limit, none may be lost, none is an attempt."""
    truth = Truth()
    async with running(database_url, *(truth.handler(max_concurrent=5) for _ in range(2))) as run:
        await limited(run, 1)
        for _ in range(20):
            await run.db.fetch(
                "select pgmq.send_batch('tasks', array_fill('\"a\"'::jsonb, array[10]),"
                ' array_fill(\'{"postmill-group": "a"}\'::jsonb, array[10]))'
            )
        assert (await finished(run, 200))["archive"] == 200
        assert await run.count("postmill.failures") == 0
        assert len(run.events(Event.MESSAGE_PARKED)) >= 200
    assert truth.most == {"a": 1}


@pytest.mark.parametrize(
    "headers",
    [
        '["postmill-group"]',
        '"postmill-group"',
        '{"postmill-group": null}',
        '{"postmill-group": ""}',
        '{"postmill-group": {"a": [1]}}',
        '{"postmill-group": 7, "postmill-after": 1}',
        '{"postmill-after": null}',
        '{"other": "postmill-after", "nested": {"postmill-group": "a"}}',
    ],
)
async def test_odd_headers_lose_nothing(database_url: str, headers: str) -> None:
    truth = Truth()
    async with running(database_url, truth.handler()) as run:
        await run.idle()
        await run.db.execute("select pgmq.send('tasks', '\"odd\"', $1::jsonb)", headers)
        assert (await finished(run, 1))["archive"] == 1
        assert await run.count("postmill.gates") == 0


async def test_every_message_of_a_limited_queue_waits_for_its_place(database_url: str) -> None:
    """Those that other clients send too."""
    truth = Truth()
    async with running(
        database_url, *(truth.handler(max_concurrent=5) for _ in range(2)), begin=False
    ) as run:
        await run.db.execute("select postmill.create_queue('tasks')")
        await run.db.execute("select postmill.limit_queue('tasks', max_running => 2)")
        await run.db.execute("select pgmq.send_batch('tasks', array_fill('\"x\"'::jsonb, array[30]))")
        await run.db.execute("select postmill.send_batch('tasks', array_fill('\"x\"'::jsonb, array[30]))")
        await run.engine.start()
        assert (await finished(run, 60))["archive"] == 60
    assert truth.most == {"x": 2}


async def test_a_message_that_waits_for_its_next_attempt_holds_no_place(database_url: str) -> None:
    """The first message is put off for an hour, and the second one of its group runs meanwhile."""
    ran: list[int] = []

    @worker(queue="tasks", max_poll_seconds=60)
    async def handle(number: int) -> None:
        ran.append(number)
        if number == 1:
            raise Snooze(3600)

    async with running(database_url, handle) as run:
        await limited(run, 1)
        await run.db.fetch(SEND, ["1", "2"], ["a", "a"])
        await run.until(Event.MESSAGE_COMPLETED)
        assert await run.db.fetch("select msg_id, claim_id, rank > now() as later from postmill.gates") == [
            (1, None, True)
        ]
        assert await run.count("pgmq.q_tasks where vt = postmill._parked_until()") == 1
    assert ran == [1, 2]


async def test_a_retry_keeps_its_group_and_its_count(database_url: str) -> None:
    attempts: list[int] = []

    @worker(queue="tasks", max_poll_seconds=60, retry=FixedRetry(2, 0.0))
    async def handle(_payload: int, ctx: Context) -> None:
        attempts.append(ctx.attempt)
        raise ValueError("always")

    async with running(database_url, handle) as run:
        await run.db.fetch(SEND, ["1"], ["a"])
        assert (await finished(run, 1))["dead"] == 1
        assert await run.count("postmill.gates") == 0
    assert attempts == [1, 2]


async def test_a_transaction_of_the_handlers_own_gives_the_place_back(database_url: str) -> None:
    @worker(queue="tasks", max_poll_seconds=60)
    async def handle(_payload: int, ctx: Context) -> None:
        async with ctx.transaction() as connection:
            await connection.execute("select 1")

    async with running(database_url, handle) as run:
        await limited(run, 1)
        await run.db.fetch(SEND, ["1", "2", "3"], ["a", "a", "a"])
        assert (await finished(run, 3))["archive"] == 3
        assert await run.count("postmill.gates") == 0


async def test_a_running_message_that_is_cancelled_gives_its_place_back(database_url: str) -> None:
    truth = Truth()
    truth.hold.clear()
    async with running(database_url, truth.handler()) as run:
        await limited(run, 1)
        await send(run, "a", "a")
        await run.true_in_database("exists (select from postmill.claims)")
        assert await run.db.fetchval("select postmill.cancel('tasks', 1)") == "requested"
        await run.until(Event.MESSAGE_CANCELLED)
        truth.hold.set()
        await run.until(Event.MESSAGE_COMPLETED)
        assert await run.count("postmill.gates") == 0


async def test_a_delayed_message_of_a_group_is_claimed_when_it_is_due(database_url: str) -> None:
    """The idle worker rests no longer than until then, though nothing else tells it."""
    truth = Truth()
    async with running(database_url, truth.handler()) as run:
        await send(run, "a")
        await run.until(Event.MESSAGE_COMPLETED)
        await run.db.execute(
            "select postmill.send('tasks', '\"a\"', delay => '0.3 seconds', group_key => 'a')"
        )
        await run.db.execute('notify "postmill.tasks"')  # a poll, as after the poll floor
        await run.until(Event.MESSAGE_COMPLETED, count=2)


async def test_without_parked_messages_a_worker_sends_not_one_statement_more(database_url: str) -> None:
    truth = Truth()
    async with running(database_url, truth.handler()) as run:
        await run.db.execute("select postmill.send('tasks', '\"plain\"')")
        await run.until(Event.MESSAGE_COMPLETED)
        await run.idle()
        lanes = run.worker.claimer.lanes
        assert not lanes.gated.active
        assert not run.worker.maintained("0").has_gates()
        assert lanes.gated.asks(idle=True) == ((), ())
        text = queue_statement("idle_snapshot", lanes.shape)
    assert "postmill.groups" not in text
    assert "asked_at" not in text


async def test_the_patrols_and_other_lanes_take_no_parked_message(database_url: str) -> None:
    """It lies behind every edge, for as long as its group has no place."""
    truth = Truth()
    truth.hold.clear()
    async with running(database_url, truth.handler()) as run:
        await limited(run, 1)
        await send(run, "a", "a")
        await run.true_in_database("exists (select from postmill.claims)")
        for _ in range(5):
            run.worker.claimer.poll_now()
            await run.idle()
        assert truth.order == ["a"]
        assert run.events(Event.MESSAGE_OVERLOOKED) == []
        truth.hold.set()
        assert (await finished(run, 2))["archive"] == 2


async def test_the_places_of_a_worker_that_crashed_are_free_again(database_url: str) -> None:
    """It held both places of the group, and no worker ever hears of it again."""
    truth = Truth()
    async with running(database_url, truth.handler()) as run:
        await limited(run, 2)
        truth.hold.clear()
        await run.db.execute("select postmill.pause('tasks')")
        await send(run, "a", "a", "a")
        await run.db.execute("select postmill.resume('tasks')")
        await run.true_in_database("exists (select from postmill.claims)")
        await run.db.execute("update postmill.claims set worker_id = gen_random_uuid()")
        await run.until(Event.CLAIMS_RESCUED)
        truth.hold.set()
        assert (await finished(run, 3))["archive"] == 3
        assert await run.count("postmill.gates") == 0


async def test_a_place_whose_claim_has_vanished_is_found_by_the_sweep(database_url: str) -> None:
    truth = Truth()
    async with running(database_url, truth.handler(), begin=False) as run:
        await run.db.execute("select postmill.create_queue('tasks')")
        await limited(run, 1)
        await send(run, "a", "a")
        await run.db.execute("update postmill.gates set claim_id = 1000000 where msg_id = 1")
        await run.engine.start()
        assert (await finished(run, 2))["archive"] == 2


async def test_a_queue_is_served_while_an_old_transaction_keeps_dead_rows(database_url: str) -> None:
    """Claims pass by what is dead. A sender that commits late, with ranks from before that, is served all the
    same, retries too, and no limit is broken.
    """
    truth = Truth()
    workers = [truth.handler(max_concurrent=5) for _ in range(3)]
    async with (
        running(database_url, *workers) as run,
        async_session(run.url) as old,
        async_session(run.url) as slow,
    ):
        await old.execute("begin isolation level repeatable read")
        await old.fetchval("select count(*) from postmill.gates")
        await limited(run, 2)
        async with slow.transaction():
            await slow.fetch(SEND, ['"late"'] * 5, ["late"] * 5)
            for _ in range(10):
                await send(run, *"abcdefghij" * 5)
            await finished(run, 500)
            for each in run.engine.workers:
                each.claimer.wake_to_claim()
        assert (await finished(run, 505))["archive"] == 505
        for _ in range(4):
            for each in run.engine.workers:
                each.claimer.poll_now()
            await run.idle(count=3)
            for each in run.engine.workers:
                each.claimer.wake_to_claim()
            await run.idle(count=3)
        await old.execute("rollback")
        horizons = [each.claimer.lanes.gated.horizon for each in run.engine.workers]
    assert any(horizon.oldest > 1 for horizon in horizons)
    assert any(horizon.since > LONG_AGO for horizon in horizons)
    assert max(truth.most.values()) == 2


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        ("postmill.sweep_gates(text, integer)", "the sweep of gates failed"),
        ("postmill.sweep_dependents(integer)", "the sweep failed"),
    ],
)
async def test_a_role_that_may_not_sweep_still_works(database_url: str, function: str, reason: str) -> None:
    """A service that fails for good would end the process, and an operator has to mend this."""
    async with running(database_url, Truth().handler()) as run:
        await run.db.execute(f"alter function {function} rename to gone")
        # What waits for others has the one looked for, what waits for its group the other.
        await run.db.execute(
            "insert into postmill.ended (queue_name, msg_id, fate) values ('other', 1, 'dead')"
        )
        await send(run, "acme")
        failed = await run.until(Event.WORKER_FAILED)
        assert failed[0]["reason"] == reason
        await send(run, "acme")
        assert (await finished(run, 2))["archive"] == 2
        assert run.events(Event.DATABASE_LOST, Event.SERVICE_FAILED) == []


async def test_a_group_that_a_rate_holds_back_is_served_to_its_end(database_url: str) -> None:
    """Each round through the groups but the first was over at once, and passed by what waited."""
    truth = Truth()
    async with running(database_url, truth.handler(max_concurrent=10)) as run:
        await run.db.execute("select postmill.limit_queue('tasks', starts => 5, per => '300 ms')")
        await send(run, *["a"] * 5)
        await finished(run, 5)
        await send(run, *["b"] * 30)
        assert (await finished(run, 35))["archive"] == 35

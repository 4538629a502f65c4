"""Pauses between two attempts at a step: a long one holds no slot, and whatever happens meanwhile, the
attempts that have failed are counted on.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

from postmill import Retry
from postmill.flows import Ctx, Signal, Workflow, step, workflow
from postmill.flows.running import checkpoints
from postmill.flows.running.workflow_handler import WorkflowHandler
from postmill.model.errors import StepFailed
from postmill.model.events import Event
from postmill.model.queue.outcome import Snooze
from postmill.model.queue.queue_name import QueueShape
from postmill.sql.catalog import queue_statement
from tests.service.running import running
from tests.service.test_durable import end_of, start, steps_of, waits

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import pytest

    from postmill.handlers.context import Transaction
    from postmill.model.queue.retry import RetryPolicy
    from tests.service.running import Running

HOUR = Retry.fixed(3600, max_attempts=3)
answer: Signal[int] = Signal("answer", int)


class Away(Exception):
    """What a step calls is away."""


class Tries:
    """Counts the attempts at steps; those before ``good_at`` fail."""

    def __init__(self, good_at: int = 99) -> None:
        self.good_at = good_at
        self.count = 0

    def one(self) -> int:
        self.count += 1
        if self.count < self.good_at:
            raise Away(f"try {self.count}")
        return self.count


def flaky_of(tries: Tries, retry: RetryPolicy = HOUR) -> Callable[[], Awaitable[int]]:
    """A step whose attempts are these."""

    @step(retry=retry)
    async def flaky() -> int:
        return tries.one()

    return flaky


def patient_of(tries: Tries, retry: RetryPolicy = HOUR) -> Workflow[[], int]:
    """A workflow with nothing but that step."""
    flaky = flaky_of(tries, retry)

    @workflow
    async def patient(ctx: Ctx) -> int:
        return await ctx.step(flaky)

    return patient


async def due(run: Running, queue: str) -> None:
    """The pauses of the queue's runs are over."""
    await run.db.fetchrow(queue_statement("testing_make_due", QueueShape(queue, 0)), queue)


async def attempts_of(run: Running, step_name: str, count: int) -> None:
    """Until so many attempts at the step are recorded, and its run is parked."""
    await run.true_in_database(
        f"(select s.attempts = {count} and r.state = 'waiting'"
        f"   from postmill.steps as s join postmill.runs as r using (run_id) where s.step = '{step_name}')"
    )


async def test_a_long_pause_holds_no_slot_and_says_what_it_waits_for(database_url: str) -> None:
    """One slot, and a run whose step was tried again in an hour: no other run went on until then."""
    tries = Tries(good_at=2)

    @step(retry=HOUR)
    async def flaky(is_flaky: bool) -> int:
        return tries.one() if is_flaky else 0

    @workflow(max_concurrent=1)
    async def patient(ctx: Ctx, is_flaky: bool) -> int:
        return await ctx.step(flaky, is_flaky)

    async with running(database_url, patient.handler()) as run:
        run_id = await start(run, patient, is_flaky=True)
        await waits(run, run_id)
        assert await end_of(run, await start(run, patient, is_flaky=False)) == ("completed", 0)
        told = await run.db.fetchrow(
            "select l.blocked, s.state, s.attempts, s.reason, s.due_at = l.due_at, q.vt = l.due_at as is_due"
            "  from postmill.run_list as l join postmill.run_steps as s using (run_id)"
            "  cross join pgmq.q_patient as q where run_id = $1",
            run_id,
        )
        assert tuple(told) == (
            "step flaky is tried again in 60 min", "waiting", 1, "Away: try 1", True, True,
        )  # fmt: skip
        await run.let_go()
        await due(run, "patient")
        assert await end_of(run, run_id) == ("completed", 2)
        done = await run.db.fetchrow(
            "select attempts, reason, due_at from postmill.steps where run_id = $1", run_id
        )
        assert tuple(done) == (2, None, None)


async def test_attempts_are_counted_on_by_the_next_worker(database_url: str) -> None:
    """Each worker began with the first attempt: with two restarts three attempts were seven."""
    tries = Tries()
    patient = patient_of(tries)

    async with running(database_url, patient.handler()) as run:
        run_id = await start(run, patient)
        await attempts_of(run, "flaky", 1)
        await run.engine.stop()
        await due(run, "patient")
    async with running(database_url, patient.handler()) as run:
        await attempts_of(run, "flaky", 2)
        await run.engine.stop()
        await due(run, "patient")
    async with running(database_url, patient.handler()) as run:
        state, reason = await end_of(run, run_id)
        assert (state, tries.count) == ("failed", 3)
        assert "Away: try 3" in reason


async def test_a_worker_that_stops_in_a_short_pause_has_counted_too(database_url: str) -> None:
    """A short pause keeps its slot: no message is written for it, but the attempt is."""
    tries = Tries(good_at=3)
    patient = patient_of(tries, Retry.fixed(0.9, max_attempts=3))

    async with running(database_url, patient.handler()) as run:
        run_id = await start(run, patient)
        await run.true_in_database("exists (select from postmill.steps where attempts = 1)")
        await run.engine.stop()
        assert run.events(Event.RUN_PARKED) == []
    async with running(database_url, patient.handler()) as run:
        assert await end_of(run, run_id) == ("completed", 3)
        assert run.events(Event.RUN_PARKED) == []
        assert await run.db.fetchval("select attempts from postmill.steps") == 3


async def test_success_at_the_first_attempt_costs_no_statement_more(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One record a step: it is the failed attempt that costs a write."""
    written: list[str] = []
    original = checkpoints.arguments_of

    def counting(batch: Any) -> Any:
        written.extend(each.outcome.state for each in batch)
        return original(batch)

    monkeypatch.setattr(checkpoints, "arguments_of", counting)
    tries = Tries(good_at=2)
    flaky = flaky_of(tries, Retry.fixed(0.001, max_attempts=3))

    async def good() -> int:
        return 1

    @workflow
    async def steady(ctx: Ctx) -> int:
        return await ctx.step(good) + await ctx.step(good) + await ctx.step(flaky)

    async with running(database_url, steady.handler()) as run:
        assert await end_of(run, await start(run, steady)) == ("completed", 4)
    assert written == ["completed", "completed", "waiting", "completed"]


async def test_a_pause_ends_in_its_time_while_the_run_does_something_else(database_url: str) -> None:
    """A run that is not parked, as another step of it runs, tries again all the same."""
    tries, both = Tries(good_at=2), asyncio.Event()

    @step(retry=Retry.fixed(1.01, max_attempts=2))
    async def flaky() -> int:
        found = tries.one()
        both.set()
        return found

    async def slow() -> str:
        await both.wait()
        return "done"

    @workflow
    async def busy(ctx: Ctx) -> list[Any]:
        return list(await asyncio.gather(ctx.step(flaky), ctx.step(slow)))

    async with running(database_url, busy.handler()) as run:
        assert await end_of(run, await start(run, busy)) == ("completed", [2, "done"])
        assert run.events(Event.RUN_PARKED) == []


async def test_steps_that_pause_together_are_each_tried_at_their_own_time(database_url: str) -> None:
    """Of an hour and a day the run wakes for the hour; the other step keeps its count and its time."""
    soon, late = Tries(good_at=2), Tries(good_at=2)

    @step(retry=HOUR)
    async def hourly() -> int:
        return soon.one()

    @step(retry=Retry.fixed(86400, max_attempts=2))
    async def daily() -> int:
        return late.one()

    @workflow
    async def pair(ctx: Ctx) -> list[int]:
        return list(await asyncio.gather(ctx.step(hourly), ctx.step(daily)))

    async with running(database_url, pair.handler()) as run:
        run_id = await start(run, pair)
        await waits(run, run_id)
        assert await steps_of(run, run_id) == {"hourly": "waiting", "daily": "waiting"}
        await due(run, "pair")
        await run.true_in_database("(select state = 'completed' from postmill.steps where step = 'hourly')")
        await waits(run, run_id)
        assert (soon.count, late.count) == (2, 1)
        assert await run.db.fetchval(
            "select due_at > now() + interval '22 hours' and due_at < now() + interval '23 hours'"
            " from postmill.runs"
        )
        await due(run, "pair")
        assert await end_of(run, run_id) == ("completed", [2, 2])
        assert late.count == 2


async def test_items_of_a_map_pause_apart_and_keep_their_places(database_url: str) -> None:
    """Two items of five fail at first: they keep the two places, and the rest follows when they are done."""
    tries: dict[int, Tries] = {n: Tries(good_at=2 if n < 2 else 1) for n in range(5)}

    @step(retry=HOUR)
    async def item(n: int) -> int:
        tries[n].one()
        return n

    @workflow
    async def each(ctx: Ctx) -> list[int]:
        return await ctx.map(item, list(range(5)), max_concurrent=2)

    async with running(database_url, each.handler()) as run:
        run_id = await start(run, each)
        await waits(run, run_id)
        assert [tries[n].count for n in range(5)] == [1, 1, 0, 0, 0]
        await due(run, "each")
        assert await end_of(run, run_id) == ("completed", [0, 1, 2, 3, 4])
        assert [tries[n].count for n in range(5)] == [2, 2, 1, 1, 1]


async def test_a_signal_that_comes_in_a_pause_is_taken_and_the_pause_goes_on(database_url: str) -> None:
    tries = Tries(good_at=3)
    flaky = flaky_of(tries)

    @workflow
    async def both(ctx: Ctx) -> list[int]:
        return list(await asyncio.gather(ctx.wait(answer), ctx.step(flaky)))

    async with running(database_url, both.handler()) as run:
        run_id = await start(run, both)
        await waits(run, run_id)
        before = await run.db.fetchval("select due_at from postmill.runs")
        await run.db.execute("select postmill.signal_run($1, 'answer', '7')", run_id)
        await run.true_in_database("(select state = 'completed' from postmill.steps where step = 'answer')")
        await waits(run, run_id)
        assert await run.db.fetchval("select due_at from postmill.runs") == before
        assert tries.count == 1
        await due(run, "both")
        await attempts_of(run, "flaky", 2)
        await due(run, "both")
        assert await end_of(run, run_id) == ("completed", [7, 3])


async def test_a_run_that_is_paused_and_resumed_waits_on_for_its_next_attempt(database_url: str) -> None:
    tries = Tries(good_at=2)
    patient = patient_of(tries)

    async with running(database_url, patient.handler()) as run:
        run_id = await start(run, patient)
        await waits(run, run_id)
        before = await run.db.fetchval("select due_at from postmill.runs")
        await run.db.execute("select postmill.pause_run($1)", run_id)
        await due(run, "patient")
        await run.until(Event.STEP_HELD)
        await run.db.execute(
            "update postmill.steps set due_at = $1 where step = 'flaky'", before
        )  # undoes what made it due
        await run.db.execute("select postmill.resume_run($1)", run_id)
        await waits(run, run_id)
        assert await run.db.fetchval("select due_at from postmill.runs") == before
        assert tries.count == 1
        await due(run, "patient")
        assert await end_of(run, run_id) == ("completed", 2)


async def test_a_run_that_is_cancelled_in_a_pause_is_not_tried_again(database_url: str) -> None:
    tries = Tries()
    patient = patient_of(tries)

    async with running(database_url, patient.handler()) as run:
        run_id = await start(run, patient)
        await waits(run, run_id)
        await run.db.execute("select postmill.cancel_run($1)", run_id)
        await due(run, "patient")
        await run.until(Event.STEP_DROPPED)
        shown = await run.db.fetchrow(
            "select state, attempts from postmill.run_steps where run_id = $1", run_id
        )
        assert (await end_of(run, run_id))[0] == "cancelled"
        assert (tries.count, tuple(shown)) == (1, ("cancelled", 1))


async def test_a_deadline_ends_a_pause_and_a_retry_begins_with_the_first_attempt(database_url: str) -> None:
    """Who retries a run means its steps too: what was counted before counts no more."""
    tries = Tries(good_at=4)
    patient = patient_of(tries)

    async with running(database_url, patient.handler()) as run:
        run_id = await start(run, patient)
        await attempts_of(run, "flaky", 1)
        await due(run, "patient")
        await attempts_of(run, "flaky", 2)
        await run.db.execute("update postmill.runs set deadline = now()")
        await run.db.execute("select postmill.sweep_flows()")
        assert (await end_of(run, run_id)) == ("failed", "its deadline was over")
        await run.db.execute("select postmill.retry_run($1)", run_id)
        await attempts_of(run, "flaky", 1)
        await due(run, "patient")
        assert await end_of(run, run_id) == ("completed", 4)
        assert await run.db.fetchval("select attempts from postmill.steps") == 2


async def test_what_undoes_pauses_without_a_slot_and_goes_on_with_its_own_count(database_url: str) -> None:
    """The run is `undoing` meanwhile. Another client deletes its message: the audit sends it again."""
    done: list[str] = []
    tries = Tries(good_at=3)

    async def book() -> None:
        done.append("book")

    @step(retry=HOUR)
    async def unbook() -> None:
        tries.one()
        done.append("unbook")

    @step(retry=Retry.none)
    async def ship() -> None:
        raise Away("no ship")

    @workflow
    async def trip(ctx: Ctx) -> None:
        await ctx.step(book)
        ctx.on_failure(unbook)
        await ctx.step(ship)

    parked = (
        "(select r.state = 'undoing' and q.vt > now() + interval '50 minutes' and s.attempts = {}"
        " from postmill.runs as r, pgmq.q_trip as q, postmill.steps as s where s.step = 'undo:unbook')"
    )
    async with running(database_url, trip.handler()) as run:
        run_id = await start(run, trip)
        await run.true_in_database(parked.format(1))
        await run.let_go()
        await run.db.execute("delete from pgmq.q_trip")
        await run.db.execute("update postmill.flow_audit set due_at = '-infinity'")
        await run.db.execute("select postmill.sweep_flows()")
        await run.true_in_database(parked.format(1))
        await due(run, "trip")
        await run.true_in_database(parked.format(2))
        await due(run, "trip")
        state, reason = await end_of(run, run_id)
        assert (state, "failed too" in reason) == ("failed", False)
        assert (done, tries.count) == (["book", "unbook"], 3)


async def test_a_transaction_pauses_as_any_step_and_its_writes_are_there_once(database_url: str) -> None:
    tries = Tries(good_at=3)

    @step(retry=HOUR)
    async def write(tx: Transaction) -> int:
        await tx.execute("insert into effects values (1)")
        return tries.one()

    @workflow
    async def careful(ctx: Ctx) -> int:
        return await ctx.transaction(write)

    async with running(database_url, careful.handler()) as run:
        await run.db.execute("create table effects (n integer)")
        run_id = await start(run, careful)
        for failed in (1, 2):
            await attempts_of(run, "write", failed)
            await run.let_go()
            await due(run, "careful")
        assert await end_of(run, run_id) == ("completed", 3)
        assert (await run.count("effects"), tries.count) == (1, 3)
        assert await run.db.fetchval("select attempts from postmill.steps") == 3


async def test_a_step_that_asks_for_a_later_time_is_no_attempt_and_holds_no_slot(database_url: str) -> None:
    calls: list[int] = []

    @step(retry=Retry.none)
    async def early() -> int:
        calls.append(1)
        if len(calls) < 3:
            raise Snooze(3600)
        return len(calls)

    @workflow
    async def patient(ctx: Ctx) -> int:
        return await ctx.step(early)

    async with running(database_url, patient.handler()) as run:
        run_id = await start(run, patient)
        for count in (1, 2):
            await run.until(Event.RUN_PARKED, count=count)
            await attempts_of(run, "early", 0)
            await due(run, "patient")
        assert await end_of(run, run_id) == ("completed", 3)
        assert await run.db.fetchval("select attempts from postmill.steps") == 1


async def test_a_failure_that_was_counted_on_can_be_caught_and_a_new_step_counts_anew(
    database_url: str,
) -> None:
    first, second = Tries(), Tries(good_at=2)

    @step(retry=Retry.fixed(3600, max_attempts=2))
    async def card() -> int:
        return first.one()

    @step(retry=Retry.fixed(3600, max_attempts=2))
    async def transfer() -> int:
        return second.one()

    @workflow
    async def pay(ctx: Ctx) -> str:
        try:
            return f"card {await ctx.step(card)}"
        except StepFailed:
            return f"transfer {await ctx.step(transfer)}"

    async with running(database_url, pay.handler()) as run:
        run_id = await start(run, pay)
        await attempts_of(run, "card", 1)
        await due(run, "pay")
        await attempts_of(run, "transfer", 1)
        await due(run, "pay")
        assert await end_of(run, run_id) == ("completed", "transfer 2")
        assert (first.count, second.count) == (2, 2)


async def test_other_arguments_and_new_code_before_a_step_that_pauses_are_seen(database_url: str) -> None:
    """A run in a pause has passed what lies before: `patched` says no, and other arguments are refused."""
    tries = Tries()

    @step(retry=HOUR)
    async def flaky(n: int) -> int:
        return n + tries.one()

    def of(release: int) -> Any:
        async def patient(ctx: Ctx) -> Any:
            is_new = release > 1 and ctx.patched("audit")
            return [is_new, await ctx.step(flaky, 10 if release < 3 else 20)]

        return workflow(patient)

    async with running(database_url, of(1).handler()) as run:
        first, second = await start(run, of(1)), await start(run, of(1))
        await waits(run, first)
        await waits(run, second)
    tries.count, tries.good_at = 1, 2
    async with running(database_url, WorkflowHandler(of(2))) as run:
        await run.db.execute(
            "update pgmq.q_patient set vt = now() where (message ->> 'run')::bigint = $1", first
        )
        await run.db.execute("update postmill.steps set due_at = now() where run_id = $1", first)
        assert await end_of(run, first) == ("completed", [False, 12])
    async with running(database_url, WorkflowHandler(of(3))) as run:
        await due(run, "patient")
        state, reason = await end_of(run, second)
        assert (state, "[10]" in reason, "[20]" in reason) == ("failed", True, True)


async def test_a_fork_counts_anew_and_a_run_that_is_brought_elsewhere_counts_on(database_url: str) -> None:
    tries = Tries(good_at=4)
    patient = patient_of(tries)

    async with running(database_url, patient.handler()) as run:
        run_id = await start(run, patient)
        await waits(run, run_id)
        document = await run.db.fetchval("select postmill.export_run($1)::text", run_id)
        assert json.loads(document)["steps"][0]["attempts"] == 1
        twin = await run.db.fetchval("select postmill.import_run($1::text::jsonb)", document)
        fork = await run.db.fetchval("select postmill.fork_run($1, 'flaky')", run_id)
        await waits(run, fork)
        assert tries.count == 2
        await run.db.execute("select postmill.resume_run($1)", twin)
        await waits(run, twin)
        counts = "select array_agg(attempts order by run_id) from postmill.steps where run_id = any ($1)"
        assert await run.db.fetchval(counts, [run_id, twin, fork]) == [1, 1, 1]
        assert tries.count == 2
        for each in (run_id, fork):
            await run.db.execute("select postmill.cancel_run($1)", each)
        await due(run, "patient")
        await run.true_in_database(f"(select attempts = 2 from postmill.steps where run_id = {twin})")
        await waits(run, twin)
        await due(run, "patient")
        assert await end_of(run, twin) == ("completed", 4)


async def test_the_clock_of_a_worker_decides_nothing(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a day ahead: whatever is due is due by the server's clock."""
    wall = time.time
    monkeypatch.setattr(time, "time", lambda: wall() + 86_400)

    @workflow(name="patient")
    async def patient(ctx: Ctx) -> bool | None:
        await ctx.sleep(0.01)
        return await ctx.wait(Signal("go", bool), timeout=3600)

    async with running(database_url, patient.handler()) as run:
        run_id = await start(run, patient)
        await run.true_in_database("waits_for = '{go}' from postmill.runs")
        left_s = "extract(epoch from {} - clock_timestamp()) between 1800 and 3600"
        assert await run.db.fetchval(f"select {left_s.format('due_at')} from postmill.runs")
        assert await run.db.fetchval(f"select {left_s.format('vt')} from pgmq.q_patient")
        await run.db.execute("select postmill.signal_run($1, 'go', 'true')", run_id)
        assert await end_of(run, run_id) == ("completed", True)

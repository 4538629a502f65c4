"""Durable functions on a real worker: what is recorded is returned, what waits holds no slot, what fails says
so.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from pydantic import BaseModel, Field

from postmill import Dead, Retry
from postmill.flows import Ctx, Signal, Workflow, step, workflow
from postmill.flows.running.handlers import together
from postmill.flows.running.workflow_handler import WorkflowHandler
from postmill.model.errors import InvalidFlow, ReplayMismatch, StepFailed
from postmill.model.events import Event
from postmill.model.queue.queue_name import QueueShape
from postmill.sql.catalog import queue_statement
from tests.service.running import running

if TYPE_CHECKING:
    from postmill.handlers.context import Transaction
    from tests.service.running import Running


async def start(run: Running, flow: Workflow[..., Any], **arguments: object) -> int:
    """A run of ``flow``, as another client would start it."""
    run_id: int = await run.db.fetchval(
        "select postmill.start_flow($1, $2::jsonb)", flow.name, json.dumps(arguments)
    )
    return run_id


async def end_of(run: Running, run_id: int) -> tuple[str, Any]:
    """State and output, or the reason, once the run has ended."""
    await run.true_in_database(f"(select ended_at is not null from postmill.runs where run_id = {run_id})")
    row = await run.db.fetchrow("select state, output, reason from postmill.runs where run_id = $1", run_id)
    return row["state"], row["reason"] if row["output"] is None else json.loads(row["output"])


async def steps_of(run: Running, run_id: int) -> dict[str, str]:
    """The state of each step that is recorded."""
    rows = await run.db.fetch("select step, state from postmill.steps where run_id = $1", run_id)
    return {row["step"]: row["state"] for row in rows}


async def waits(run: Running, run_id: int) -> None:
    """Until the run is parked."""
    await run.true_in_database(f"(select state = 'waiting' from postmill.runs where run_id = {run_id})")


async def resumed(run: Running, run_id: int) -> None:
    """The run begins again from its records, as after a crash of its worker."""
    await run.db.execute(
        "with woken as (update postmill.runs set state = 'running', wake = wake + 1 where run_id = $1"
        " returning run_id) select postmill._send_wakes(array_agg(run_id), array[now()]) from woken",
        run_id,
    )


@dataclass
class Receipt:
    """What a step returns."""

    number: int


async def double(n: int) -> int:
    return 2 * n


async def test_steps_are_numbered_by_name_and_recorded_once(database_url: str) -> None:
    calls: list[int] = []

    def charge(amount: int) -> Receipt:
        calls.append(amount)
        return Receipt(amount + 1)

    @workflow
    async def checkout(ctx: Ctx, amount: int) -> list[int]:
        first = await ctx.step(charge, amount)
        second = await ctx.step(charge, first.number)
        third = await ctx.named("tip").step(charge, 0)
        await ctx.sleep(0.01)
        return [each.number for each in (first, second, third)]

    async with running(database_url, checkout.handler()) as run:
        run_id = await start(run, checkout, amount=5)
        assert await end_of(run, run_id) == ("completed", [6, 7, 1])
        assert calls == [5, 6, 0]
        assert await steps_of(run, run_id) == dict.fromkeys(
            ("charge", "charge#2", "tip", "sleep"), "completed"
        )
        assert await run.count("pgmq.q_checkout") == 0


@pytest.mark.parametrize("value", [0, "", False, None, [], {}])
async def test_falsy_outputs_are_outputs(database_url: str, value: object) -> None:
    calls: list[int] = []

    async def nothing() -> Any:
        calls.append(1)
        return value

    @workflow
    async def empty(ctx: Ctx) -> Any:
        found = await ctx.step(nothing)
        await ctx.sleep(0.01)
        return [found]

    async with running(database_url, empty.handler()) as run:
        assert await end_of(run, await start(run, empty)) == ("completed", [value])
        assert calls == [1]


async def test_gather_gives_the_same_names_in_each_replay(database_url: str) -> None:
    calls: list[int] = []

    async def slow(n: int) -> int:
        calls.append(n)
        await asyncio.sleep(0.02 * (3 - n))
        return n

    @workflow
    async def together(ctx: Ctx) -> list[int]:
        found = await asyncio.gather(*(ctx.step(slow, n) for n in range(3)))
        await ctx.sleep(0.01)
        return found

    async with running(database_url, together.handler()) as run:
        run_id = await start(run, together)
        assert await end_of(run, run_id) == ("completed", [0, 1, 2])
        assert sorted(calls) == [0, 1, 2]


async def test_branches_that_overtake_each_other_are_the_same_in_a_replay(database_url: str) -> None:
    """The second one was the first to ship, and a replay gave its parcel to the first one's order."""
    shipped = asyncio.Event()

    async def reserve(n: int) -> int:
        await (shipped.wait() if n == 0 else asyncio.sleep(0))
        return n

    async def ship(n: int) -> str:
        shipped.set()
        return f"parcel {n}"

    @workflow
    async def orders(ctx: Ctx) -> list[str]:
        async def order(n: int) -> str:
            return await ctx.step(ship, await ctx.step(reserve, n))

        parcels = list(await asyncio.gather(order(0), order(1)))
        await ctx.sleep(0.01)
        return parcels

    async with running(database_url, orders.handler()) as run:
        assert await end_of(run, await start(run, orders)) == ("completed", ["parcel 0", "parcel 1"])
        steps = await run.db.fetch('select step from postmill.steps order by step collate "C"')
        assert [row["step"] for row in steps] == [
            "reserve@1", "reserve@1/ship", "reserve@2", "reserve@2/ship", "sleep"
        ]  # fmt: skip


async def test_a_branch_that_waits_is_cancelled_when_its_run_is_parked(database_url: str) -> None:
    """``asyncio.wait`` leaves its tasks alone when it is cancelled: they stayed, until asyncio said that a
    pending task was destroyed.
    """
    cut = asyncio.Event()

    @workflow
    async def orders(ctx: Ctx) -> None:
        async def order() -> None:
            try:
                await ctx.wait(approved)
            except asyncio.CancelledError:
                cut.set()
                raise

        await asyncio.wait({asyncio.create_task(order())})

    async with running(database_url, orders.handler()) as run:
        run_id = await start(run, orders)
        async with asyncio.timeout(20):
            await cut.wait()
        await run.db.execute("select postmill.signal_run($1, 'approved', '{\"ok\": 1}')", run_id)
        assert (await end_of(run, run_id))[0] == "completed"


async def test_a_map_keeps_its_order_its_limit_and_the_failure_of_the_first(database_url: str) -> None:
    at_once: list[int] = [0, 0]

    @step(retry=Retry.none)
    async def item(n: int) -> int:
        at_once[0] += 1
        at_once[1] = max(at_once)
        await asyncio.sleep(0.005)
        at_once[0] -= 1
        if n in (5, 7):
            raise ValueError(f"no {n}")
        return n * 10

    @workflow
    async def each(ctx: Ctx, count: int) -> list[int]:
        return await ctx.map(item, list(range(count)), max_concurrent=2)

    async with running(database_url, each.handler()) as run:
        assert await end_of(run, await start(run, each, count=4)) == ("completed", [0, 10, 20, 30])
        run_id = await start(run, each, count=8)
        state, reason = await end_of(run, run_id)
        assert state == "failed"
        assert "item[5]" in reason
        assert "no 5" in reason
        states = await steps_of(run, run_id)
        assert [states[f"item[{n}]"] for n in (4, 5, 6, 7)] == ["completed", "failed", "completed", "failed"]
        assert at_once == [0, 2]


approved: Signal[Any] = Signal("approved", dict)
said: Signal[str] = Signal("said", str, many=True)


@workflow
async def approval(ctx: Ctx, timeout: float = 0.0) -> Any:
    await ctx.step(double, 1)
    if timeout:
        return await ctx.wait(approved, timeout=timeout)
    return [await ctx.wait(approved), await ctx.wait(approved)]


async def test_a_wait_frees_its_slot_and_the_first_signal_counts(database_url: str) -> None:
    async with running(database_url, approval.handler()) as run:
        run_id = await start(run, approval)
        await waits(run, run_id)
        assert await run.count("pgmq.q_approval") == 0
        await run.let_go()
        signal = "select postmill.signal_run($1, 'approved', $2::jsonb)"
        assert await run.db.fetchval(signal, run_id, '{"by": "me"}') is True
        assert await run.db.fetchval(signal, run_id, '{"by": "you"}') is False
        assert await end_of(run, run_id) == ("completed", [{"by": "me"}] * 2)
        assert await run.db.fetchval(signal, run_id, "1") is False


async def test_a_wait_ends_with_its_time_and_a_late_signal_finds_a_run_that_has_ended(
    database_url: str,
) -> None:
    async with running(database_url, approval.handler()) as run:
        run_id = await start(run, approval, timeout=0.05)
        assert await end_of(run, run_id) == ("completed", None)
        reason = await run.db.fetchval("select reason from postmill.steps where step = 'approved'")
        assert reason == "timed out"


async def test_a_signal_that_came_before_the_wait_is_taken_at_once(database_url: str) -> None:
    async with running(database_url, approval.handler(), begin=False) as run:
        await run.db.execute(
            "select postmill.register_flow('approval', 'workflow', 'approval', '{\"steps\": []}')"
        )
        run_id = await start(run, approval, timeout=60)
        await run.db.execute("select postmill.signal_run($1, 'approved', '{}')", run_id)
        await run.engine.start()
        assert await end_of(run, run_id) == ("completed", {})
        assert run.events(Event.RUN_PARKED) == []


async def test_signals_of_a_queue_are_taken_one_a_wait_in_their_order(database_url: str) -> None:
    @workflow
    async def talk(ctx: Ctx) -> list[str]:
        return [await ctx.wait(said) for _ in range(3)]

    async with running(database_url, talk.handler()) as run:
        run_id = await start(run, talk)
        await waits(run, run_id)
        for word in ("a", "b", "c"):
            await run.db.execute(
                "select postmill.signal_run($1, 'said', to_jsonb($2::text), many => true)", run_id, word
            )
        assert await end_of(run, run_id) == ("completed", ["a", "b", "c"])
        taken = await run.db.fetch("select taken_by from postmill.signals order by signal_id")
        assert [row["taken_by"] for row in taken] == ["said", "said#2", "said#3"]


async def test_a_run_that_waits_for_several_things_goes_on_with_the_first(database_url: str) -> None:
    @workflow
    async def either(ctx: Ctx) -> Any:
        return await asyncio.gather(
            ctx.wait(approved, timeout=60), ctx.wait(said, timeout=0.05), ctx.step(double, 4)
        )

    async with running(database_url, either.handler()) as run:
        run_id = await start(run, either)
        await run.true_in_database("(select state = 'completed' from postmill.steps where step = 'said')")
        await waits(run, run_id)
        await run.db.execute("select postmill.signal_run($1, 'approved', '{\"ok\": 1}')", run_id)
        assert await end_of(run, run_id) == ("completed", [{"ok": 1}, None, 8])


async def test_a_step_is_tried_again_by_its_policy_and_then_its_failure_stays(database_url: str) -> None:
    calls: list[int] = []

    @step(retry=Retry.fixed(0.001, max_attempts=3), timeout=5)
    async def flaky(good_at: int) -> int:
        calls.append(good_at)
        if len(calls) < good_at:
            raise ValueError("not yet")
        return len(calls)

    @workflow
    async def patient(ctx: Ctx, good_at: int) -> str:
        try:
            return str(await ctx.step(flaky, good_at))
        except StepFailed as failed:
            await ctx.sleep(0.01)
            return f"{failed.step}: {failed.reason}"

    async with running(database_url, patient.handler()) as run:
        assert await end_of(run, await start(run, patient, good_at=3)) == ("completed", "3")
        calls.clear()
        state, output = await end_of(run, await start(run, patient, good_at=9))
        assert state == "completed"
        assert output.startswith("flaky: ")
        assert output.endswith("ValueError: not yet")
        assert len(calls) == 3
        attempts = await run.db.fetch(
            "select attempts from postmill.steps where step = 'flaky' order by run_id"
        )
        assert [row["attempts"] for row in attempts] == [3, 3]


async def test_a_step_that_takes_too_long_fails(database_url: str) -> None:
    @step(retry=Retry.none, timeout=0.01)
    async def endless() -> None:
        await asyncio.Event().wait()

    @workflow
    async def late(ctx: Ctx) -> None:
        await ctx.step(endless)

    async with running(database_url, late.handler()) as run:
        state, reason = await end_of(run, await start(run, late))
        assert state == "failed"
        assert "endless" in reason
        assert "TimeoutError" in reason


@pytest.mark.parametrize(
    ("made", "words"),
    [("x" * 1_048_576, "1,048,578 bytes"), (object(), "object"), (float("nan"), "nan")],
    ids=["large", "object", "nan"],
)
async def test_a_result_that_cannot_be_kept_is_the_steps_failure(
    database_url: str, made: object, words: str
) -> None:
    calls: list[int] = []

    async def produce() -> Any:
        calls.append(1)
        return made

    @workflow
    async def keep(ctx: Ctx) -> None:
        await ctx.step(produce)

    async with running(database_url, keep.handler()) as run:
        state, reason = await end_of(run, await start(run, keep))
        assert state == "failed"
        assert "'produce'" in reason
        assert words in reason.lower()
        assert calls == [1]


async def test_an_exception_out_of_the_function_fails_the_run(database_url: str) -> None:
    @workflow
    async def broken(ctx: Ctx, how: str) -> None:
        raise {"dead": Dead("no more"), "error": KeyError("x")}[how]

    async with running(database_url, broken.handler()) as run:
        assert await end_of(run, await start(run, broken, how="dead")) == ("failed", "no more")
        assert await end_of(run, await start(run, broken, how="error")) == ("failed", "KeyError: 'x'")
        assert await run.account("broken") == {"queue": 0, "archive": 0, "dead": 0, "claims": 0}


class Cents(BaseModel):
    """What only its own library can check."""

    count: int = Field(gt=0)


async def test_an_input_that_does_not_fit_starts_nothing_or_ends_the_run_at_once(database_url: str) -> None:
    @workflow
    async def paid(ctx: Ctx, cents: Cents) -> int:
        return cents.count

    async with running(database_url, paid.handler()) as run:
        for wrong, says in (({}, "has no field cents"), ({"cents": {}, "x": 1}, "can't have a field x")):
            with pytest.raises(asyncpg.PostgresError, match=says):
                await start(run, paid, **wrong)
        state, reason = await end_of(run, await start(run, paid, cents={"count": 0}))
        assert state == "failed"
        assert reason == (
            "The input's 'cents' does not fit the workflow 'paid'. count: should be greater than 0."
        )
        assert await end_of(run, await start(run, paid, cents={"count": 7})) == ("completed", 7)


@pytest.mark.parametrize("inside", [True, False], ids=["step", "function"])
async def test_an_error_whose_text_no_row_can_hold_is_a_failure_as_any(
    database_url: str, *, inside: bool
) -> None:
    """The database refused the reason for its NUL: the run never ended, and its step ran again and again."""
    calls: list[int] = []

    @step(retry=Retry.none)
    async def garbled() -> None:
        calls.append(1)
        raise ValueError("x\x00y \ud800")

    @workflow
    async def broken(ctx: Ctx) -> None:
        await (ctx.step(garbled) if inside else garbled())

    async with running(database_url, broken.handler()) as run:
        state, reason = await end_of(run, await start(run, broken))
        assert state == "failed"
        assert "ValueError: x\\x00y \\ud800" in reason
        assert calls == [1]


class Abandoned(BaseException):
    """No ``Exception``."""


@pytest.mark.parametrize("error", [GeneratorExit, Abandoned, SystemExit, KeyboardInterrupt])
async def test_what_is_no_exception_fails_the_run_too(database_url: str, error: type[BaseException]) -> None:
    """The message was tried again for ever."""

    @workflow
    async def abandoned(ctx: Ctx) -> None:
        raise error

    async with running(database_url, abandoned.handler()) as run:
        assert await end_of(run, await start(run, abandoned)) == ("failed", error.__name__)


@pytest.mark.parametrize(
    "error", [GeneratorExit, Abandoned, SystemExit, KeyboardInterrupt, asyncio.CancelledError]
)
@pytest.mark.parametrize("how", ["async", "thread", "transaction"])
async def test_a_step_that_raises_what_is_no_exception_has_its_attempts(
    database_url: str, error: type[BaseException], how: str
) -> None:
    """``sys.exit()`` in a step ended the worker, again and again: its attempts were not counted. One that
    awaited a cancelled task failed the whole run at its first attempt.
    """
    calls: list[int] = []

    @step(retry=Retry.fixed(0, max_attempts=2))
    async def leaves(*_transaction: object) -> None:
        calls.append(1)
        raise error

    @step(retry=Retry.fixed(0, max_attempts=2))
    def leaves_its_thread() -> None:
        calls.append(1)
        raise error

    @workflow
    async def goes_on(ctx: Ctx) -> str:
        try:
            if how == "transaction":
                await ctx.transaction(leaves)
            else:
                await ctx.step(leaves if how == "async" else leaves_its_thread)
        except StepFailed as failed:
            return failed.reason
        return "no failure"

    async with running(database_url, goes_on.handler()) as run:
        state, output = await end_of(run, await start(run, goes_on))
        assert state == "completed"
        assert f"failed 2 of 2 attempts: {error.__name__}" in output
    assert calls == [1, 1]


async def test_other_arguments_in_a_replay_are_refused_with_both(database_url: str) -> None:
    amounts = iter([1, 2])

    @workflow
    async def drifting(ctx: Ctx) -> None:
        await ctx.step(double, next(amounts))
        await ctx.wait(approved)

    async with running(database_url, drifting.handler()) as run:
        run_id = await start(run, drifting)
        await waits(run, run_id)
        await resumed(run, run_id)
        state, reason = await end_of(run, run_id)
        assert state == "failed"
        assert "ReplayMismatch" in reason
        assert "[1]" in reason
        assert "[2]" in reason
        assert ReplayMismatch.code == "replay-mismatch"


@pytest.mark.parametrize("caught", [True, False], ids=["caught", "raised"])
async def test_a_deploy_that_does_not_fit_undoes_nothing_and_a_retry_after_a_rollback_goes_on(
    database_url: str, *, caught: bool
) -> None:
    """A bad deploy refunded every order that was under way, and a retry charged them again."""
    done: list[str] = []
    amount = 1

    async def charge(amount: int) -> None:
        done.append(f"charged {amount}")

    async def refund() -> None:
        done.append("refunded")

    async def decline() -> None:
        done.append("declined")
        raise Dead("no")

    @workflow
    async def order(ctx: Ctx) -> str:
        ctx.on_failure(refund)
        with suppress(StepFailed):
            await ctx.step(decline)
        with suppress(*([Exception] if caught else [])):
            await ctx.step(charge, amount)
        await ctx.wait(approved)
        return "sold"

    async with running(database_url, order.handler()) as run:
        run_id = await start(run, order)
        await waits(run, run_id)
        amount = 2
        await resumed(run, run_id)
        state, reason = await end_of(run, run_id)
        assert (state, "ReplayMismatch" in reason) == ("failed", True)
        assert await run.db.fetchval("select culprit from postmill.runs") == "charge"
        amount = 1
        assert await run.db.fetchval("select postmill.retry_run($1)", run_id)
        await run.db.execute("select postmill.signal_run($1, 'approved', '{}')", run_id)
        assert await end_of(run, run_id) == ("completed", "sold")
        assert done == ["declined", "charged 1"]


async def test_an_output_that_does_not_fit_a_new_annotation_undoes_nothing(database_url: str) -> None:
    """It was taken for a failure of the order: a deploy with a new field refunded what was under way."""
    done: list[str] = []

    async def old() -> dict[str, int]:
        return {"amount": 1}

    async def new() -> Receipt:
        return Receipt(1)

    async def refund() -> None:
        done.append("refunded")

    code: Any = old

    @workflow
    async def order(ctx: Ctx) -> None:
        ctx.on_failure(refund)
        await ctx.named("charge").step(code)
        await ctx.wait(approved)

    async with running(database_url, order.handler()) as run:
        run_id = await start(run, order)
        await waits(run, run_id)
        code = new
        await resumed(run, run_id)
        state, reason = await end_of(run, run_id)
        assert (state, done) == ("failed", [])
        assert "What step 'charge' gave does not fit" in reason


async def test_what_was_done_is_undone_in_reverse_and_once(database_url: str) -> None:
    undone: list[str] = []

    async def undo(what: str) -> None:
        undone.append(what)
        if what == "b":
            raise Dead("stuck")

    @workflow
    async def saga(ctx: Ctx) -> None:
        for what in ("a", "b", "c"):
            await ctx.step(double, 1)
            ctx.on_failure(undo, what)
        raise ValueError("no stock")

    async with running(database_url, saga.handler()) as run:
        run_id = await start(run, saga)
        state, reason = await end_of(run, run_id)
        assert undone == ["c", "b", "a"]
        assert state == "failed"
        assert reason == "ValueError: no stock; undo:undo#2 failed too: stuck"
        states = await steps_of(run, run_id)
        assert (states["undo:undo"], states["undo:undo#2"]) == ("completed", "failed")
        left = await run.db.fetchval("select count(*) from postmill.steps where undone_at is null")
        assert left == 0  # a retry of the run does all of it again


async def test_a_worker_that_died_while_undoing_is_followed_by_one_that_undoes_the_rest(
    database_url: str,
) -> None:
    done: list[str] = []

    async def act(what: str) -> str:
        done.append(f"did {what}")
        return what

    async def undo(what: str) -> None:
        done.append(f"undid {what}")

    @workflow
    async def trip(ctx: Ctx) -> None:
        for what in ("a", "b", "c"):
            ctx.on_failure(undo, await ctx.step(act, what))
        await ctx.wait(approved)

    async with running(database_url, trip.handler(), begin=False) as run:
        await run.db.execute("select postmill.register_flow('trip', 'workflow', 'trip', '{\"steps\": []}')")
        run_id = await start(run, trip)
        await run.db.execute(
            "insert into postmill.steps (run_id, step, state, output)"
            " values ($1, 'act', 'completed', '\"a\"'),"
            " ($1, 'act#2', 'completed', '\"b\"'), ($1, 'undo:undo#2', 'completed', 'null')",
            run_id,
        )
        await run.db.execute("select postmill._begin_undo($1, 0, 'no stock', 'ship')", run_id)
        await run.engine.start()
        assert await end_of(run, run_id) == ("failed", "no stock")
        assert done == ["undid a"]
        assert await run.db.fetchval("select culprit from postmill.runs") == "ship"


@workflow
async def child(ctx: Ctx, n: int) -> int:
    if n < 0:
        raise ValueError("negative")
    await ctx.sleep(0.01)
    return await ctx.step(double, n)


async def test_a_run_waits_for_its_children_and_gets_their_results_or_failures(database_url: str) -> None:
    @workflow
    async def parent(ctx: Ctx, n: int) -> Any:
        many = await ctx.map(child, [n, n + 1], max_concurrent=2)
        try:
            await ctx.run(child, -1)
        except StepFailed as failed:
            return [many, failed.reason]

    async with running(database_url, parent.handler(), child.handler()) as run:
        run_id = await start(run, parent, n=3)
        state, output = await end_of(run, run_id)
        assert state == "completed"
        assert output[0] == [6, 8]
        assert output[1].endswith("ValueError: negative")
        children = await run.db.fetch(
            "select parent_step from postmill.runs where parent_run = $1 order by 1", run_id
        )
        assert [row["parent_step"] for row in children] == ["child#2", "child[0]", "child[1]"]
        assert await run.count("pgmq.q_parent") == 0


async def test_a_run_that_is_started_goes_its_own_way(database_url: str) -> None:
    @workflow
    async def starter(ctx: Ctx) -> int:
        handle = await ctx.start(child, 4)
        await ctx.sleep(0.01)
        return handle.run_id

    async with running(database_url, starter.handler(), child.handler()) as run:
        run_id = await start(run, starter)
        state, started = await end_of(run, run_id)
        assert state == "completed"
        assert await end_of(run, started) == ("completed", 8)
        assert await run.count("postmill.runs") == 2


async def test_what_a_function_says_is_kept_once_whatever_is_replayed(database_url: str) -> None:
    @workflow
    async def chatty(ctx: Ctx) -> None:
        def inside() -> None:
            ctx.emit("token", "t")

        ctx.emit("begun", {"at": 0})
        await ctx.step(inside)
        ctx.emit("half", None)
        await ctx.sleep(0.01)
        ctx.emit("done", 1)

    async with running(database_url, chatty.handler()) as run:
        run_id = await start(run, chatty)
        await end_of(run, run_id)
        rows = await run.db.fetch("select step, name, value from postmill.run_events order by event_id")
        assert [tuple(row) for row in rows] == [
            (None, "begun", '{"at": 0}'),
            ("inside", "token", '"t"'),
            (None, "half", "null"),
            (None, "done", "1"),
        ]


async def test_a_transaction_commits_its_writes_with_its_checkpoint_or_neither(database_url: str) -> None:
    tries: list[int] = []

    @step(retry=Retry.fixed(0.001, max_attempts=2))
    async def write(tx: Transaction, n: int) -> int:
        await tx.execute("insert into written values ($1)", n)
        tries.append(n)
        if len(tries) == 1:
            raise ValueError("after the write")
        return n

    @workflow
    async def writer(ctx: Ctx) -> int:
        found = await ctx.transaction(write, 7)
        await ctx.sleep(0.01)
        return found

    async with running(database_url, writer.handler(), begin=False) as run:
        await run.db.execute("create table written (n integer)")
        await run.engine.start()
        assert await end_of(run, await start(run, writer)) == ("completed", 7)
        assert tries == [7, 7]
        assert await run.count("written") == 1


async def test_new_code_behind_patched_is_for_runs_that_had_not_passed(database_url: str) -> None:
    versions: dict[int, list[bool]] = {}
    new_code = False

    @workflow
    async def changing(ctx: Ctx) -> None:
        if new_code:
            versions.setdefault(ctx.run_id, []).append(ctx.patched("audit"))
        await ctx.step(double, 1)
        await ctx.wait(approved)

    async with running(database_url, changing.handler()) as run:
        old = await start(run, changing)
        await waits(run, old)
        new_code = True
        new = await start(run, changing)
        await waits(run, new)
        for run_id in (old, new):
            await run.db.execute("select postmill.signal_run($1, 'approved', '{}')", run_id)
            await end_of(run, run_id)
        assert versions == {old: [False], new: [True, True]}


@pytest.mark.parametrize(
    ("statement", "state"), [("cancel_run", "cancelled"), ("pause_run", "paused")], ids=["cancel", "pause"]
)
async def test_a_run_that_is_stopped_leaves_its_function_at_the_next_record(
    database_url: str, statement: str, state: str
) -> None:
    at_work, go_on = asyncio.Event(), asyncio.Event()
    left: list[str] = []

    async def hold() -> int:
        at_work.set()
        await go_on.wait()
        return 1

    @workflow
    async def long(ctx: Ctx) -> int:
        try:
            found = await ctx.step(hold)
            return found + await ctx.step(double, 1)
        except Exception:
            left.append("except Exception")
            raise
        finally:
            left.append("left")

    async with running(database_url, long.handler()) as run:
        run_id = await start(run, long)
        await at_work.wait()
        await run.db.execute(f"select postmill.{statement}($1)", run_id)
        go_on.set()
        await run.until(Event.STEP_HELD if state == "paused" else Event.STEP_DROPPED)
        assert left == ["left"]
        assert await run.db.fetchval("select state from postmill.runs") == state
        assert await steps_of(run, run_id) == {"hold": "completed"}
        if state == "paused":
            await run.true_in_database("cause = 'run_paused' from postmill.why('long', 1)")
            await run.db.execute("select postmill.resume_run($1)", run_id)
            assert await end_of(run, run_id) == ("completed", 3)


async def test_workflows_share_a_worker_and_a_strangers_run_is_held(database_url: str) -> None:
    @workflow(queue="shared")
    async def one(ctx: Ctx) -> str:
        return "one"

    @workflow(queue="shared")
    async def two(ctx: Ctx) -> str:
        return "two"

    @workflow(queue="shared")
    async def stranger(ctx: Ctx) -> str:
        return "stranger"

    with pytest.raises(InvalidFlow, match="can't share"):
        WorkflowHandler(one, approval)
    async with running(database_url, WorkflowHandler(one, two)) as run:
        assert await end_of(run, await start(run, one)) == ("completed", "one")
        assert await end_of(run, await start(run, two)) == ("completed", "two")
        await run.db.execute(
            "select postmill.register_flow('stranger', 'workflow', 'shared', '{\"steps\": []}')"
        )
        run_id = await start(run, stranger)
        await run.until(Event.STEP_HELD)
        assert (
            await run.db.fetchval("select why from postmill.held_tasks where run_id = $1", run_id)
            == "version"
        )


async def test_a_worker_that_stops_leaves_its_runs_to_the_next_at_the_next_step(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_work, go_on = asyncio.Event(), asyncio.Event()
    calls: list[str] = []

    async def first() -> str:
        calls.append("first")
        at_work.set()
        await go_on.wait()
        return "first"

    async def second() -> str:
        calls.append("second")
        return "second"

    @workflow
    async def handed_on(ctx: Ctx) -> list[str]:
        return [await ctx.step(first), await ctx.step(second)]

    async with running(database_url, handed_on.handler()) as run:
        run_id = await start(run, handed_on)
        await at_work.wait()
        dispatcher, told = run.engine.workers[0].dispatcher, asyncio.Event()
        tell_all = dispatcher.tell_all

        def tell(reason: Any) -> None:
            tell_all(reason)
            told.set()

        monkeypatch.setattr(dispatcher, "tell_all", tell)
        stopping = asyncio.create_task(run.engine.stop())
        await told.wait()
        go_on.set()
        await stopping
        assert await steps_of(run, run_id) == {"first": "completed"}
    async with running(database_url, handed_on.handler()) as run:
        assert await end_of(run, run_id) == ("completed", ["first", "second"])
    assert calls == ["first", "second"]


async def test_a_worker_that_stops_does_not_wait_for_a_pause_between_attempts(database_url: str) -> None:
    """A drain waited out the whole pause; the run is the next worker's, which goes on counting."""
    tried: list[int] = []
    first = asyncio.Event()

    @step(retry=Retry.fixed(3600, max_attempts=2))
    async def flaky() -> str:
        tried.append(1)
        first.set()
        if len(tried) == 1:
            raise ValueError("away")
        return "there"

    @workflow
    async def patient(ctx: Ctx) -> str:
        return await ctx.step(flaky)

    async with running(database_url, patient.handler()) as run:
        run_id = await start(run, patient)
        await first.wait()
        async with asyncio.timeout(20):
            await run.engine.stop()
        assert await steps_of(run, run_id) == {"flaky": "waiting"}
    async with running(database_url, patient.handler()) as run:
        await waits(run, run_id)
        await run.db.fetchrow(queue_statement("testing_make_due", QueueShape("patient", 0)), "patient")
        assert await end_of(run, run_id) == ("completed", "there")
        assert len(tried) == 2


async def test_a_step_whose_connection_is_lost_has_not_failed(database_url: str) -> None:
    tries: list[int] = []

    @step(retry=Retry.none)
    async def cut(tx: Transaction) -> int:
        tries.append(1)
        if len(tries) == 1:
            await tx.execute("select pg_terminate_backend(pg_backend_pid())")
        return len(tries)

    @workflow
    async def unlucky(ctx: Ctx) -> int:
        return await ctx.transaction(cut)

    async with running(database_url, unlucky.handler()) as run:
        assert await end_of(run, await start(run, unlucky)) == ("completed", 2)
        assert tries == [1, 1]


async def test_a_message_that_is_cancelled_or_nobodys_is_told_by_its_run_or_a_dead_letter(
    database_url: str,
) -> None:
    async with running(database_url, approval.handler(), begin=False) as run:
        await run.db.execute(
            "select postmill.register_flow('approval', 'workflow', 'approval', '{\"steps\": []}')"
        )
        run_id = await start(run, approval)
        await run.send(f'{{"run": {run_id}, "wake": 5}}', "approval")
        await run.send('{"run": 999, "wake": 0}', "approval")
        await run.send('{"hello": 1}', "approval")
        await run.engine.start()
        await run.until(Event.STEP_DROPPED, count=2)
        await run.until(Event.MESSAGE_DEAD)
        await waits(run, run_id)
        assert await run.account("approval") == {"queue": 0, "archive": 0, "dead": 1, "claims": 0}


async def test_a_thousand_steps_are_replayed_without_running_one(database_url: str) -> None:
    calls: list[int] = []

    async def one(n: int) -> int:
        calls.append(n)
        return n

    @workflow
    async def long(ctx: Ctx) -> int:
        return sum([await ctx.step(one, n) for n in range(1001)])

    async with running(database_url, long.handler(), begin=False) as run:
        await run.db.execute("select postmill.register_flow('long', 'workflow', 'long', '{\"steps\": []}')")
        run_id = await start(run, long)
        await run.db.execute(
            "insert into postmill.steps (run_id, step, state, output, inputs)"
            " select $1, 'one' || case when n = 0 then '' else '#' || n + 1 end, 'completed', to_jsonb(n),"
            " format('[%s]', n) from generate_series(0, 999) as n",
            run_id,
        )
        await run.engine.start()
        assert await end_of(run, run_id) == ("completed", 500500)
        assert calls == [1000]


@pytest.mark.parametrize(
    "call",
    [
        lambda ctx: ctx.step(double, 1),
        lambda ctx: ctx.map(double, [1]),
        lambda ctx: ctx.wait(approved),
        lambda ctx: ctx.sleep(60),
        lambda ctx: ctx.run(child, 1),
        lambda ctx: ctx.start(child, 1),
        lambda ctx: ctx.call("resize"),
        lambda ctx: ctx.transaction(double),
        lambda ctx: ctx.on_failure(double, 1),
        lambda ctx: ctx.patched("new"),
    ],
    ids=["step", "map", "wait", "sleep", "run", "start", "call", "transaction", "on_failure", "patched"],
)
async def test_a_step_inside_a_step_fails_it_at_once(database_url: str, call: Any) -> None:
    """The refusal was tried again as any error, for hours: the run held its slot and said nothing."""

    @workflow
    async def nested(ctx: Ctx) -> int:
        async def outer() -> int:
            return await call(ctx)  # type: ignore[no-any-return]

        return await ctx.step(outer)

    async with running(database_url, nested.handler()) as run:
        state, reason = await end_of(run, await start(run, nested))
        assert state == "failed"
        assert "can't be a step inside the step 'outer'" in reason
        assert await run.db.fetchval("select attempts from postmill.steps where step = 'outer'") == 1


async def test_a_wait_that_is_awaited_inside_a_step_fails_it_at_once(database_url: str) -> None:
    """Its name is taken outside. It waits for what only comes to a parked run, and a step keeps its run."""

    @workflow
    async def handed_in(ctx: Ctx) -> None:
        work = ctx.wait(approved)

        async def outer() -> None:
            await work

        await ctx.step(outer)

    async with running(database_url, handed_in.handler()) as run:
        state, reason = await end_of(run, await start(run, handed_in))
        assert state == "failed"
        assert "'approved' can't be a step inside the step 'outer'" in reason


async def test_workflows_of_one_queue_that_are_named_one_by_one_share_a_worker() -> None:
    """``postmill worker run`` made two workers, each of which claimed runs of the other and held them."""

    @workflow(queue="shared")
    async def one(ctx: Ctx) -> None: ...

    @workflow(queue="shared")
    async def two(ctx: Ctx) -> None: ...

    assert [each.name for each in together([one.handler(), two.handler()])] == ["one, two"]

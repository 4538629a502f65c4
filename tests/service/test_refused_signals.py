"""A signal whose value does not fit the type that a run waits for: refused where the type is known, told
where it is not, and never the end of the run.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

import asyncpg
import pytest
from pydantic import BaseModel, Field

from postmill.flows import Ctx, Flow, Run, Signal, workflow
from postmill.flows.accepted import accepted
from postmill.flows.events import Emitted
from postmill.flows.running.handlers import handlers_of
from postmill.flows.running.workflow_handler import WorkflowHandler
from postmill.model.errors import InvalidPayload
from postmill.model.events import Event
from tests.service.running import running
from tests.service.test_durable import end_of, resumed, start, waits

if TYPE_CHECKING:
    from tests.service.running import Running


@dataclass
class Approval:
    """What a person answers."""

    ok: bool
    by: str


class Amount(BaseModel):
    """What only its own library can check."""

    cents: int = Field(gt=0)


approved: Signal[Approval] = Signal("approved", Approval)
paid: Signal[Amount] = Signal("paid", Amount, many=True)


@workflow
async def purchase(ctx: Ctx, timeout: float = 3600.0) -> str:
    answer = await ctx.wait(approved, timeout=timeout)
    return "nobody" if answer is None else answer.by


async def sent(run: Running, run_id: int, name: str, value: Any, *, many: bool = False) -> bool:
    """Whether a signal counts that another client sends."""
    call = "select postmill.signal_run($1, $2, $3::text::jsonb, $4)"
    is_kept: bool = await run.db.fetchval(call, run_id, name, json.dumps(value), many)
    return is_kept


async def test_a_value_that_does_not_fit_is_told_and_the_run_waits_for_another(database_url: str) -> None:
    """A typing error in an approval failed the run, and undid what it had done."""
    async with running(database_url, purchase.handler()) as run:
        run_id = await start(run, purchase)
        await waits(run, run_id)
        due_at = await run.db.fetchval("select due_at from postmill.runs")
        assert await sent(run, run_id, "approved", {"ok": "yes", "by": "ada"})
        (told,) = await run.until(Event.SIGNAL_REFUSED)
        assert (told["run"], told["step"], told["signal"]) == (run_id, "approved", "approved")
        assert "Expected `bool`" in told["reason"]
        await waits(run, run_id)
        shown = await run.db.fetchrow(
            "select l.blocked, l.due_at, s.state, s.reason from postmill.run_list as l"
            "  join postmill.run_steps as s using (run_id)"
        )
        assert tuple(shown)[:3] == ("waiting for signal approved", due_at, "waiting")
        assert shown["reason"] == f"signal approved was refused: {told['reason']}"
        assert await sent(run, run_id, "approved", {"ok": True, "by": "ada"})
        assert not await sent(run, run_id, "approved", {"ok": True, "by": "eve"})
        assert await end_of(run, run_id) == ("completed", "ada")
        assert await run.db.fetchval("select reason from postmill.steps") is None
        kept = await run.db.fetch("select refused is null, taken_by from postmill.signals order by signal_id")
        assert [tuple(row) for row in kept] == [(False, None), (True, "approved")]


async def test_who_watches_the_run_is_told_the_value_and_why(database_url: str) -> None:
    async with running(database_url, purchase.handler()) as run:
        run_id = await start(run, purchase)
        await waits(run, run_id)
        await sent(run, run_id, "approved", 7)
        await run.until(Event.SIGNAL_REFUSED)
        await sent(run, run_id, "approved", {"ok": True, "by": "ada"})
        await end_of(run, run_id)
        handle = Run(run_id, purchase, database_url)
        (told,) = [each async for each in handle.events() if isinstance(each, Emitted)]
        assert (told.name, told.step, told.value["value"]) == ("signal.refused", "approved", 7)
        assert "Expected `object`, got `int`" in told.value["reason"]


async def test_one_that_was_sent_before_the_wait_and_a_time_that_ends_meanwhile(database_url: str) -> None:
    """The wait begins when the function comes there, and ends in its time, whatever was refused."""
    async with running(database_url, purchase.handler(), begin=False) as run:
        await run.db.execute(
            "select postmill.register_flow('purchase', 'workflow', 'purchase', '{\"steps\": []}')"
        )
        run_id = await start(run, purchase, timeout=0.2)
        assert await sent(run, run_id, "approved", "yes")
        assert not await sent(run, run_id, "approved", {"ok": True, "by": "ada"})
        await run.engine.start()
        assert await end_of(run, run_id) == ("completed", "nobody")
        assert len(run.events(Event.SIGNAL_REFUSED)) == 1
        assert await run.db.fetchval("select reason from postmill.steps") == "timed out"


async def test_of_a_queue_of_signals_those_that_fit_are_taken_in_their_order(database_url: str) -> None:
    @workflow
    async def till(ctx: Ctx) -> list[int]:
        return [(await ctx.wait(paid)).cents for _ in range(2)]

    async with running(database_url, till.handler()) as run:
        run_id = await start(run, till)
        for cents in (0, 5, "much", 7):
            await sent(run, run_id, "paid", {"cents": cents}, many=True)
        assert await end_of(run, run_id) == ("completed", [5, 7])
        taken = await run.db.fetch("select taken_by from postmill.signals order by signal_id")
        assert [row["taken_by"] for row in taken] == [None, "paid", None, "paid#2"]
        assert len(run.events(Event.SIGNAL_REFUSED)) == 2


async def test_two_waits_for_one_signal_refuse_it_once(database_url: str) -> None:
    @workflow
    async def pair(ctx: Ctx) -> list[str]:
        answers = await asyncio.gather(ctx.wait(approved), ctx.wait(approved))
        return [each.by for each in answers]

    async with running(database_url, pair.handler()) as run:
        run_id = await start(run, pair)
        await waits(run, run_id)
        await sent(run, run_id, "approved", None)
        await run.until(Event.SIGNAL_REFUSED)
        await waits(run, run_id)
        assert await run.count("postmill.run_events") == 1
        await sent(run, run_id, "approved", {"ok": True, "by": "ada"})
        assert await end_of(run, run_id) == ("completed", ["ada", "ada"])


async def test_what_is_on_record_and_fits_no_more_is_the_programs_fault(database_url: str) -> None:
    """A release that changes a signal's type failed the run as the order's own fault, and undid it."""
    undone: list[str] = []

    async def undo() -> None:
        undone.append("undone")

    def of(kind: type[Any]) -> Any:
        async def order(ctx: Ctx) -> Any:
            ctx.on_failure(undo)
            found = await ctx.wait(Signal("answer", kind))
            await ctx.wait(Signal("go", str))
            return found

        return workflow(order)

    async with running(database_url, of(str).handler()) as run:
        run_id = await start(run, of(str))
        await sent(run, run_id, "answer", "yes")
        await run.true_in_database("(select state = 'completed' from postmill.steps where step = 'answer')")
        await waits(run, run_id)
    async with running(database_url, WorkflowHandler(of(int))) as run:
        await resumed(run, run_id)
        state, reason = await end_of(run, run_id)
        assert (state, "does not fit what it is annotated with now" in reason, undone) == ("failed", True, [])


async def test_a_run_that_is_cancelled_while_a_value_is_looked_at_stays_so(database_url: str) -> None:
    async with running(database_url, purchase.handler()) as run:
        run_id = await start(run, purchase)
        await waits(run, run_id)
        async with run.db.transaction():
            await sent(run, run_id, "approved", "no object")
            await run.db.execute("select postmill.cancel_run($1)", run_id)
        await run.until(Event.STEP_DROPPED)
        assert (await end_of(run, run_id))[0] == "cancelled"
        assert await run.count("postmill.run_events") == 0


@dataclass
class Answer:
    """What a form asks for."""

    ok: bool
    by: str
    amount: Decimal = Decimal(0)
    places: list[int] = field(default_factory=list)
    kind: Literal["private", "firm"] = "private"
    inner: Answer | None = None


FITTING = [
    {"ok": True, "by": "ada"},
    {"ok": False, "by": "", "more": 1, "amount": 1.5, "places": [], "kind": "firm", "inner": None},
    {"ok": True, "by": "a", "amount": "7", "places": [1, 2], "inner": {"ok": False, "by": "b"}},
]
UNFIT: list[tuple[Any, str]] = [
    (None, "$: expected object, got null"),
    ([], "$: expected object, got array"),
    ({"ok": True}, "$ has no field by"),
    ({"ok": "yes", "by": "ada"}, "$.ok: expected boolean, got string"),
    ({"ok": True, "by": "ada", "places": [1, 1.5]}, "$.places[1]: expected integer, got 1.5"),
    ({"ok": True, "by": "ada", "kind": "state"}, '$.kind is none of ["firm", "private"]'),
    ({"ok": True, "by": "ada", "inner": {"by": "eve"}}, "$.inner has no field ok"),
]


async def test_the_database_refuses_what_can_not_fit_the_wait_of_a_graph(
    database_url: str, adb: asyncpg.Connection
) -> None:
    """From any client: a value of another shape ended the wait, and failed the step that read it."""
    flow = Flow("asking", input=dict)
    wait = flow.wait(Signal("answer", Answer))

    @flow.step
    async def read(answer: Answer = wait.out) -> str:
        return answer.by

    async with running(database_url, flow.handler()) as run:
        for value in FITTING:
            run_id = await adb.fetchval("select postmill.start_flow('asking', '{}')")
            for wrong, why in UNFIT:
                with pytest.raises(asyncpg.PostgresError) as refused:
                    await sent(run, run_id, "answer", wrong)
                assert (refused.value.sqlstate, why in str(refused.value)) == ("PM015", True)
            assert await sent(run, run_id, "answer", value)
            assert (await end_of(run, run_id))[0] == "completed"
        assert await run.count("postmill.signals") == len(FITTING)


@pytest.mark.parametrize("kind", [Amount, list[Amount], Any, object])
def test_what_only_python_can_check_is_not_told_to_the_database(kind: Any) -> None:
    assert accepted(kind) is None


letter = Flow("letter", input=dict)
asked = letter.wait(approved)
form = letter.approval(Approval, after=[asked])


@pytest.mark.parametrize("value", [{"ok": "yes", "by": "ada"}, {"ok": True}, None, "yes"])
async def test_python_refuses_it_where_it_is_sent(database_url: str, value: Any) -> None:
    """Nothing is sent, of a graph and of a workflow: the sender is told what does not fit."""
    async with running(database_url, *handlers_of([purchase, letter])) as run:
        durable, graph = (
            await start(run, purchase),
            await run.db.fetchval("select postmill.start_flow('letter', '{}')"),
        )
        with pytest.raises(InvalidPayload, match="does not fit the signal 'approved'"):
            await Run(durable, purchase, database_url).signal(approved, value)
        handle = Run(graph, letter, database_url)
        with pytest.raises(InvalidPayload, match="does not fit the signal 'approved'"):
            await handle.signal(approved, value)
        with pytest.raises(InvalidPayload, match="does not fit the signal 'approval'"):
            await handle.approve(form, value)
        assert await run.count("postmill.signals") == 0
        assert await handle.signal(approved, Approval(True, "ada"))
        assert await handle.approve(form, {"ok": True, "by": "ada"})
        assert (await end_of(run, graph))[0] == "completed"

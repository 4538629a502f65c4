"""Each kind of step in a real worker: it comes to what a simulation of it comes to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from postmill import Ctx, Flow, Retry, Signal, each, workflow
from postmill.flows import Startable, use_transport
from postmill.testing.flows import simulate
from tests.service.running import GIVE_UP_S, running

if TYPE_CHECKING:
    from collections.abc import Iterator

    import asyncpg


@dataclass
class Order:
    id: int
    items: list[str]


@dataclass
class Form:
    ok: bool


approved = Signal("approved", Form)


async def answer(function: str, body: Any) -> Any:
    """Stands for the functions of a host."""
    if body is None:
        raise ConnectionError("no answer")
    return {"function": function, "items": len(body)}


@pytest.fixture
def transport() -> Iterator[None]:
    use_transport(answer)
    yield
    use_transport(None)


@workflow
async def packed(ctx: Ctx, order: Order) -> int:
    return sum(await ctx.map(len, order.items)) + order.id


def shop() -> tuple[Flow[Order], dict[Any, object]]:
    """A flow of every kind, and what stands in where there is no database."""
    flow = Flow("shop", input=Order, retry=Retry.none)
    rows = flow.sql(
        "select $1::int + 1 as next, jsonb_array_length($2::jsonb) as items", flow.input.id, flow.input.items
    )
    called = flow.call("summarize", flow.input.items)
    silent = flow.call("nothing", on_dead="skip")
    child = flow.run(packed, flow.input)
    late = flow.wait(approved, timeout=0.01)
    asked = flow.approval(Form, timeout=60)
    rest = flow.sleep(0.01, after=[late])

    @flow.map(max_concurrent=1)
    def shout(item: str = each(flow.input.items)) -> str:
        return item.upper()

    @flow.step(after=[rest])
    async def receipt(
        found: list[dict[str, Any]] = rows.out,
        summary: Any = called.out,
        nothing: Any = silent.maybe,
        size: int = child.out,
        signal: Form | None = late.out,
        form: Form | None = asked.out,
        loud: list[str] = shout.out,
    ) -> list[Any]:
        return [found, summary, nothing, size, signal, form and form.ok, loud]

    return flow, {rows: [{"next": 8, "items": 2}], asked: Form(True)}


async def test_every_kind_of_step(database_url: str, adb: asyncpg.Connection, transport: None) -> None:
    flow, fakes = shop()
    order = Order(7, ["a", "bc"])
    async with (
        running(database_url, flow.handler()) as worker,
        running(database_url, packed.handler()) as other,
    ):
        run = await flow.options(connection=adb).start(order)
        assert await run.approve(flow.steps["approval"], Form(True))
        real = await run.result(timeout=GIVE_UP_S)
        await worker.let_go()
        await other.let_go()
    assert real["receipt"][0] == [{"next": 8, "items": 2}]
    simulated = await simulate(flow, order, fakes=fakes)
    assert simulated.result == real


def test_a_workflow_is_started_as_a_flow_is() -> None:
    assert isinstance(packed, Startable)
    assert isinstance(shop()[0], Startable)

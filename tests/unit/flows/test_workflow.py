"""Durable functions: how a run's input is written, and what the context hands on."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from postmill import Ctx, Retry, Signal, step, workflow
from postmill.flows.workflow import StepSettings, Workflow, settings_of
from postmill.model.errors import InvalidFlow, InvalidOption, InvalidPayload
from postmill.model.queue.retry import FixedRetry


@dataclass
class Order:
    id: int


@workflow(deadline=timedelta(days=7), retry=Retry.fixed(1), max_concurrent=2)
async def checkout(ctx: Ctx, order: Order, *, express: bool = False) -> str:
    """Sells."""
    return f"{order.id} {express}"


class Recorder:
    """Stands for what is durable: keeps what it is asked for."""

    run_id = 7

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *args: self.asked.append((name, *args))


async def charge(order: Order) -> int:
    return order.id


def test_a_workflow_is_known_by_its_function() -> None:
    assert (checkout.name, checkout.queue, checkout.__doc__) == ("checkout", "checkout", "Sells.")
    assert (checkout.deadline_s, checkout.worker_options.max_concurrent) == (7 * 86_400, 2)
    assert checkout.result_type is str
    assert checkout.options().options.deadline_s is None, "the database knows the workflow's"
    assert checkout.options(deadline=3, key="a").options.deadline_s == 3
    assert workflow(name="other", queue="shared")(checkout.function).queue == "shared"


def test_an_input_has_its_arguments_by_parameter() -> None:
    assert bytes(checkout.encode(Order(1), express=True)) == b'{"order":{"id":1},"express":true}'
    assert checkout.arguments('{"order": {"id": 1}}') == {"order": Order(1)}


def test_a_context_needs_no_annotation() -> None:
    """Python's `Any` is a class since 3.11, and a context without an annotation was refused."""

    async def plain(ctx, n):  # type: ignore[no-untyped-def]
        return n

    assert Workflow(plain).arguments('{"n": 1}') == {"n": 1}


@pytest.mark.parametrize("raw", ["[]", "{}", '{"order": {"id": "x"}}', '{"order": {"id": 1}, "n": 2}', "{"])
def test_an_input_that_does_not_fit_is_refused(raw: str) -> None:
    with pytest.raises(InvalidPayload):
        checkout.arguments(raw)


def test_arguments_that_do_not_fit_are_refused_before_they_are_sent() -> None:
    wrong: Any = checkout
    for args in ((), ("x",), (Order(1), 2)):
        with pytest.raises(InvalidPayload):
            wrong.encode(*args)


untyped_step: Any = step
untyped_workflow: Any = workflow


@pytest.mark.parametrize(
    ("told", "define"),
    [
        ("is no async def", lambda: untyped_workflow(plain)),
        ("takes no context", lambda: untyped_workflow(without_context)),
        ("has no name in a run's input", lambda: workflow(open_ended)),
        ("no option 'batch'", lambda: workflow(batch=3)(checkout.function)),
        ("is not a name", lambda: workflow(name="Not A Name")(checkout.function)),
        ("has 2 parameters", checkout.takes_one),
        ("is no function", lambda: untyped_step(3)),
        ("is not a retry policy", lambda: untyped_step(retry=3)),
        ("timeout=0.0", lambda: untyped_step(timeout=0)),
        ("executor='process'", lambda: untyped_step(executor="process")),
        ("resources is given", lambda: untyped_step(resources={"num_gpus": 1})),
        ("Did you mean resources", lambda: untyped_step(executor="ray", resource={})),
        ("at the top level of no module", lambda: untyped_step(executor="ray")(lambda: 1)),
        ("has no name in a task", lambda: untyped_step(executor="ray")(open_ended)),
        ("is one text", lambda: checkout.options(tags="a")),
        ("priority=11", lambda: checkout.options(priority=11)),
        ("'' is not the name of one run", lambda: checkout.options(key="")),
        ("at most 200 characters, and this one 201", lambda: checkout.options(key="x" * 201)),
    ],
)
def test_refuses(told: str, define: Any) -> None:
    with pytest.raises((InvalidFlow, InvalidOption), match=told):
        define()


def test_the_options_of_a_step_stay_with_its_function() -> None:
    marked = step(retry=Retry.fixed(1, 2), timeout=timedelta(seconds=3), name="pay")(charge)
    try:
        assert marked is charge
        assert settings_of(charge) == StepSettings("pay", FixedRetry(2, 1), 3)
        assert settings_of(len) == StepSettings()
        recorder = Recorder()
        ctx: Any = Ctx(recorder)
        ctx.step(charge, Order(1))
        assert recorder.asked == [("step", "pay", charge, (Order(1),), {})]
    finally:
        del charge.postmill_step  # type: ignore[attr-defined]


def test_each_call_hands_on_its_name_and_its_arguments() -> None:
    recorder = Recorder()
    ctx: Any = Ctx(recorder)
    approved = Signal("approved", Order)
    ctx.step(charge, Order(1), express=True)
    ctx.named("eu").step(charge, Order(1))
    ctx.map(charge, [Order(1)], max_concurrent=3)
    ctx.wait(approved)
    ctx.wait(approved, timeout=timedelta(hours=1))
    ctx.sleep(3)
    ctx.run(checkout, Order(1), express=True)
    ctx.named("again").start(checkout, Order(1))
    ctx.call("summarize", {"a": 1})
    ctx.transaction(charge, Order(1))
    ctx.emit("seen", 1)
    ctx.on_failure(charge, Order(1))
    ctx.patched("new")
    assert recorder.asked == [
        ("step", "charge", charge, (Order(1),), {"express": True}),
        ("step", "eu", charge, (Order(1),), {}),
        ("map", "charge", charge, [Order(1)], 3),
        ("wait", "approved", approved, None),
        ("wait", "approved", approved, 3600.0),
        ("sleep", "sleep", 3.0),
        ("run", "checkout", checkout, (Order(1),), {"express": True}),
        ("start", "again", checkout, (Order(1),), {}),
        ("call", "summarize", "summarize", {"a": 1}),
        ("transaction", "charge", charge, (Order(1),), {}),
        ("emit", "seen", 1),
        ("on_failure", "undo:charge", charge, (Order(1),), {}),
        ("patched", "new"),
    ]
    assert ctx.run_id == 7


@pytest.mark.parametrize("nameless", [lambda: 1, functools.partial(charge, Order(1)), 3])
def test_what_has_no_name_is_named_at_the_call(nameless: Any) -> None:
    recorder = Recorder()
    ctx: Any = Ctx(recorder)
    with pytest.raises(InvalidFlow, match=r"ctx\.named"):
        ctx.step(nameless)
    ctx.named("it").step(nameless)
    assert recorder.asked == [("step", "it", nameless, (), {})]
    with pytest.raises(InvalidFlow, match="'' is not the name"):
        ctx.named("")


def plain(ctx: Ctx) -> None: ...
async def without_context() -> None: ...
async def open_ended(ctx: Ctx, *orders: Order) -> None: ...


def test_a_workflow_without_a_context_is_refused() -> None:
    """Each of its runs failed: its parameter was given the context."""

    async def lonely(order: Order) -> None: ...

    with pytest.raises(InvalidFlow, match="takes no context"):
        workflow(lonely)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["a\0", "\ud800", "", "x" * 301])
@pytest.mark.parametrize(
    "call",
    [
        lambda ctx, name: ctx.named(name),
        lambda ctx, name: ctx.emit(name, 1),
        lambda ctx, name: ctx.patched(name),
        lambda ctx, name: ctx.call(name),
        lambda ctx, name: ctx.step(step(name=name)(lambda: 1)),
        lambda ctx, name: ctx.wait(Signal(name, int)),
    ],
    ids=["named", "emit", "patched", "call", "step", "signal"],
)
def test_a_name_that_no_row_can_hold_is_refused_where_it_is_given(name: str, call: Any) -> None:
    """The database refused it when the run was written down, and the run was tried again for ever."""
    recorder = Recorder()
    with pytest.raises(InvalidFlow):
        call(Ctx(recorder), name)
    assert recorder.asked == []

"""Runs a workflow in memory, and then again on what it has recorded: a second time must take the same way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from postmill.flows.context import name_of
from postmill.flows.running.replay import Replay
from postmill.flows.running.step_attempts import failure_reason, output_of
from postmill.model.errors import ReplayMismatch, StepFailed
from postmill.model.queue.payload import loads
from postmill.testing.durable_in_memory import DurableInMemory
from postmill.testing.simulated import Simulated
from postmill.testing.world import NotSimulated

if TYPE_CHECKING:
    from postmill.flows.workflow import Workflow
    from postmill.testing.world import World


async def run_workflow(workflow: Workflow[..., Any], world: World, text: str) -> Simulated[Any]:
    """Run it on this input, which is JSON. Raises :class:`ReplayMismatch` for a function that does something
    else when it runs again.
    """
    durable = DurableInMemory(workflow, world, Replay())
    begin_s = world.clock.now_s
    value, error = await _called(workflow, durable, text)
    await _replayed(workflow, world, durable, text, value, error)
    undone, reason = ([], "") if error is None else await _undone(durable, failure_reason(error))
    return Simulated(
        workflow,
        "completed" if error is None else "failed",
        durable.steps,
        world.clock.now_s - begin_s,
        error.step if isinstance(error, StepFailed) else None,
        reason,
        undone,
        durable.events,
        durable.started,
        value,
    )


async def _called(
    workflow: Workflow[..., Any], durable: DurableInMemory, text: str
) -> tuple[Any, Exception | None]:
    """What the function has returned, as JSON has it, or what it has raised."""
    try:
        returned = await workflow(durable.context, **workflow.arguments(text))
        return loads(output_of(returned, workflow.worker_options.max_output)), None
    except (NotSimulated, ReplayMismatch):
        raise
    except Exception as error:
        return None, error


async def _replayed(
    workflow: Workflow[..., Any],
    world: World,
    durable: DurableInMemory,
    text: str,
    value: Any,
    error: Exception | None,
) -> None:
    replay = Replay(dict(durable.replay.recorded))
    again = DurableInMemory(workflow, world, replay, is_replay=True)
    other_value, other_error = await _called(workflow, again, text)
    if replay.is_behind:
        raise _another_way(workflow, "calls fewer steps")
    if other_value != value or type(other_error) is not type(error):
        raise _another_way(workflow, "comes to another end")


def _another_way(workflow: Workflow[..., Any], what: str) -> ReplayMismatch:
    return ReplayMismatch(
        f"{workflow.name} {what} when it runs again.",
        why="After each wait and each crash the function runs again, on what is recorded.",
        hint="Put what differs (the time, chance, a read) into a step.",
    )


async def _undone(durable: DurableInMemory, reason: str) -> tuple[list[str], str]:
    """Undo what it has done, the last first. What can't be undone is added to the reason."""
    undone = []
    for name, function, args, kwargs in reversed(durable.undoing):
        undone.append(name_of(function))
        try:
            await durable.named_step(name, function, args, kwargs)
        except StepFailed as failed:
            reason += f"; {failed.step} failed too: {failed.reason}"
    return undone, reason

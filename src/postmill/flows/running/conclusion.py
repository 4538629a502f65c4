"""What the end of a workflow's function is to its run: done, failed, undone, or tried again."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from postmill.engine.run.verdicts import stems_from
from postmill.flows.running.execution import Stopped
from postmill.flows.running.failures import failures_in
from postmill.flows.running.run_settlings import RunEnded
from postmill.flows.running.settlings import StepDropped
from postmill.flows.running.step_attempts import failure_reason, output_of
from postmill.flows.running.together import once_up
from postmill.model.errors import InvalidPayload, LeaseLost, ReplayMismatch, StepFailed
from postmill.model.queue.outcome import Retry, Snooze
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    import asyncio

    from postmill.flows.running.durable import DurableRun
    from postmill.flows.running.execution import Execution, Stop


async def conclude(run: DurableRun, task: asyncio.Task[Any]) -> Stop | RunEnded:
    """The outcome of the message, once the function's ``task`` is done. Raises what is to be tried again."""
    execution = run.execution
    await run.sayings.written()
    if execution.refused is not None:
        raise execution.refused
    if execution.stopped is not None:
        return execution.stopped
    if execution.is_undoing:
        return await _undo(run, execution.loaded.reason or "", execution.loaded.culprit)
    error = _error_of(execution, task)
    if execution.mismatch is not None:
        return _mismatched(execution, *execution.mismatch)
    if error is None:
        return await _completed(run, task.result())
    if _is_tried_again(execution, error):
        raise error
    return await _failed(run, error)


def _error_of(execution: Execution, task: asyncio.Task[Any]) -> BaseException | None:
    if task.cancelled():
        return RuntimeError("the function was cancelled from inside")
    return execution.exit or task.exception()


def _is_tried_again(execution: Execution, error: BaseException) -> bool:
    """Whether the run has not failed with it: the message is tried again, and what is recorded stays."""
    outage = execution.attempt.outage
    if outage is not None and stems_from(error, outage):
        return True
    return isinstance(error, LeaseLost | Retry | Snooze)


def _mismatched(execution: Execution, step: str, error: ReplayMismatch) -> RunEnded:
    """The program has a fault, and not what the run is for: nothing is undone, whatever the function made of
    the error. A retry under the right program goes on from what is recorded, failures too.
    """
    return RunEnded(
        "failed", reason=failure_reason(error), culprit=step, caught=execution.replay.failed_steps
    )


async def _completed(run: DurableRun, returned: Any) -> Stop | RunEnded:
    try:
        return RunEnded("completed", output_of(returned, run.max_output))
    except InvalidPayload as error:
        return await _failed(run, error)


async def _failed(run: DurableRun, error: BaseException) -> Stop | RunEnded:
    execution, reason = run.execution, failure_reason(error)
    if await _is_done_again(execution, run.failures.uncaught(error)):
        return StepDropped("it does again what had failed before it was retried")
    culprits = list(failures_in(error))
    culprit = culprits[0].step if culprits else None
    if not run.undoing:
        return RunEnded("failed", reason=reason, culprit=culprit, caught=tuple(run.failures.caught(error)))
    arguments = (execution.loaded.run_id, execution.loaded.wake, reason, culprit)
    row = await once_up(partial(execution.shared.fetchrow, statement("run_begin_undo"), *arguments))
    if not row["begun"]:
        return StepDropped("its run does not run any more")
    return await _undo(run, reason, culprit)


async def _is_done_again(execution: Execution, uncaught: set[str]) -> bool:
    """Whether the run has failed by what had failed before it was retried: that is done again."""
    before = sorted(uncaught & execution.failed_before)
    if not before:
        return False
    arguments = (execution.loaded.run_id, execution.loaded.wake, before)
    row = await once_up(partial(execution.shared.fetchrow, statement("run_do_again"), *arguments))
    again: bool = row["again"]
    return again


async def _undo(run: DurableRun, reason: str, culprit: str | None) -> Stop | RunEnded:
    """Run what undoes the work, the last first. What fails for good is added to the reason."""
    execution = run.execution
    execution.is_undoing = execution.undoes = True
    for name, function, args, kwargs in reversed(run.undoing):
        try:
            await run.named_step(name, function, args, kwargs)
        except StepFailed as failed:
            reason += f"; {failed.step} failed too: {failed.reason}"
        except ReplayMismatch as error:
            reason += f"; {name} failed too: {failure_reason(error)}"
        except Stopped:
            break
    if execution.refused is not None:
        raise execution.refused
    return execution.stopped or RunEnded("failed", reason=reason, culprit=culprit)

"""What a wait makes of the signals that its run was sent: it takes the first whose value fits its type. What
does not fit is refused, which the run tells, and the run waits on.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from postmill.flows.running.settlings import StepDropped
from postmill.flows.running.together import once_up
from postmill.model.error_text import kept_message
from postmill.model.errors import InvalidPayload
from postmill.model.events import Event
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from postmill.flows.running.execution import Execution
    from postmill.flows.running.replay import SentSignal
    from postmill.flows.signal import Signal


async def taken(execution: Execution, step: str, signal: Signal[Any]) -> SentSignal | None:
    """The signal that the wait ``step`` takes now; None: it has not come. Raises ``InvalidPayload`` for the
    value of a plain signal that another wait, of another type, has taken before.
    """
    while (sent := execution.replay.signal(signal.name, many=signal.many)) is not None:
        try:
            signal.decode(sent.content)
        except InvalidPayload as error:
            if not sent.untaken:
                raise
            await _refuse(execution, step, sent, kept_message(error))
        else:
            return sent
    return None


async def _refuse(execution: Execution, step: str, sent: SentSignal, why: str) -> None:
    execution.replay.drop(sent.signal_id)  # at once: another wait for it need not look at it
    loaded, reason = execution.loaded, f"signal {sent.name} was refused: {why}"
    arguments = (loaded.run_id, loaded.wake, step, sent.signal_id, reason)
    with execution:
        send = partial(execution.shared.fetchrow, statement("run_refuse_signal"), *arguments)
        if not (await once_up(send))["goes_on"]:
            execution.stop(StepDropped("its run does not run any more"))
    execution.attempt.services.events.emit(
        Event.SIGNAL_REFUSED, run=loaded.run_id, step=step, signal=sent.name, reason=why
    )

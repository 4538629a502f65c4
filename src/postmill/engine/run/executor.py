"""One attempt from claimed message to outcome: bind, run under a time limit, and turn whatever comes out into
a value.

Does not decide when or how often a message runs, and settles nothing.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from postmill.engine.run.attempt import Attempt, TimeLimit
from postmill.engine.run.verdicts import BROKEN_RULE_S, Verdicts
from postmill.model.errors import LeaseLost
from postmill.model.events import Event
from postmill.model.queue.attempt_policy import shortest_timeout_s
from postmill.model.queue.outcome import (
    CANCELLED,
    COMPLETED,
    LOST,
    RELEASED,
    SETTLED,
    Completed,
    Failed,
    Outcome,
    Settled,
    one_a_message,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from postmill.engine.handler import Handler
    from postmill.engine.run.attempt import Slot
    from postmill.engine.run.attempt_services import AttemptServices
    from postmill.engine.settle.settlement import Settlings
    from postmill.model.queue.message import Message

_ABANDONED: dict[str, Outcome] = {"shutdown": RELEASED, "lease_lost": LOST, "cancelled": CANCELLED}


class Executor:
    """Runs the handler of one worker."""

    def __init__(self, handler: Handler, services: AttemptServices, settlings: Settlings) -> None:
        self._handler = handler
        self._services = services
        self._timeout_s = handler.options.timeout_s
        self._is_the_same_for_all = handler.policy_for is None
        self.verdicts = Verdicts(handler.options, services.events, settlings, handler.policy_for)

    async def run(self, message: Message, slot: Slot) -> Outcome:
        """Run the handler on one message. Never raises; a cancellation of the slot itself ends in an outcome
        too.
        """
        message.started = time.monotonic()
        attempt = Attempt(message, self._services)
        slot.attempts = (attempt,)
        if slot.told is not None:
            attempt.tell(slot.told)
        limit_s = self._timeout_s
        if not self._is_the_same_for_all:
            limit_s = self.verdicts.policy_for(message).timeout_s
        if limit_s is not None:
            attempt.time_limit = TimeLimit(limit_s, slot.cancel)
        try:
            result = await self._handler.bind(message, attempt)
            outcome = COMPLETED if result is None else self.verdicts.returned(result, message)
            if attempt.sends is not None or attempt.completed_in_transaction:
                return await self._with_writes(outcome, attempt)
        except BaseException as error:
            return self._outcome_of(error, attempt, slot)
        finally:
            if attempt.time_limit is not None:
                attempt.time_limit.end()
        return outcome

    async def run_batch(self, messages: Sequence[Message], slot: Slot) -> list[Outcome]:
        """Run a batch handler: one outcome a message; None from the handler means that all are completed."""
        attempts = tuple(Attempt(message, self._services) for message in messages)
        now = time.monotonic()
        for message in messages:
            message.started = now
        slot.attempts = attempts
        if slot.told is not None:
            slot.tell(slot.told)
        limit_s = shortest_timeout_s([self.verdicts.policy_for(message) for message in messages])
        limit = None if limit_s is None else TimeLimit(limit_s, slot.cancel)
        for attempt in attempts:
            attempt.time_limit = limit
        try:
            result = await self._handler.bind_batch(messages, attempts)
            outcomes = self._batch_outcomes(result, messages)
            for place, attempt in enumerate(attempts):
                if attempt.sends is not None or attempt.completed_in_transaction:
                    outcomes[place] = await self._written(outcomes[place], attempt, slot)
        except BaseException as error:
            return [self._outcome_of(error, attempt, slot) for attempt in attempts]
        finally:
            if limit is not None:
                limit.end()
        return outcomes

    def broken(self, error: BaseException, slot: Slot) -> list[Outcome]:
        """The outcomes of a slot whose task has ended without any: it was cancelled before it began, or
        Postmill's code broke because of the handler. Never raises.
        """
        if not slot.attempts:
            return [RELEASED] * len(slot.messages)
        return [self._broken(error, attempt, slot) for attempt in slot.attempts]

    def _broken(self, error: BaseException, attempt: Attempt, slot: Slot) -> Outcome:
        try:
            return self._outcome_of(error, attempt, slot)
        except BaseException as again:
            self._services.events.emit(
                Event.WORKER_FAILED, exception=again, msg_id=attempt.message.msg_id, reason="no outcome"
            )
            return Failed("error", type(error).__name__, "it broke the worker", None, BROKEN_RULE_S)

    async def _with_writes(self, outcome: Outcome, attempt: Attempt) -> Outcome:
        """The outcome of a handler that sends, or has completed its message in a transaction of its own."""
        if not attempt.completed_in_transaction:
            if not isinstance(outcome, Completed):
                return outcome
            await self._services.complete_with_sends(attempt)
        return Settled(outcome.result) if isinstance(outcome, Completed) else SETTLED

    async def _written(self, outcome: Outcome, attempt: Attempt, slot: Slot) -> Outcome:
        """The same for one message of a batch: its error does not affect the others."""
        try:
            return await self._with_writes(outcome, attempt)
        except Exception as error:
            return self._outcome_of(error, attempt, slot)

    def _batch_outcomes(self, result: Any, messages: Sequence[Message]) -> list[Outcome]:
        items = one_a_message(result, len(messages))
        if items is None:
            return [COMPLETED] * len(messages)
        return [self.verdicts.returned(item, message) for item, message in zip(items, messages, strict=True)]

    def _outcome_of(self, error: BaseException, attempt: Attempt, slot: Slot) -> Outcome:
        if attempt.completed_in_transaction:
            self._services.events.emit(
                Event.HOOK_FAILED,
                exception=error,
                msg_id=attempt.message.msg_id,
                reason="raised after the message was completed",
            )
            return SETTLED
        match error:
            case asyncio.CancelledError() if slot.reason == "timeout":
                late = TimeoutError(f"still running after {attempt.limit_s} s")
                return self.verdicts.failed(late, attempt.message, "timeout")
            case asyncio.CancelledError() if slot.reason is not None:
                return _ABANDONED[slot.reason]
            case LeaseLost() if attempt.lease_lost or len(slot.attempts) == 1:
                return LOST
            case LeaseLost() if any(other.lease_lost for other in slot.attempts):
                return RELEASED  # this message of the batch is not at fault
        return self._raised(error, attempt, slot)

    def _raised(self, error: BaseException, attempt: Attempt, slot: Slot) -> Outcome:
        if attempt.refused:
            return self.verdicts.put_off(error, attempt.message)
        outages = [other.outage for other in slot.attempts if other.outage is not None]
        return self.verdicts.raised(error, attempt.message, outages)

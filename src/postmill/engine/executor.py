"""One attempt from claimed message to outcome: bind, run under a time limit, and turn whatever comes out into
a value.

Decides nothing about when or how often; settles nothing.
"""

from __future__ import annotations

import asyncio
import random
import time
import traceback
from typing import TYPE_CHECKING, Any

import orjson

from postmill.engine.attempt import Attempt
from postmill.model.errors import InvalidPayload, LeaseLost, SettlementRefused
from postmill.model.events import Event
from postmill.model.outcome import (
    CANCELLED,
    COMPLETED,
    LOST,
    RELEASED,
    SETTLED,
    Cancelled,
    Completed,
    Failed,
    Lost,
    Outcome,
    Released,
    Retry,
    Settled,
    Snooze,
)
from postmill.model.refusal import in_plain_text
from postmill.model.retry import Dead, Exhausted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from postmill.engine.attempt_services import AttemptServices
    from postmill.engine.handler import Handler
    from postmill.engine.slot import Slot
    from postmill.model.message import Message

TRACEBACK_LIMIT = 8_000
"""Characters of a traceback that are kept: its end, where the cause stands."""

_ABANDONED: dict[str, Outcome] = {"shutdown": RELEASED, "lease_lost": LOST, "cancelled": CANCELLED}


class Executor:
    """Runs the handler of one worker."""

    def __init__(self, handler: Handler, services: AttemptServices) -> None:
        self._handler = handler
        self._services = services
        self._options = handler.options
        self._timeout_s = self._options.timeout_s
        self._keep_results = self._options.keep_results

    def verdict_before(self, message: Message) -> Outcome | None:
        """What becomes of a message that must not be run again; None for one that may."""
        if message.failures == 0 and message.lost_leases == 0:
            return None
        if self._options.retry.exhausted(message.failures):
            reason = f"failed {message.failures} of {self._options.retry.max_attempts} attempts"
        elif message.lost_leases >= self._options.max_deliveries:
            reason = f"{message.lost_leases} deliveries ended without an outcome (max_deliveries)"
        else:
            return None
        return Failed("", "", reason, None, None, reason=reason)

    def refused(self, message: Message, reason: str) -> Failed:
        """A failed attempt in place of an outcome that the database refuses to write down."""
        return in_plain_text(self._failed(SettlementRefused(reason), message))

    async def run(self, message: Message, slot: Slot) -> Outcome:
        """Run the handler on one message. Never raises; a cancellation of the slot itself ends in an outcome
        too.
        """
        message.started = time.monotonic()
        attempt = Attempt(message, self._services)
        slot.attempts = (attempt,)
        if self._timeout_s is not None:
            attempt.limit(self._timeout_s, slot.cancel)
        try:
            result = await self._handler.bind(message, attempt)
            outcome = COMPLETED if result is None else self._returned(result, message)
            if attempt.sends is not None or attempt.completed_in_transaction:
                return await self._with_writes(outcome, attempt)
        except BaseException as error:
            return self._outcome_of(error, message, attempt, slot)
        finally:
            if attempt.timer is not None:
                attempt.timer.cancel()
        return outcome

    async def run_batch(self, messages: Sequence[Message], slot: Slot) -> list[Outcome]:
        """Run a batch handler: one outcome a message; None from the handler means that all are completed."""
        attempts = tuple(Attempt(message, self._services) for message in messages)
        now = time.monotonic()
        for message in messages:
            message.started = now
        slot.attempts = attempts
        if self._timeout_s is not None:
            attempts[0].limit(self._timeout_s, slot.cancel)
        try:
            result = await self._handler.bind_batch(messages, attempts)
            outcomes = self._batch_outcomes(result, messages)
            for place, attempt in enumerate(attempts):
                if attempt.sends is not None or attempt.completed_in_transaction:
                    outcomes[place] = await self._written(outcomes[place], attempt, slot)
        except BaseException as error:
            return [
                self._outcome_of(error, message, attempt, slot)
                for message, attempt in zip(messages, attempts, strict=True)
            ]
        finally:
            if attempts[0].timer is not None:
                attempts[0].timer.cancel()
        return outcomes

    async def _with_writes(self, outcome: Outcome, attempt: Attempt) -> Outcome:
        """The outcome of a handler that sends, or has completed its message in a transaction of its own."""
        if not attempt.completed_in_transaction:
            if not isinstance(outcome, Completed):
                return outcome
            await self._services.complete_with_sends(attempt)
        return Settled(outcome.result) if isinstance(outcome, Completed) else SETTLED

    async def _written(self, outcome: Outcome, attempt: Attempt, slot: Slot) -> Outcome:
        """The same for one message of a batch: what goes wrong with it takes none of the others along."""
        try:
            return await self._with_writes(outcome, attempt)
        except Exception as error:
            return self._outcome_of(error, attempt.message, attempt, slot)

    def _batch_outcomes(self, result: Any, messages: Sequence[Message]) -> list[Outcome]:
        if result is None:
            return [COMPLETED] * len(messages)
        if not isinstance(result, list | tuple) or len(result) != len(messages):
            raise TypeError(
                f"a batch handler returns None or a list of {len(messages)} outcomes, one a message;"
                f" got {type(result).__name__}"
            )
        return [self._judged(item, message) for item, message in zip(result, messages, strict=True)]

    def _judged(self, item: Any, message: Message) -> Outcome:
        if isinstance(item, Failed | Snooze | Cancelled | Released | Lost | Settled):
            return item
        if isinstance(item, BaseException):
            return self._failed(item, message)
        return self._returned(item.result if isinstance(item, Completed) else item, message)

    def _returned(self, result: Any, message: Message) -> Outcome:
        """What a handler returned; outcomes may also be returned instead of raised."""
        if isinstance(result, Retry | Dead | Snooze):
            return result if isinstance(result, Snooze) else self._failed(result, message)
        value = result.result if isinstance(result, Completed) else result
        if not self._keep_results or value is None:
            return COMPLETED
        try:
            return Completed(orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode())
        except (TypeError, ValueError) as error:
            self._services.events.emit(Event.RESULT_NOT_KEPT, msg_id=message.msg_id, reason=str(error))
            return COMPLETED

    def _outcome_of(self, error: BaseException, message: Message, attempt: Attempt, slot: Slot) -> Outcome:
        if attempt.completed_in_transaction:
            self._services.events.emit(
                Event.HOOK_FAILED,
                exception=error,
                msg_id=message.msg_id,
                reason="raised after the message was completed",
            )
            return SETTLED
        if isinstance(error, asyncio.CancelledError) and slot.reason is not None:
            if slot.reason == "timeout":
                return self._failed(
                    TimeoutError(f"still running after {self._timeout_s} s"), message, "timeout"
                )
            return _ABANDONED[slot.reason]
        if isinstance(error, LeaseLost) and (attempt.lease_lost or len(slot.attempts) == 1):
            return LOST
        if isinstance(error, LeaseLost) and any(other.lease_lost for other in slot.attempts):
            return RELEASED  # no fault of this message of the batch
        return error if isinstance(error, Snooze) else self._failed(error, message)

    def _failed(self, error: BaseException, message: Message, kind: str | None = None) -> Failed:
        kind = kind or _kind_of(error)
        verdict = self._verdict(error, message, kind)
        return Failed(
            kind,
            type(error).__name__,
            _said_by(error),
            None if kind in {"timeout", "invalid_payload"} else _traceback(error),
            None if isinstance(verdict, Dead) else verdict,
            time.monotonic() - message.started if message.started else 0.0,
            _storable(_reason(verdict, error)) if isinstance(verdict, Dead) else "",
        )

    def _verdict(self, error: BaseException, message: Message, kind: str) -> float | Dead:
        if isinstance(error, Dead):
            return Dead(str(error.reason or "the handler said so"))
        if kind == "invalid_payload" and self._options.on_invalid == "dead":
            return Dead(f"invalid payload: {_said_by(error)}")
        try:
            asked_s = error.after_s if isinstance(error, Retry) else None
            return self._options.retry.decide(message.attempt, error, random.random, asked_s=asked_s)
        except BaseException as broken:
            self._services.events.emit(
                Event.HOOK_FAILED, exception=broken, msg_id=message.msg_id, reason="the retry rule raised"
            )
            return 60.0


def _reason(verdict: Dead, error: BaseException) -> str:
    """Why it is dead; attempts that ran out name the last error."""
    if not isinstance(verdict, Exhausted):
        return str(verdict.reason)
    return f"{verdict.reason}: {type(error).__name__}: {_said_by(error)[:300]}"


def _kind_of(error: BaseException) -> str:
    if isinstance(error, InvalidPayload):
        return "invalid_payload"
    return "crash" if isinstance(error, ChildCrashed) else "error"


class ChildCrashed(Exception):
    """The process that ran the handler died: its exit code or signal is the message."""


def _said_by(error: BaseException) -> str:
    try:
        return _storable(str(error))
    except BaseException:
        return "(its text can't be shown)"


def _storable(text: str) -> str:
    """PostgreSQL's text holds neither NUL nor lone surrogates."""
    return text.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode("utf-8")[:TRACEBACK_LIMIT]


def _traceback(error: BaseException) -> str:
    try:
        text = "".join(traceback.format_exception(error, limit=-30))
    except BaseException:
        text = f"{type(error).__name__} (its traceback can't be shown)"
    return _storable(text[-TRACEBACK_LIMIT:])

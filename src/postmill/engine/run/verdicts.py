"""Turns whatever a handler returned or raised into an outcome of the engine's own.

Users extend ``Retry``, ``Snooze``, ``Dead`` and ``Completed``, forget to call ``super().__init__``, and raise
from their own attributes. So each attribute of a user's outcome is read here, once, and nowhere else; nothing
here raises.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any, cast

from postmill.model.duration import seconds
from postmill.model.error_text import KEPT_TEXT, kept_message, kept_traceback, name_of, storable
from postmill.model.errors import InvalidOption, InvalidPayload, PostmillError, SettlementRefused
from postmill.model.events import Event
from postmill.model.queue.attempt_policy import AttemptPolicy
from postmill.model.queue.outcome import (
    COMPLETED,
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
from postmill.model.queue.payload import result_to_json
from postmill.model.queue.refusal import in_plain_text
from postmill.model.queue.retry import Dead, Exhausted, in_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from postmill.engine.settle.settlement import Settlings
    from postmill.model.queue.attempt_policy import PolicyFor
    from postmill.model.queue.message import Message
    from postmill.model.queue.retry import RetryPolicy
    from postmill.model.queue.worker_options import WorkerOptions
    from postmill.service.events import Events

QUOTED_LIMIT = 300
"""Characters of the last error that a dead letter's reason quotes: about four lines of a terminal."""
BROKEN_RULE_S = 60.0
"""Seconds that a message waits when its retry rule raises. A minute: time to notice the event, before the
next attempt is used.
"""
REFUSED_S = 30.0
"""Seconds between two tries of a transaction that the queue refuses. 30 s: one log line a try, and no flood.
"""


class ChildCrashed(Exception):
    """The process that ran the handler died. The message is its exit code or signal."""


class Verdicts:
    """The rules of one worker by which attempts end."""

    def __init__(
        self,
        options: WorkerOptions,
        events: Events,
        settlings: Settlings,
        policy_for: PolicyFor | None = None,
    ) -> None:
        """``policy_for``: the handler's own policies; None: the worker's options hold for each message."""
        self._options = options
        self._usual = AttemptPolicy(options.retry, options.timeout_s)
        self._chosen = policy_for
        self._events = events
        self._settlings = settlings

    def policy_for(self, message: Message) -> AttemptPolicy:
        """The retry policy and the time limit of a message. The worker's, where the handler's can't be found:
        that is said in the log.
        """
        if self._chosen is None:
            return self._usual
        try:
            return self._chosen(message)
        except BaseException as broken:
            self._say_broken(broken, message, "the message's policy can't be found")
            return self._usual

    def before(self, message: Message) -> Failed | None:
        """What becomes of a message that has been delivered before, or that the server can't send: None for
        one that may run.
        """
        if message.unread:
            return self.failed(InvalidPayload(f"the server can't send it: {message.unread}"), message)
        retry = self.policy_for(message).retry
        if self._is_exhausted(retry, message):
            reason = in_words(message.failures, retry.most_attempts)
        elif message.lost_leases >= self._options.max_deliveries:
            reason = f"{message.lost_leases} deliveries ended without an outcome (max_deliveries)"
        else:
            return None
        return Failed("", "", "", None, None, reason=reason)

    def refused(self, message: Message, reason: str) -> Failed:
        """A failed attempt in place of an outcome that the database refuses to write down."""
        return in_plain_text(self.failed(SettlementRefused(reason), message))

    def put_off(self, error: BaseException, message: Message) -> Snooze:
        """The transaction that completes the message is refused for a reason that every message may meet: it
        was rolled back, so another try repeats nothing, and none is counted.
        """
        self._events.emit(
            Event.SETTLEMENT_REFUSED,
            msg_id=message.msg_id,
            statement="transaction",
            reason=kept_message(error),
            follows=f"put off for {REFUSED_S:g} s",
        )
        return Snooze(REFUSED_S)

    def returned(self, value: Any, message: Message) -> Outcome:
        """What a handler returned for a message. Outcomes may be returned as well as raised, and an exception
        is a failure either way, unless the handler has added its class to the outcomes.
        """
        if self._settlings.is_added(value):
            return cast("Outcome", value)
        match value:
            case BaseException():
                return self.raised(value, message)
            case Failed() | Cancelled() | Released() | Lost() | Settled():
                return value
        return self._completed(value, message)

    def raised(
        self, error: BaseException, message: Message, outages: Sequence[BaseException] = ()
    ) -> Outcome:
        """What a handler raised. ``outages``: errors of connections that it had borrowed and lost."""
        if self._settlings.is_added(error):
            return cast("Outcome", error)
        match error:
            case Snooze():
                return self._snoozed(error, message)
            case Retry() | Dead():
                return self.failed(error, message)
        if any(stems_from(error, outage) for outage in outages):
            return self._lost_connection(error, message)
        return self.failed(error, message)

    def failed(self, error: BaseException, message: Message, kind: str | None = None) -> Failed:
        """A failed attempt with its record, and what follows it."""
        kind = kind or _kind_of(error)
        verdict = self._verdict(error, message, kind)
        return Failed(
            kind,
            name_of(error),
            kept_message(error),
            None if kind in {"timeout", "invalid_payload"} else kept_traceback(error),
            None if isinstance(verdict, Dead) else verdict,
            time.monotonic() - message.started if message.started else 0.0,
            _reason(verdict, error) if isinstance(verdict, Dead) else "",
        )

    def _snoozed(self, snooze: Snooze, message: Message) -> Outcome:
        try:
            return Snooze(seconds(snooze.after_s, "after"))
        except BaseException as broken:
            return self.failed(_without_delay(snooze, broken), message)

    def _lost_connection(self, error: BaseException, message: Message) -> Failed:
        """The message runs again at once, and no attempt is counted. It is recorded, so that
        ``max_deliveries`` bounds a statement that ends its own session.
        """
        ran_s = time.monotonic() - message.started
        return Failed("lost_lease", name_of(error), kept_message(error), kept_traceback(error), 0.0, ran_s)

    def _completed(self, value: Any, message: Message) -> Outcome:
        if not self._options.keep_results:
            return COMPLETED
        try:
            result = value.result if isinstance(value, Completed) else value
            return COMPLETED if result is None else Completed(result_to_json(result))
        except BaseException as error:
            self._events.emit(Event.RESULT_NOT_KEPT, msg_id=message.msg_id, reason=kept_message(error))
            return COMPLETED

    def _is_exhausted(self, retry: RetryPolicy, message: Message) -> bool:
        try:
            return retry.exhausted(message.failures)
        except BaseException as broken:
            self._say_broken(broken, message, "the retry rule raised")
            return False

    def _verdict(self, error: BaseException, message: Message, kind: str) -> float | Dead:
        if isinstance(error, Dead):
            return Dead(_reason_of(error) or "the handler said so")
        if kind == "invalid_payload" and self._options.on_invalid == "dead":
            return Dead(f"invalid payload: {kept_message(error)}")
        asked_s = self._asked_s(error, message)
        try:
            retry = self.policy_for(message).retry
            verdict = retry.decide(message.attempt, error, random.random, asked_s=asked_s)
            return verdict if isinstance(verdict, Dead) else seconds(verdict, "the retry rule's delay")
        except BaseException as broken:
            self._say_broken(broken, message, "the retry rule raised")
            return BROKEN_RULE_S

    def _asked_s(self, error: BaseException, message: Message) -> float | None:
        """The delay that a ``Retry`` asks for; the policy chooses where that can't be read."""
        if not isinstance(error, Retry):
            return None
        try:
            return None if error.after_s is None else seconds(error.after_s, "after")
        except BaseException as broken:
            self._say_broken(broken, message, f"the delay of {name_of(error)} can't be read")
            return None

    def _say_broken(self, broken: BaseException, message: Message, reason: str) -> None:
        self._events.emit(Event.HOOK_FAILED, exception=broken, msg_id=message.msg_id, reason=reason)


def _without_delay(snooze: Snooze, broken: BaseException) -> PostmillError:
    return InvalidOption(
        f"{name_of(snooze)} does not say for how long to snooze.",
        why=f"Its after_s can't be used: {kept_message(broken)}",
        hint="Call super().__init__(after) in its __init__.",
    ).with_traceback(snooze.__traceback__)


def _reason_of(dead: Dead) -> str:
    """The reason that it gives; its text, or else its class's name, where a subclass has lost the reason."""
    try:
        return storable(str(dead.reason or ""))[:KEPT_TEXT]
    except BaseException:
        return kept_message(dead) or name_of(dead)


def _reason(verdict: Dead, error: BaseException) -> str:
    """Why it is dead; attempts that ran out name the last error."""
    reason = _reason_of(verdict)
    if isinstance(verdict, Exhausted):
        return f"{reason}: {name_of(error)}: {kept_message(error)[:QUOTED_LIMIT]}"
    return reason


def stems_from(error: BaseException, origin: BaseException) -> bool:
    """Whether ``error`` is ``origin``, or was raised because of it, also in a group."""
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        found = waiting.pop()
        if found is origin:
            return True
        if found is not None and id(found) not in seen:
            seen.add(id(found))
            waiting += [found.__cause__, found.__context__]
            waiting += found.exceptions if isinstance(found, BaseExceptionGroup) else ()
    return False


def _kind_of(error: BaseException) -> str:
    match error:
        case InvalidPayload():
            return "invalid_payload"
        case ChildCrashed():
            return "crash"
    return "error"

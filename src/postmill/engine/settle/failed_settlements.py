"""What follows a settlement that the database did not take, or took only in part.

An outage is waited out. A batch that a single message makes fail is split until that message stands alone.
Outcomes that the whole queue refuses are kept until they are accepted. ``model.queue.refusal`` tells these
causes apart. Outcomes that are to be sent again go back to ``engine.settle.settler``.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Protocol

from postmill.db.hot.outage import is_passing, refuses_login
from postmill.engine.settle.diagnosis import Diagnosis
from postmill.engine.settle.refusals import Refusals
from postmill.model.events import Event
from postmill.model.queue.message import State
from postmill.model.queue.outcome import LOST, Failed, Lost
from postmill.model.queue.refusal import PUT_OFF_S, Cause, Verdict, cause_behind
from postmill.model.sqlstates import may_follow_the_row, state_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from postmill.db.hot.shared_connection import SharedConnection
    from postmill.engine.settle.settlement import Pair, Settlement, Statements
    from postmill.model.queue.message import HeldMessages, Message
    from postmill.model.queue.outcome import Outcome
    from postmill.service.events import Events
    from postmill.service.outage import OutageBackoff

STAYED = "the row stays where it is: a trigger or row security keeps it"
WAITS = 3
"""A settlement that failed this many times for a temporary reason is examined: which rows are locked. With
waits of 0.5 s most locks are gone before the third try.
"""


class Settle(Protocol):
    """Settles outcomes: see ``engine.settle.settler``."""

    def __call__(self, pairs: list[Pair], *, new_session: bool = False, waits: int = 0) -> Awaitable[None]:
        """Settle them on a session that is new to them; ``waits``: how often they have failed so far."""


class FailedSettlements:
    """Decides for the settler of one worker."""

    def __init__(
        self,
        shared: SharedConnection,
        statements: Statements,
        held_messages: HeldMessages,
        events: Events,
        backoff: OutageBackoff,
        settle: Settle,
        release: Callable[[str, Iterable[int]], None],
    ) -> None:
        self._shared = shared
        self._held = held_messages
        self._events = events
        self._backoff = backoff
        self._diagnosis = Diagnosis(shared, statements)
        self._settle = settle
        self._release = release
        self.refusals = Refusals(events)
        """The outcomes that are kept."""
        self.as_failed: Callable[[Message, str], Failed] = _one_more_try
        """Makes a failed attempt, under the retry policy, of an outcome that was refused for this reason."""

    async def is_sent_again(self, settlement: Settlement, error: Exception) -> bool:
        """Decide what follows a failure. Returns whether to send the same settlement once more; if not, the
        failure has been dealt with.
        """
        if is_passing(error) or refuses_login(error):
            return await self._waits(settlement, error)
        self._backoff.worked()  # the server answers
        if cause_behind(error) is Cause.ROW:
            self._release(settlement.kind, ())
            await self._apart(settlement, error)
            return False
        if not settlement.new_session:  # a handler may have left another role or no statements on this one
            settlement.new_session = True
            await self._shared.close()
            return True
        return await self._judge(settlement, error)

    async def _waits(self, settlement: Settlement, error: Exception) -> bool:
        """Wait out an outage. A settlement that fails again and again is examined, because its row may be the
        cause.
        """
        for message in settlement.messages:
            message.unanswered = True
        await self._backoff.failed(error)
        if not _may_follow_the_row(error):
            return True
        settlement.waits += 1
        if settlement.waits < WAITS and not settlement.trial:
            return True
        if not _is_lock(error):
            await self._narrow(settlement, error)
            return False
        try:
            unlocked = await self._diagnosis.unlocked(settlement)
        except Exception as away:
            await self._backoff.failed(away)
            return True
        self._backoff.worked()
        await self._put_locked_aside(settlement, unlocked, error)
        return False

    async def _put_locked_aside(
        self, settlement: Settlement, unlocked: set[int] | None, error: Exception
    ) -> None:
        if unlocked is None:
            self.refusals.locked_away(settlement.kind, said(error))
            self.hold(settlement, settlement.pairs)
            return
        free = [pair for pair in settlement.pairs if pair[0].msg_id in unlocked]
        if len(free) == len(settlement.pairs):
            await self._narrow(settlement, error)
            return
        self.hold(settlement, [pair for pair in settlement.pairs if pair not in free])
        self._reopen(settlement, free)
        await self._settle(free, new_session=settlement.new_session)

    async def _narrow(self, settlement: Settlement, error: Exception) -> None:
        """It fails each time for a temporary reason, and no lock is the cause: one of its rows may take too
        long, or end the session. Smaller parts find that row; alone it is kept, and tried later.
        """
        self._backoff.worked()
        if len(settlement.pairs) > 1:
            await self.in_halves(settlement, waits=WAITS - 1)
            return
        message, reason = settlement.messages[0], said(error)
        if self.refusals.judge(settlement.kind, message, reason=reason, patient=True) is Verdict.ROW:
            await self._apart(settlement, error)
        else:
            self.hold(settlement, settlement.pairs)

    async def _judge(self, settlement: Settlement, error: Exception) -> bool:
        """It was refused for a reason that may be one row's or the queue's: find out which."""
        try:
            lack = await self._diagnosis.lack(settlement)
        except Exception as away:
            await self._backoff.failed(away)
            return True
        if lack.queue_is_gone:
            await self._without_queue(settlement)
            return False
        if not lack.words and len(settlement.pairs) > 1:
            await self._apart(settlement, error)
            return False
        message = settlement.messages[0]
        verdict = self.refusals.judge(settlement.kind, message, lacking=lack.words, reason=said(error))
        if verdict is Verdict.ROW:
            await self._apart(settlement, error)
        else:
            self.hold(settlement, settlement.pairs)
        return False

    async def _apart(self, settlement: Settlement, error: Exception) -> None:
        """Find the row that makes the statement fail; a row that stands alone gets a weaker outcome."""
        if len(settlement.pairs) > 1:
            await self.in_halves(settlement)
            return
        self._reopen(settlement, settlement.pairs)
        await self._weaken(settlement, settlement.pairs[0], said(error))

    async def in_halves(self, settlement: Settlement, *, waits: int = 0) -> None:
        """Settle it with two statements: it is too large for one, or one of its rows spoils it."""
        self._reopen(settlement, settlement.pairs)
        for half in settlement.halves():
            await self._settle(half, new_session=settlement.new_session, waits=waits)

    async def _weaken(self, settlement: Settlement, pair: Pair, reason: str) -> None:
        message, outcome = pair
        self.refusals.forget(settlement.kind, message)
        weaker = settlement.settling.weaker(outcome, partial(self.as_failed, message, reason))
        if type(weaker) is type(outcome) and not isinstance(outcome, Failed):
            self._events.emit(Event.RESULT_NOT_KEPT, msg_id=message.msg_id, reason=reason)
        else:
            self._events.emit(
                Event.SETTLEMENT_REFUSED,
                msg_id=message.msg_id,
                statement=settlement.kind,
                reason=reason,
                follows=_in_words(weaker),
            )
        if weaker is not None:
            await self._settle([(message, weaker)], new_session=settlement.new_session)
            return
        message.state = State.LOST  # its claim is left: the heartbeat gives it back, and counts a lost lease
        finished, _ = self._held.closing([message])
        self._held.closed(finished)

    def hold(self, settlement: Settlement, pairs: list[Pair]) -> None:
        """Keep these outcomes, and their leases, until the database may take them."""
        self._reopen(settlement, pairs)
        self.refusals.hold(settlement.kind, pairs)

    def _reopen(self, settlement: Settlement, pairs: Iterable[Pair]) -> None:
        self._held.reopened(message for message, _ in pairs)
        settlement.finished, settlement.touched = [], []

    async def still_ours(
        self, settlement: Settlement, missed: list[Pair], sent: dict[int, int]
    ) -> list[Pair]:
        """Sort the messages that a statement did not find. Those whose lease a renewal has moved meanwhile
        are tried again. A row that is still there was refused without an error. The others are lost, or were
        settled before.
        """
        while self._held.renewing.intersection(message.msg_id for message, _ in missed):  # noqa: ASYNC110 - a thread clears it
            await asyncio.sleep(0.005)
        left = await self._left(settlement, missed, sent)
        again: list[Pair] = []
        for message, outcome in missed:
            if message.vt_us != sent[message.msg_id]:
                again.append((message, outcome))
            elif message.msg_id in left:
                self._reopen(settlement, [(message, outcome)])
                await self._weaken(settlement, (message, outcome), STAYED)
            else:
                said = message.unanswered or message.state == State.LOST or isinstance(outcome, Lost)
                message.state = State.LOST
                if not said:
                    self._lost(message)
        return again

    async def _left(self, settlement: Settlement, missed: list[Pair], sent: dict[int, int]) -> set[int]:
        """Ids of missed messages whose rows are still there."""
        unmoved = [
            pair for pair in missed if pair[0].vt_us == sent[pair[0].msg_id] and pair[0].state != State.LOST
        ]
        if settlement.settling.keeps_row or not unmoved:
            return set()
        while True:
            try:
                return await self._diagnosis.left(unmoved, sent)
            except Exception as error:
                if not is_passing(error) and not refuses_login(error):
                    return set()
                await self._backoff.failed(error)

    def _lost(self, message: Message) -> None:
        self._events.emit_each(Event.LEASE_LOST, [message])

    async def _without_queue(self, settlement: Settlement) -> None:
        """The queue was dropped, and these messages with it."""
        self._reopen(settlement, settlement.pairs)
        for message in settlement.messages:
            if message.state != State.LOST:
                message.state = State.LOST
                self._lost(message)
        await self._settle([(message, LOST) for message in settlement.messages])


def said(error: BaseException) -> str:
    """An error in one line, with its SQLSTATE."""
    return f"{state_of(error) or type(error).__name__}: {error}".strip()


def _in_words(weaker: Outcome | None) -> str:
    """What is tried in place of a refused outcome."""
    match weaker:
        case None:
            return "it is left to the end of its lease"
        case Failed(retry_after_s=None):
            return "a dead letter"
        case Failed(retry_after_s=delay_s) if delay_s == PUT_OFF_S:
            return "put off for a day"
    return "another attempt"


def _is_lock(error: Exception) -> bool:
    return isinstance(error, TimeoutError) or cause_behind(error) is Cause.LOCKED


def _may_follow_the_row(error: Exception) -> bool:
    return isinstance(error, TimeoutError) or may_follow_the_row(state_of(error))


def _one_more_try(_message: Message, reason: str) -> Failed:
    """What follows a refusal where no retry policy was given."""
    return Failed("error", "SettlementRefused", reason, None, 60.0)

"""Writes outcomes down, in batches, until each has landed or its lease is lost.

A finished handler whose outcome could not be written is not a failed handler: an outage is waited out here, a
batch that a single message spoils is split until that message stands alone, and what the whole queue refuses
is kept until it is accepted (``model.refusal`` tells these apart).
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from postmill.db.outage import is_passing, refuses_login
from postmill.engine.diagnosis import Diagnosis, sqlstate_of
from postmill.engine.letters import with_last_failures
from postmill.engine.refusals import Refusals
from postmill.engine.reports import follows, report
from postmill.engine.settlement import Settlement, Statements, grouped
from postmill.model.events import Event
from postmill.model.message import State
from postmill.model.outcome import LOST, Failed, Lost
from postmill.model.refusal import Cause, Verdict, cause_of, weakened
from postmill.service.outage import OutageBackoff
from postmill.service.service import Service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from postmill.db.shared_connection import SharedConnection
    from postmill.engine.ledger import Ledger
    from postmill.engine.settlement import Pair
    from postmill.model.message import Message
    from postmill.model.outcome import Outcome
    from postmill.service.events import Events
    from postmill.service.outage import Outage

STAYED = "the row stays where it is: a trigger or row security keeps it"
BATCH = 1000
"""Messages in one statement at most."""
GIVEN_UP_AFTER = 3
"""An outcome that breaks its batch alone so often in a row is given up: the settler itself, after eight."""
WAITS = 3
"""A lock that kept a settlement waiting so often is looked for: most are gone before."""


class Settler(Service):
    """The outcomes of one worker on their way to the database."""

    def __init__(
        self,
        shared: SharedConnection,
        statements: Statements,
        ledger: Ledger,
        events: Events,
        outage: Outage,
    ) -> None:
        super().__init__(events)
        self.statements = statements
        self._shared = shared
        self._ledger = ledger
        self._events = events
        self._backoff = OutageBackoff(outage)
        self._diagnosis = Diagnosis(shared, statements)
        self._refusals = Refusals(events)
        self._pending: list[Pair] = []
        self._in_hand: list[Pair] = []
        """What the batch at hand began with."""
        self._suspects = 0
        """So many outcomes were in a batch that broke: they go one by one, until it is known which did it."""
        self._suspect: Message | None = None
        """The last message whose outcome broke a batch alone."""
        self._broke_alone = 0
        self._waiting: asyncio.Future[None] | None = None
        self.settled = 0
        """Messages settled so far."""
        self.on_settled: list[Callable[[Settlement, list[int]], None]] = []
        """Called after each statement with what it really settled."""
        self.on_progress: Callable[[], None] = lambda: None
        self.as_failed: Callable[[Message, str], Failed] = _one_more_try
        """Makes a failed attempt, under the retry policy, of an outcome that was refused for this reason."""

    def add(self, message: Message, outcome: Outcome) -> None:
        """Take over a message whose attempt has ended."""
        self._pending.append((message, outcome))
        if self._waiting is not None:
            self.wake()

    @property
    def pending(self) -> int:
        """Outcomes that are not on their way yet."""
        return len(self._pending) + len(self._refusals)

    @property
    def queue_refuses(self) -> bool:
        """Whether nothing more should be claimed, because the queue takes no outcomes."""
        return self._refusals.queue_refuses

    async def run_once(self) -> bool:
        """Write down one batch, and offer again what was refused and is due."""
        due = self._refusals.due()
        size = BATCH if self._suspects == 0 else 1
        batch, self._pending = self._pending[:size], self._pending[size:]
        self._in_hand = [*due, *batch]
        try:
            for pair in due:
                await self._settle_pairs([pair], trial=True)
            await self._settle_pairs(batch)
        except BaseException as error:
            self._take_back(error)
            raise
        self._in_hand, self._suspects = [], max(0, self._suspects - 1)
        self.on_progress()
        return bool(self._pending)

    @property
    def held(self) -> list[Message]:
        """Messages whose outcomes wait to be written, or are on their way."""
        return [message for message, _ in (*self._pending, *self._in_hand, *self._refusals.pairs)]

    def _take_back(self, error: BaseException) -> None:
        """A batch has ended in the middle. What is not decided goes back to what waits, and may have landed.
        An outcome that breaks it alone is given up for one that can be written.
        """
        kept = {id(pair[0]) for pair in [*self._pending, *self._refusals.pairs]}
        open_pairs = [
            pair if pair[0].state != State.LOST else (pair[0], LOST)
            for pair in self._in_hand
            if id(pair[0]) not in kept and pair[0].state != State.SETTLED
        ]
        self._in_hand = []
        for message, _ in open_pairs:
            message.unanswered = True
            message.state = State.LOST if message.state == State.LOST else State.HELD
        self._ledger.reopened(message for message, _ in open_pairs if message.counted)
        self._ledger.close_empty()
        if isinstance(error, Exception):
            self._suspects = len(open_pairs)
            if len(open_pairs) == 1 and self._breaks_alone(open_pairs[0][0]):
                open_pairs = [self._given_up(*open_pairs[0], error)]
        self._pending[:0] = open_pairs

    def _breaks_alone(self, message: Message) -> bool:
        """Whether it is surely this message's outcome that breaks the batch."""
        again = self._suspect is message
        self._suspect, self._broke_alone = message, self._broke_alone + 1 if again else 1
        return self._broke_alone >= GIVEN_UP_AFTER

    def _given_up(self, message: Message, outcome: Outcome, error: Exception) -> Pair:
        reason = f"its outcome can't be settled: {_said(error)}"
        self._events.emit(Event.WORKER_FAILED, exception=error, msg_id=message.msg_id, reason=reason)
        if isinstance(outcome, Failed):
            return message, LOST
        return message, self.as_failed(message, reason)

    async def rest(self) -> None:
        """Wait for the next outcome, or until a refused one is due again."""
        if self._pending:
            return
        self._waiting = asyncio.get_running_loop().create_future()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._refusals.wait_s()):
                await self._waiting
        self._waiting = None

    def wake(self) -> None:
        """See :class:`Service`."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def drain(self, timeout_s: float) -> bool:
        """Write down everything that is pending and stop. Returns whether all of it landed in time."""
        try:
            async with asyncio.timeout(timeout_s):
                await self.stop()
                while await self.run_once() or self.pending:
                    if not self._pending:
                        await asyncio.sleep(self._refusals.wait_s() or 0.0)
        except TimeoutError:
            return False
        return True

    async def _settle_pairs(
        self, pairs: list[Pair], *, trial: bool = False, new_session: bool = False
    ) -> None:
        for settlement in grouped(pairs, self._ledger.closing):
            settlement.trial, settlement.new_session = trial, new_session
            await self._settle(settlement)
            self._ledger.closed(settlement.finished)

    async def _settle(self, settlement: Settlement) -> None:
        while settlement.pairs:
            if self._refusals.is_refusing(settlement.kind) and not settlement.trial:
                self._hold(settlement, settlement.pairs)
                return
            try:
                if settlement.kind == "dead_letter":
                    await self._explain(settlement)
                settled = await self._execute(settlement)
            except Exception as error:
                if await self._is_sent_again(settlement, error):
                    continue
                return
            self._backoff.worked()
            missed = self._note(settlement, settled)
            if missed:
                sent = dict(
                    zip((message.msg_id for message in settlement.messages), settlement.sent_vts, strict=True)
                )
                missed = await self._still_ours(settlement, missed, sent)
            settlement.pairs = missed

    async def _is_sent_again(self, settlement: Settlement, error: Exception) -> bool:
        """Decide what follows a failure. Returns whether the same settlement is to be sent once more; if not,
        it is seen to.
        """
        if is_passing(error) or refuses_login(error):
            return await self._waits(settlement, error)
        self._backoff.worked()  # the server answers
        if cause_of(sqlstate_of(error)) is Cause.ROW:
            self._release(settlement.kind, ())
            await self._apart(settlement, error)
            return False
        if not settlement.new_session:  # a handler may have left another role or no statements on this one
            settlement.new_session = True
            await self._shared.close()
            return True
        return await self._judge(settlement, error)

    async def _waits(self, settlement: Settlement, error: Exception) -> bool:
        """Wait out an outage. What waits for a lock again and again is given up for now."""
        for message in settlement.messages:
            message.unanswered = True
        await self._backoff.failed(error)
        if not isinstance(error, TimeoutError) and cause_of(sqlstate_of(error)) is not Cause.LOCKED:
            return True
        settlement.waits += 1
        if settlement.waits < WAITS and not settlement.trial:
            return True
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
        free = [pair for pair in settlement.pairs if unlocked is not None and pair[0].msg_id in unlocked]
        if unlocked is None or len(free) == len(settlement.pairs):
            self._refusals.locked_away(settlement.kind, _said(error))
            self._hold(settlement, settlement.pairs)
            return
        self._hold(settlement, [pair for pair in settlement.pairs if pair not in free])
        self._reopen(settlement, free)
        await self._settle_pairs(free, new_session=settlement.new_session)

    async def _judge(self, settlement: Settlement, error: Exception) -> bool:
        """It was refused for a reason that may meet one row or all: find out which."""
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
        verdict = self._refusals.judge(settlement.kind, message, lacking=lack.words, reason=_said(error))
        if verdict is Verdict.ROW:
            await self._apart(settlement, error)
        else:
            self._hold(settlement, settlement.pairs)
        return False

    async def _apart(self, settlement: Settlement, error: Exception) -> None:
        """Find the row that the statement can't take; one that stands alone is given a weaker outcome."""
        self._reopen(settlement, settlement.pairs)
        if len(settlement.pairs) == 1:
            await self._weaken(settlement, settlement.pairs[0], _said(error))
            return
        for half in settlement.halves():
            await self._settle_pairs(half, new_session=settlement.new_session)

    async def _weaken(self, settlement: Settlement, pair: Pair, reason: str) -> None:
        message, outcome = pair
        self._refusals.forget(settlement.kind, message)
        weaker = weakened(outcome, partial(self.as_failed, message, reason))
        if type(weaker) is type(outcome) and not isinstance(outcome, Failed):
            self._events.emit(Event.RESULT_NOT_KEPT, msg_id=message.msg_id, reason=reason)
        else:
            self._events.emit(
                Event.SETTLEMENT_REFUSED,
                msg_id=message.msg_id,
                statement=settlement.kind,
                reason=reason,
                follows=follows(weaker),
            )
        if weaker is not None:
            await self._settle_pairs([(message, weaker)], new_session=settlement.new_session)
            return
        message.state = (
            State.LOST
        )  # its receipt is left: the heartbeat gives it back, and counts a lost lease
        finished, _ = self._ledger.closing([message])
        self._ledger.closed(finished)

    def _hold(self, settlement: Settlement, pairs: list[Pair]) -> None:
        """Keep these outcomes, and their leases, until the database may take them."""
        self._reopen(settlement, pairs)
        self._refusals.hold(settlement.kind, pairs)

    def _reopen(self, settlement: Settlement, pairs: Iterable[Pair]) -> None:
        self._ledger.reopened(message for message, _ in pairs)
        settlement.finished, settlement.touched = [], []

    def _release(self, kind: str, settled: Iterable[int]) -> None:
        """The queue takes settlements of this kind: send what was kept from it."""
        self._pending[:0] = self._refusals.accepted(kind, settled)

    async def _explain(self, settlement: Settlement) -> None:
        """Give messages that were not run again the failure that their last attempt met: once."""
        if not settlement.explained:
            queue = self.statements.shape.name
            settlement.pairs = await with_last_failures(self._shared, queue, settlement.pairs)
            settlement.explained = True

    async def _execute(self, settlement: Settlement) -> list[int]:
        for message, _ in settlement.pairs:
            if message.state == State.HELD:
                message.state = State.SETTLING
        try:
            text, arguments = self.statements.call(settlement)
            row = await self._shared.fetchrow(text, *arguments)
        except BaseException:
            for message, _ in settlement.pairs:
                if message.state == State.SETTLING:
                    message.state = State.HELD
            raise
        if row is None:  # a statement that only closes receipts
            return [message.msg_id for message, _ in settlement.pairs]
        settled: list[int] = row["settled"]
        return settled

    def _note(self, settlement: Settlement, settled: list[int]) -> list[Pair]:
        """Mark what landed; returns what did not."""
        missed: list[Pair] = []
        if len(settled) == len(settlement.pairs):
            landed = settlement.messages
        else:
            ids = set(settled)
            landed = [message for message in settlement.messages if message.msg_id in ids]
            missed = [pair for pair in settlement.pairs if pair[0].msg_id not in ids]
        news = landed
        if settlement.event == Event.LEASE_LOST:
            news = [message for message in landed if message.state != State.LOST]  # the others' loss was said
        for message in landed:
            message.state = State.SETTLED
        self.settled += len(landed)
        if landed:
            self._release(settlement.kind, settled)
            for listener in self.on_settled:
                listener(settlement, settled)
            report(self._events, settlement, news)
        return missed

    async def _still_ours(
        self, settlement: Settlement, missed: list[Pair], sent: dict[int, int]
    ) -> list[Pair]:
        """Of what a statement did not find: what a renewal has moved meanwhile, to be tried again. A row that
        is there all the same is refused in silence. The rest is lost, or done before.
        """
        while self._ledger.renewing.intersection(message.msg_id for message, _ in missed):  # noqa: ASYNC110 - a thread clears it
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
        """Ids of missed messages whose rows are there all the same."""
        unmoved = [
            pair for pair in missed if pair[0].vt_us == sent[pair[0].msg_id] and pair[0].state != State.LOST
        ]
        if settlement.kind == "close" or not unmoved:
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
        await self._settle_pairs([(message, LOST) for message in settlement.messages])


def _said(error: BaseException) -> str:
    return f"{sqlstate_of(error) or type(error).__name__}: {error}".strip()


def _one_more_try(_message: Message, reason: str) -> Failed:
    """What follows a refusal where no retry policy was given."""
    return Failed("error", "SettlementRefused", reason, None, 60.0)

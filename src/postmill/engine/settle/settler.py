"""Writes outcomes down, in batches, until each has landed or its lease is lost, and reports what landed.

A finished handler whose outcome could not be written is not a failed handler. What follows a settlement that
the database did not take is decided by ``engine.settle.failed_settlements``.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import asyncpg

from postmill.db.hot.statement_size import is_too_large
from postmill.engine.settle.dead_letters import with_last_failures
from postmill.engine.settle.failed_settlements import FailedSettlements, said
from postmill.engine.settle.settlement import Settlement, Statements, grouped
from postmill.model.events import Event
from postmill.model.queue.message import State
from postmill.model.queue.outcome import LOST, Failed
from postmill.service.outage import OutageBackoff
from postmill.service.service import Service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from postmill.db.hot.shared_connection import SharedConnection
    from postmill.engine.settle.settlement import Call, Pair, Room, Settlings
    from postmill.model.queue.message import HeldMessages, Message
    from postmill.model.queue.outcome import Outcome
    from postmill.service.events import Events
    from postmill.service.outage import Outage

BATCH = 1000
"""Messages in one statement at most. ``bench settle`` measures the cost of a message by the size of its
batch: 1,000 is its largest. Large outcomes are fewer (``db.hot.statement_size``).
"""
GIVEN_UP_AFTER = 3
"""An outcome that breaks the settler this many times in a row, alone in its batch, is given up. Three: well
before the settler itself is given up (``service.service.MAX_FRUITLESS``).
"""


class Settler(Service):
    """The outcomes of one worker on their way to the database."""

    def __init__(
        self,
        shared: SharedConnection,
        statements: Statements,
        settlings: Settlings,
        held_messages: HeldMessages,
        events: Events,
        outage: Outage,
    ) -> None:
        super().__init__(events)
        self.statements = statements
        self._settlings = settlings
        self._shared, self._held, self._events = shared, held_messages, events
        self._backoff = OutageBackoff(outage)
        around = shared, statements, held_messages, events, self._backoff
        self._failures = FailedSettlements(*around, self._settle_pairs, self._release)
        self._refusals = self._failures.refusals
        self._to_prepare = settlings.prepared
        self._pending: list[Pair] = []
        self._in_hand: list[Pair] = []
        """What the batch at hand began with."""
        self._suspects = 0
        """Outcomes of a batch that broke, still to be sent one by one."""
        self._suspect: Message | None = None
        """The last message whose outcome broke a batch alone."""
        self._broke_alone = 0
        self._waiting: asyncio.Future[None] | None = None
        self.settled = 0
        """Messages settled so far."""
        self.room: Callable[[int], Room | None] = lambda _settled: None
        """What a statement that settles so many messages, and can claim, may claim for the worker."""
        self.on_claimed: Callable[[Any, float], None] = lambda _row, _sent_at: None
        """Called with the answer of a statement that has claimed messages, and when it was sent."""
        self.on_settled: list[Callable[[Settlement, list[int]], None]] = []
        """Called after each statement with what it really settled."""
        self.on_dead: Callable[[Settlement, list[int]], None] = lambda _settlement, _settled: None
        """Called with the ids that went to the dead letters."""
        self.on_due_in: Callable[[float], None] = lambda _seconds: None
        """Called for each message that is due again, with the seconds until then."""
        self.on_progress: Callable[[], None] = lambda: None

    def fail_with(self, as_failed: Callable[[Message, str], Failed]) -> None:
        """``as_failed`` makes a failed attempt, under the retry policy, of an outcome that is refused."""
        self._failures.as_failed = as_failed

    def add(self, message: Message, outcome: Outcome) -> None:
        """Take over a message whose attempt has ended."""
        self._pending.append((message, outcome))
        if self._waiting is not None:
            self.wake()

    @property
    def pending(self) -> int:
        """Outcomes that are not on their way yet."""
        return len(self._pending) + (len(self._refusals) if self._refusals.begun else 0)

    @property
    def queue_refuses(self) -> bool:
        """Whether nothing more should be claimed, because the queue takes no outcomes."""
        return self._refusals.begun and self._refusals.queue_refuses

    async def run_once(self) -> bool:
        """Write down one batch, and offer again what was refused and is due."""
        if self._to_prepare:
            await self._prepare()
        due = self._refusals.due() if self._refusals.begun else []
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

    async def _prepare(self) -> None:
        """Have the server make plans before there is anything to settle. Nothing depends on it: what fails
        here fails again where it matters.
        """
        to_prepare, self._to_prepare = self._to_prepare, ()
        if self._shared.address.pooled:  # no plan is kept there
            return
        with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            for prepare in to_prepare:
                for text, arguments in prepare(self.statements):
                    await self._shared.fetchrow(text, *arguments)

    @property
    def held(self) -> list[Message]:
        """Messages whose outcomes wait to be written, or are on their way."""
        return [message for message, _ in (*self._pending, *self._in_hand, *self._refusals.pairs)]

    def _take_back(self, error: BaseException) -> None:
        """A batch was interrupted. Outcomes that are not decided wait again, marked as perhaps written. An
        outcome that breaks the settler alone is replaced by one that can be written.
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
        self._held.reopened(message for message, _ in open_pairs if message.counted)
        self._held.close_empty()
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
        reason = f"its outcome can't be settled: {said(error)}"
        self._events.emit(Event.WORKER_FAILED, exception=error, msg_id=message.msg_id, reason=reason)
        if isinstance(outcome, Failed):
            return message, LOST
        return message, self._failures.as_failed(message, reason)

    async def rest(self) -> None:
        """Wait for the next outcome, or until a refused one is due again."""
        if self._pending:
            return
        self._waiting = asyncio.get_running_loop().create_future()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._refusals.wait_s() if self._refusals.begun else None):
                await self._waiting
        self._waiting = None

    def wake(self) -> None:
        """See :class:`Service`."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def drain(self, timeout_s: float) -> bool:
        """Write all pending outcomes and stop. Returns whether all of them were written in time."""
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
        self, pairs: list[Pair], *, trial: bool = False, new_session: bool = False, waits: int = 0
    ) -> None:
        for settlement in grouped(pairs, self._held.closing, self._settlings):
            settlement.trial, settlement.new_session, settlement.waits = trial, new_session, waits
            await self._settle(settlement)
            self._held.closed(settlement.finished)

    async def _settle(self, settlement: Settlement) -> None:
        while settlement.pairs:
            if self._is_refused(settlement):
                self._failures.hold(settlement, settlement.pairs)
                return
            try:
                if settlement.settling.buries:
                    await self._explain(settlement)
                built = self._built(settlement)
                if len(settlement.pairs) > 1 and is_too_large(built[1]):
                    await self._failures.in_halves(settlement)
                    return
                settled = await self._execute(settlement, *built)
            except Exception as error:
                if await self._failures.is_sent_again(settlement, error):
                    continue
                return
            if self._backoff.failing:
                self._backoff.worked()
            missed = self._note(settlement, settled)
            if missed:
                sent = dict(
                    zip((message.msg_id for message in settlement.messages), settlement.sent_vts, strict=True)
                )
                missed = await self._failures.still_ours(settlement, missed, sent)
            settlement.pairs = missed

    def _is_refused(self, settlement: Settlement) -> bool:
        """Whether it need not be sent, since the queue takes none of its kind."""
        refusals = self._refusals
        return refusals.begun and refusals.is_refusing(settlement.kind) and not settlement.trial

    def _release(self, kind: str, settled: Iterable[int]) -> None:
        """The queue takes settlements of this kind: send what was kept from it."""
        self._pending[:0] = self._refusals.accepted(kind, settled)

    async def _explain(self, settlement: Settlement) -> None:
        """Give messages that were not run again the failure that their last attempt met: once."""
        if not settlement.explained:
            queue = self.statements.shape.name
            settlement.pairs = await with_last_failures(self._shared, queue, settlement.pairs)
            settlement.explained = True

    def _built(self, settlement: Settlement) -> Call:
        settlement.room = self.room(len(settlement.pairs)) if settlement.settling.claims else None
        return self.statements.call(settlement)

    async def _execute(self, settlement: Settlement, text: str, arguments: tuple[Any, ...]) -> list[int]:
        for message, _ in settlement.pairs:
            if message.state == State.HELD:
                message.state = State.SETTLING
        try:
            sent_at = time.monotonic()
            row = await self._shared.fetchrow(text, *arguments)
        except BaseException:
            for message, _ in settlement.pairs:
                if message.state == State.SETTLING:
                    message.state = State.HELD
            raise
        if row is None:  # a statement that only closes claims
            return [message.msg_id for message, _ in settlement.pairs]
        if settlement.room and row["claim_id"] is not None:
            self.on_claimed(row, sent_at)
        settled: list[int] = row["settled"]
        return settled

    def _note(self, settlement: Settlement, settled: list[int]) -> list[Pair]:
        """Mark the outcomes that were written; returns the others."""
        landed, missed = settlement.landed(settled)
        news = landed
        if settlement.event == Event.LEASE_LOST:
            news = [message for message in landed if message.state != State.LOST]  # the others were logged
        for message in landed:
            message.state = State.SETTLED
        self.settled += len(landed)
        if landed:
            if self._refusals.begun:
                self._release(settlement.kind, settled)
            self._tell(settlement, settled)
            self._report(settlement, news)
        return missed

    def _report(self, settlement: Settlement, landed: list[Message]) -> None:
        """One event a message, with what is worth knowing of its outcome."""
        details = settlement.settling.details
        if details is None:
            self._events.emit_each(settlement.event, landed)
            return
        ids = {message.msg_id for message in landed}
        for message, outcome in settlement.pairs:
            if message.msg_id in ids:
                self._events.emit_each(settlement.event, [message], **details(message, outcome))

    def _tell(self, settlement: Settlement, settled: list[int]) -> None:
        for listener in self.on_settled:
            listener(settlement, settled)
        if settlement.settling.buries:
            self.on_dead(settlement, settled)
        if settlement.settling.due_in_s is not None:
            for _, outcome in settlement.pairs:
                self.on_due_in(settlement.settling.due_in_s(outcome))

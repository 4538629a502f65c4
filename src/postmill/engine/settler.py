"""Writes outcomes down, in batches, until each has landed or its lease is lost.

A finished handler whose outcome could not be written is not a failed handler: an outage is waited out here,
and a batch that a single message spoils is split until that message stands alone.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import asyncpg

from postmill.db.outage import is_passing, refuses_login
from postmill.engine.settlement import Settlement, Statements, grouped
from postmill.model.events import Event
from postmill.model.message import State
from postmill.model.outcome import LOST, Completed, Failed, Lost, Settled
from postmill.service.outage import OutageBackoff
from postmill.service.service import Service

if TYPE_CHECKING:
    from collections.abc import Callable

    from postmill.db.shared_connection import SharedConnection
    from postmill.engine.ledger import Ledger
    from postmill.engine.settlement import Pair
    from postmill.model.message import Message
    from postmill.model.outcome import Outcome
    from postmill.service.events import Events
    from postmill.service.outage import Outage

BATCH = 1000
"""Messages in one statement at most."""


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
        super().__init__()
        self.statements = statements
        self._shared = shared
        self._ledger = ledger
        self._events = events
        self._backoff = OutageBackoff(outage)
        self._pending: list[Pair] = []
        self._waiting: asyncio.Future[None] | None = None
        self.settled = 0
        """Messages settled so far."""
        self.on_settled: list[Callable[[Settlement, list[int]], None]] = []
        """Called after each statement with what it really settled."""
        self.on_progress: Callable[[], None] = lambda: None

    def add(self, message: Message, outcome: Outcome) -> None:
        """Take over a message whose attempt has ended."""
        self._pending.append((message, outcome))
        if self._waiting is not None:
            self.wake()

    @property
    def pending(self) -> int:
        """Outcomes that are not on their way yet."""
        return len(self._pending)

    async def run_once(self) -> bool:
        """Write down one batch."""
        batch, self._pending = self._pending[:BATCH], self._pending[BATCH:]
        for settlement in grouped(batch, self._ledger.closing):
            await self._settle(settlement)
            self._ledger.closed(settlement.finished)
        self.on_progress()
        return bool(self._pending)

    async def rest(self) -> None:
        """Wait for the next outcome."""
        if not self._pending:
            self._waiting = asyncio.get_running_loop().create_future()
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
                while await self.run_once():
                    pass
        except TimeoutError:
            return False
        return True

    async def _settle(self, settlement: Settlement) -> None:
        while settlement.pairs:
            try:
                settled = await self._execute(settlement)
            except asyncpg.UndefinedTableError:  # the queue was dropped, and these messages with it
                settlement = self._without_queue(settlement)
                continue
            except Exception as error:
                if not is_passing(error) and not refuses_login(error):
                    await self._settle_apart(settlement, error)
                    return
                settlement.uncertain = True
                await self._backoff.failed(error)
                continue
            self._backoff.worked()
            missed = self._note(settlement, settled)
            if missed:
                sent = dict(
                    zip((message.msg_id for message in settlement.messages), settlement.sent_vts, strict=True)
                )
                missed = await self._still_ours(missed, sent, uncertain=settlement.uncertain)
            settlement.pairs = missed

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
            for listener in self.on_settled:
                listener(settlement, settled)
            self._say(settlement, news)
        return missed

    def _say(self, settlement: Settlement, landed: list[Message]) -> None:
        if settlement.event in {Event.MESSAGE_RETRYING, Event.MESSAGE_DEAD, Event.MESSAGE_SNOOZED}:
            ids = {message.msg_id for message in landed}
            for message, outcome in settlement.pairs:
                if message.msg_id in ids:
                    self._events.emit_each(settlement.event, [message], **_details(outcome))
        else:
            self._events.emit_each(settlement.event, landed)

    async def _still_ours(self, missed: list[Pair], sent: dict[int, int], *, uncertain: bool) -> list[Pair]:
        """Of what a statement did not find: what a renewal has moved meanwhile, to be tried again. The rest
        is lost, or done before.
        """
        while self._ledger.renewing.intersection(message.msg_id for message, _ in missed):  # noqa: ASYNC110 - a thread clears it
            await asyncio.sleep(0.005)
        again: list[Pair] = []
        for message, outcome in missed:
            if message.vt_us != sent[message.msg_id]:
                again.append((message, outcome))
                continue
            said = uncertain or message.state == State.LOST or isinstance(outcome, Lost)
            message.state = State.LOST
            if not said:
                self._lost(message)
        return again

    def _lost(self, message: Message) -> None:
        self._events.emit_each(Event.LEASE_LOST, [message])

    def _without_queue(self, settlement: Settlement) -> Settlement:
        for message in settlement.messages:
            if message.state != State.LOST:
                message.state = State.LOST
                self._lost(message)
        lost = [(message, LOST) for message in settlement.messages]
        return Settlement("close", Event.LEASE_LOST, list(lost), settlement.finished, settlement.touched)

    async def _settle_apart(self, settlement: Settlement, error: Exception) -> None:
        """One message's data spoils the statement: find it, and settle it without that data."""
        if len(settlement.pairs) > 1:
            for half in settlement.halves():
                await self._settle(half)
            return
        message, outcome = settlement.pairs[0]
        if isinstance(outcome, Completed | Settled) and outcome.result is not None:
            self._events.emit(Event.RESULT_NOT_KEPT, msg_id=message.msg_id, reason=str(error))
            settlement.pairs = [(message, type(outcome)())]
            await self._settle(settlement)
            return
        self._events.emit(Event.WORKER_FAILED, exception=error, msg_id=message.msg_id, reason=str(error))
        message.state = State.LOST  # its lease runs out, and another attempt follows


def _details(outcome: Outcome) -> dict[str, Any]:
    if isinstance(outcome, Failed):
        error = (
            f"{outcome.error_type}: {outcome.error_message}" if outcome.error_type else outcome.error_message
        )
        if outcome.retry_after_s is None:
            return {"kind": outcome.kind, "reason": outcome.reason, "error": error[:300]}
        return {"in_s": round(outcome.retry_after_s, 1), "kind": outcome.kind, "error": error[:300]}
    return {"in_s": getattr(outcome, "after_s", 0.0)}

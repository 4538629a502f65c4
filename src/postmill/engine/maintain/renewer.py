"""Renews the leases of what the workers of one process hold, on the heartbeat's thread and connection, before
anything else is done there.

Decides nothing about a message: the worker is told which leases are lost.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

import asyncpg

from postmill.db.hot.outage import breaks_connection, is_passing
from postmill.model.events import Event
from postmill.model.queue import silence
from postmill.model.queue.message import State
from postmill.model.sqlstates import may_come_from_one_row, state_of
from postmill.service.timed import TimedService
from postmill.sql.catalog import queue_statement, statement

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from uuid import UUID

    from postmill.db.hot.shared_connection import SharedConnection
    from postmill.engine.maintain.maintained_worker import MaintainedWorker
    from postmill.model.queue.message import Message
    from postmill.service.events import Events


class Renewer(TimedService):
    """The renewals of one process. ``call`` runs a callback on the event loop; ``blocked_s`` says for how
    long that loop has not had a turn.
    """

    def __init__(
        self,
        shared: SharedConnection,
        workers: Sequence[MaintainedWorker],
        call: Callable[..., None],
        blocked_s: Callable[[], float],
        events: Events,
    ) -> None:
        super().__init__(events)
        self._shared = shared
        self._workers = workers
        self._on_loop = call
        self._blocked_s = blocked_s
        self._period_s = silence.renewal_s(min(worker.options.lease_s for worker in workers))
        self._refusing: dict[UUID, bool] = {}
        """Workers whose queue refused the last renewal, and whether the reason would pass by itself."""

    async def run_once(self) -> bool:
        """Renew what is due, in one statement for each worker."""
        began = time.monotonic()
        blocked_s = self._blocked_s()
        for worker in self._workers:
            try:
                await self._see_to(worker, began, blocked_s)
            except asyncpg.PostgresError as error:
                if breaks_connection(error):
                    raise
                self._refused(worker, error)
        self._due_at = began + self._period_s
        return False

    def hurry(self) -> None:
        """The connection is a new one: renewals that got no answer on the old one come first."""
        self._due_at = 0.0
        self.wake()

    async def _see_to(self, worker: MaintainedWorker, now: float, blocked_s: float) -> None:
        if blocked_s > worker.options.max_blocked_s:
            await self._let_go(worker, blocked_s)
            return
        worker.let_go = False
        due = worker.held_messages.older_than(now - silence.renewed_from_s(worker.options.lease_s))
        if due and await self._renew(worker, sorted(due, key=_by_id)):
            self._accepted(worker)

    def _refused(self, worker: MaintainedWorker, error: asyncpg.PostgresError) -> None:
        """The server refuses the renewals in one queue (a missing right), or of one message (a trigger). The
        other leases and the heartbeat go on, and the refused one is tried again with the next round. Logged
        once.
        """
        if worker.worker_id in self._refusing:
            return
        self._refusing[worker.worker_id] = is_passing(error)
        if is_passing(error):
            worker.outage.began(error)
            return
        reason = f"leases are not renewed: {error.sqlstate}: {error}"
        worker.events.emit(Event.QUEUE_REFUSING, statement="renew", reason=reason)

    def _accepted(self, worker: MaintainedWorker) -> None:
        passing = self._refusing.pop(worker.worker_id, None)
        if passing:
            worker.outage.over()
        elif passing is not None:
            worker.events.emit(Event.QUEUE_ACCEPTING, statement="renew", kept=0)

    async def _renew(
        self, worker: MaintainedWorker, messages: list[Message], aside: frozenset[int] = frozenset()
    ) -> bool:
        """Renew messages, in order of id. One that the database refuses takes no other along: smaller parts
        find it, and its refusal is raised when the others are renewed. ``aside``: ids of other messages whose
        renewal is in doubt, and stays so. Returns whether the database renewed what was still held.
        """
        try:
            return await self._renew_at_once(worker, messages, aside)
        except asyncpg.PostgresError as error:
            if len(messages) == 1 or not may_come_from_one_row(state_of(error)):
                raise
        refusal: asyncpg.PostgresError | None = None
        middle = len(messages) // 2
        for half in (messages[:middle], messages[middle:]):
            others = worker.held_messages.renewing - {message.msg_id for message in half}
            try:
                await self._renew(worker, half, others)
            except asyncpg.PostgresError as error:
                if breaks_connection(error):
                    raise
                refusal = error
        if refusal is not None:
            raise refusal
        return True

    async def _renew_at_once(
        self, worker: MaintainedWorker, messages: list[Message], aside: frozenset[int]
    ) -> bool:
        sent_at = time.monotonic()
        doubtful = self._doubtful(worker, messages, sent_at)
        worker.held_messages.renewing = aside | doubtful | {message.msg_id for message in messages}
        try:
            rows = await self._shared.fetch(
                queue_statement("renew", worker.shape),
                [message.msg_id for message in messages],
                [message.read_ct for message in messages],
                [message.vt_us for message in messages],
                timedelta(seconds=silence.granted_s(worker.options.lease_s)),
                [message.claim.claim_id if message.msg_id in doubtful else None for message in messages],
            )
        except asyncpg.UndefinedTableError:  # the queue was dropped; the other workers' leases go on
            for message in messages:
                self._on_loop(worker.on_lost, message)
            worker.held_messages.renewing = aside
        except asyncpg.LockNotAvailableError:
            # This queue's table is being rewritten or altered. No worker can claim from it meanwhile; the
            # leases in other queues are not to wait for it.
            worker.held_messages.renewing = aside | doubtful
        except asyncpg.PostgresError as error:
            if not breaks_connection(error):  # the server refused: it has renewed nothing
                worker.held_messages.renewing = aside | doubtful
            raise
        else:
            left = self._take_over(worker, messages, rows, sent_at)
            worker.held_messages.renewing = aside | (left & doubtful)
            return True
        return False

    @staticmethod
    def _doubtful(worker: MaintainedWorker, messages: list[Message], now: float) -> frozenset[int]:
        """Messages whose last renewal got no answer: their vt may have moved. Settlements wait for them, so
        the doubt ends with the longest lease that the renewal can have given.
        """
        earliest = now - silence.granted_s(worker.options.lease_s)
        return worker.held_messages.renewing & {
            message.msg_id for message in messages if message.claim.renewed_at > earliest
        }

    def _take_over(
        self, worker: MaintainedWorker, messages: list[Message], rows: list[asyncpg.Record], sent_at: float
    ) -> frozenset[int]:
        """Note the new leases. Returns the ids of messages that could not be renewed just now."""
        by_id = {message.msg_id: message for message in messages}
        for row in rows:
            message = by_id[row["msg_id"]]
            if row["vt_us"] is not None:
                worker.held_messages.renewed(message, row["vt_us"], sent_at)
            elif not row["held"] and message.state == State.HELD:
                self._on_loop(worker.on_lost, message)
        return frozenset(row["msg_id"] for row in rows if row["vt_us"] is None and row["held"])

    async def _let_go(self, worker: MaintainedWorker, blocked_s: float) -> None:
        """An event loop that hangs for this long is not expected to finish: its messages go back to the
        queue, and the hang counts as an attempt.
        """
        if worker.let_go:
            return
        reason = f"the event loop was blocked for {blocked_s:.0f} s"
        await self._shared.fetch(statement("give_back"), worker.worker_id, [], 0.0, "crash", reason)
        worker.let_go = True
        worker.held_messages.renewing = frozenset()
        worker.events.emit(Event.WORKER_BLOCKED, blocked_s=round(blocked_s), reason=reason)


def _by_id(message: Message) -> int:
    return message.msg_id

"""Takes messages from one queue: the fast lane in order of id, and beside it, with a guaranteed share,
whatever lies behind.

Which ranges there are to look at is the cursor's knowledge (``model.cursor``); this module asks the database
and rests in between.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import asyncpg

from postmill.engine.outage import Patience
from postmill.engine.service import Service
from postmill.model.cursor import Cursor
from postmill.model.errors import QueueNotFound
from postmill.model.events import Event
from postmill.model.message import Claim, Message
from postmill.sql.catalog import queue_statement, statement

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from uuid import UUID

    from postmill.db.lane import Lane
    from postmill.engine.dispatcher import Dispatcher
    from postmill.engine.journal import Journal
    from postmill.engine.ledger import Ledger
    from postmill.engine.outage import Outage
    from postmill.model.queue_name import QueueShape
    from postmill.model.worker_options import WorkerOptions

LOOK_S = 0.2
"""While busy: how often the lanes behind the fast one get their share."""
PATROL_S = 1.0
HINT_S = 30.0
QUIET_AFTER_BUSY_S = 1.0
"""Busy for so long, and nobody needs to wake this worker."""
_SHARE = 4
"""Each lane behind the fast one may take one in so many of the messages wanted."""


class Claimer(Service):
    """The claims of one worker on one queue."""

    def __init__(
        self,
        lane: Lane,
        worker_id: UUID,
        options: WorkerOptions,
        dispatcher: Dispatcher,
        ledger: Ledger,
        journal: Journal,
        outage: Outage,
        find_shape: Callable[[], Awaitable[QueueShape]],
        on_shape: Callable[[QueueShape], None],
    ) -> None:
        super().__init__()
        self._lane = lane
        self._worker_id = worker_id
        self._options = options
        self._dispatcher = dispatcher
        self._ledger = ledger
        self._journal = journal
        self._patience = Patience(outage)
        self._find_shape = find_shape
        self._on_shape = on_shape
        self._lease = timedelta(seconds=options.lease_s)
        self._shape: QueueShape | None = None
        self._cursor: Cursor | None = None
        self.notified = False
        """Notifications work: the poll floor is ``max_poll_seconds``."""
        self._woken = asyncio.Event()
        self._announced_idle = False
        self._paused = False
        self._missing = False
        self._due_waiting = False
        self._rest_s = 0.0
        self._look_at = self._patrol_at = self._hint_at = 0.0
        self._busy_since: float | None = None
        self._observed = (time.monotonic(), 0)
        self.claims = 0
        """Claims made."""
        self.empty_claims = 0
        """Claims that found nothing."""

    def wake(self) -> None:
        """See :class:`Service`: something was sent, or there is room again."""
        self._woken.set()
        self._dispatcher.hungry.set()

    def due_in(self, delay_s: float) -> None:
        """A message of ours falls due in ``delay_s``: rest no longer than that."""
        asyncio.get_running_loop().call_later(delay_s + 0.001, self._due_now)

    async def run_once(self) -> bool:
        """One look or claim. Returns whether more may be waiting."""
        try:
            more = await self._work()
        except asyncpg.UndefinedTableError:
            await self._queue_is_missing()
            return False
        except QueueNotFound:
            await self._queue_is_missing()
            return False
        except Exception as error:
            await self._patience.failed(error)
            self._look_at = 0.0
            return not self._stopping
        self._patience.worked()
        return more

    async def rest(self) -> None:
        """Wait for room, a notification, the next due message or the poll floor."""
        if self._dispatcher.wanted() == 0 and self._cursor is not None:
            self._dispatcher.hungry.clear()
            if self._dispatcher.wanted() == 0:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._dispatcher.hungry.wait(), LOOK_S)
                return
        with suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), self._rest_s)
        if not self._woken.is_set():
            self._look_at = 0.0

    async def write_hint(self) -> None:
        """Remember for other workers where nothing is alive any more."""
        if self._cursor is not None and self._shape is not None and self._cursor.floor:
            await self._lane.execute(
                statement("cursor_hint_write"), self._options.queue, self._shape.relation, self._cursor.floor
            )

    async def _work(self) -> bool:
        if self._cursor is None or self._shape is None:
            await self._begin()
            return True
        self._woken.clear()
        self._observe()
        now = time.monotonic()
        if self._dispatcher.wanted() == 0:
            return False
        if now >= self._look_at:
            await self._look(now, idle=False)
            await self._claim_behind(now)
        wanted = self._dispatcher.wanted()
        if wanted == 0 or self._cursor is None:
            return self._cursor is None
        found, complete = await self._claim_fast(wanted)
        if found or not (complete or self._paused):
            self._busy()
            return True
        return await self._claim_idle()

    async def _begin(self) -> None:
        """Learn the queue's shape and where to start: at a worker's start, and when the queue was dropped and
        created again.
        """
        shape = await self._find_shape()
        row = await self._lane.fetchrow(statement("cursor_hint_read"), self._options.queue, shape.relation)
        self._shape = shape
        self._cursor = Cursor.at(row["hint"], row["now"])
        self._on_shape(shape)
        if self._missing:
            self._missing = False
            self._journal.say(Event.QUEUE_CREATED, reason="it is back")

    async def _look(self, now: float, *, idle: bool) -> float | None:
        """Ask how the queue stands. Returns the seconds until the next message falls due, when ``idle``."""
        assert self._cursor is not None and self._shape is not None  # noqa: S101, PT018
        cursor, shape = self._cursor, self._shape
        arguments = (self._options.queue, cursor.due_after) if idle else (self._options.queue,)
        row = await self._lane.fetchrow(
            queue_statement("look", shape, *(("idle",) if idle else ())), *arguments
        )
        self._look_at = now + LOOK_S
        if row["relation"] != shape.relation:
            self._cursor = None
            self._announced_idle = False
            return 0.0
        cursor.looked(row["sequence"], row["writers"] or ())
        self._due_waiting = True
        self._note_pause(paused=bool(row["paused"]))
        due_in_s: float | None = row["due_in_s"]
        return due_in_s

    async def _claim_idle(self) -> bool:
        """The fast lane is empty: look behind, ask to be woken, and find out how long to rest. Returns
        whether to go on at once.
        """
        cursor = self._cursor
        assert cursor is not None  # noqa: S101
        now = time.monotonic()
        if await self._claim_behind(now):
            return True
        if self.notified and not self._announced_idle and not self._paused:
            await self._lane.execute(statement("listener_add"), self._options.queue, self._worker_id)
            self._announced_idle = True
        due_in_s = await self._look(now, idle=True)
        if self._cursor is not cursor:
            return True
        wanted = self._dispatcher.wanted()
        if cursor.sequence > cursor.position and wanted and not self._paused:
            found, complete = await self._claim_fast(wanted)
            if found or not complete:
                return True
        if await self._claim_behind(now):
            return True
        self._busy_since = None
        floor = self._options.max_poll_s if self.notified else self._options.poll_interval_s
        if cursor.writers:
            floor = min(floor, self._options.poll_interval_s)
        self._rest_s = min(floor, max(0.001, due_in_s)) if due_in_s is not None else floor
        if due_in_s is not None and due_in_s <= 0:
            self._rest_s = min(floor, self._options.poll_interval_s)
        return False

    async def _claim_fast(self, wanted: int) -> tuple[int, bool]:
        cursor = self._cursor
        assert cursor is not None  # noqa: S101
        row = await self._claim("fast", cursor.position, wanted)
        if row["msg_ids"]:
            cursor.claimed(max(row["msg_ids"]))
        if row["complete"]:
            cursor.drained()
        return len(row["msg_ids"] or ()), row["complete"]

    async def _claim_behind(self, now: float) -> int:
        """The lanes behind the fast one, each with its share. Returns how many messages they gave."""
        wanted = self._dispatcher.wanted()
        cursor = self._cursor
        if cursor is None or self._paused or wanted == 0:
            return 0
        share = max(1, wanted // _SHARE)
        found = 0
        if self._due_waiting:
            row = await self._claim("due", cursor.due_after, share, cursor.position)
            found += len(row["msg_ids"] or ())
            if row["complete"]:
                cursor.due_seen(row["now"])
                self._due_waiting = False
        late = cursor.late_range
        if late is not None:
            row = await self._claim("late", late[0], share, late[1])
            found += len(row["msg_ids"] or ())
            if row["complete"]:
                cursor.late_seen(late)
        if now >= self._patrol_at:
            self._patrol_at = now + PATROL_S
            found += await self._patrol(cursor, share)
        return found

    async def _patrol(self, cursor: Cursor, share: int) -> int:
        step = cursor.patrol_range
        if step is None:
            return 0
        began = time.monotonic()
        row = await self._claim("late", step[0], share, step[1])
        elapsed_s = time.monotonic() - began
        cursor.patrolled(step, alive=row["alive"], exhausted=row["complete"], elapsed_s=elapsed_s)
        if began >= self._hint_at:
            self._hint_at = began + HINT_S
            await self.write_hint()
        return len(row["msg_ids"] or ())

    async def _claim(self, lane: str, above: object, limit: int, up_to: int | None = None) -> Any:
        """One claim. Its messages are in the ledger and with the dispatcher when this returns."""
        assert self._shape is not None  # noqa: S101
        asked_at = time.monotonic()
        row = await self._lane.fetchrow(
            queue_statement("claim", self._shape, lane),
            above,
            limit,
            self._lease,
            self._worker_id,
            self._options.queue,
            self._options.max_claim_bytes,
            *(() if up_to is None else (up_to,)),
        )
        self.claims += 1
        if row["claim_id"] is None:
            self.empty_claims += 1
            return row
        messages = _messages(self._options.queue, row, asked_at)
        self._ledger.opened(messages[0].claim, messages)
        self._journal.say_each(Event.MESSAGE_CLAIMED, messages)
        self._dispatcher.feed(messages)
        return row

    def _observe(self) -> None:
        """Let the prefetch follow the rate at which handlers finish."""
        since, finished = self._observed
        now = time.monotonic()
        if now - since >= 0.02:
            self._dispatcher.prefetch.observe(self._dispatcher.finished - finished, now - since)
            self._observed = (now, self._dispatcher.finished)
        surplus = self._dispatcher.surplus()
        if surplus:
            self._dispatcher.take_back(surplus)

    def _busy(self) -> None:
        now = time.monotonic()
        if self._busy_since is None:
            self._busy_since = now
        elif self._announced_idle and now - self._busy_since > QUIET_AFTER_BUSY_S:
            self._announced_idle = False
            self._later(
                self._lane.execute(statement("listener_remove"), self._options.queue, self._worker_id)
            )

    def _later(self, work: Awaitable[None]) -> None:
        self._errand = asyncio.ensure_future(work)
        self._errand.add_done_callback(lambda done: done.cancelled() or done.exception())

    def _due_now(self) -> None:
        self._look_at = 0.0
        self.wake()

    def _note_pause(self, *, paused: bool) -> None:
        if paused != self._paused:
            self._paused = paused
            self._journal.say(Event.QUEUE_PAUSED if paused else Event.QUEUE_RESUMED)

    async def _queue_is_missing(self) -> None:
        if not self._missing:
            self._missing = True
            self._journal.say(
                Event.QUEUE_MISSING, reason="the queue was dropped; waiting for it to be created again"
            )
        self._cursor = None
        self._rest_s = 1.0
        self._woken.clear()


def _messages(queue: str, row: Any, asked_at: float) -> list[Message]:
    """The messages of a claim, in order of id."""
    claim = Claim(row["claim_id"], row["now"], asked_at)
    vt_us, ids = row["vt_us"], row["msg_ids"]
    nothing = [None] * len(ids)
    zero = [0] * len(ids)
    messages = [
        Message(queue, msg_id, read_ct, vt_us, enqueued_us, raw, headers, failures, lost_leases, claim)
        for msg_id, read_ct, enqueued_us, raw, headers, failures, lost_leases in zip(
            ids,
            row["read_cts"],
            row["enqueued_us"],
            row["messages"],
            row["headers"] or nothing,
            row["failures"] or zero,
            row["lost_leases"] or zero,
            strict=True,
        )
    ]
    messages.sort(key=_by_id)
    return messages


def _by_id(message: Message) -> int:
    return message.msg_id

"""One worker's position in one queue: polls, and claims from the queue's lanes.

Sends the statements and keeps the cursor. What each lane claims is in :mod:`postmill.engine.claim.lane`; the
claim policy decides when to claim.
"""

from __future__ import annotations

import time
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import asyncpg

from postmill.engine.claim.band import Bands
from postmill.engine.claim.claimed import NOTHING, Claimed, messages_of
from postmill.engine.claim.gated_lane import Gated
from postmill.engine.claim.hint_pace import HintPace
from postmill.engine.claim.lane import lanes_of_a_queue
from postmill.engine.claim.odd_rows import OddRows
from postmill.engine.settle.settlement import Room
from postmill.model.queue.claim_steps import QueueSnapshot
from postmill.model.queue.cursor import Cursor
from postmill.model.queue.message import Claim
from postmill.model.queue.silence import granted_s
from postmill.sql.catalog import queue_statement

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from uuid import UUID

    from postmill.db.hot.shared_connection import SharedConnection
    from postmill.engine.claim.lane import Bounds, Lane, Overlooked
    from postmill.engine.claim.odd_rows import Fetch
    from postmill.model.queue.message import Message
    from postmill.model.queue.queue_name import QueueShape
    from postmill.model.queue.worker_options import WorkerOptions

RIVALS_CLAIMS = 100
"""A busy worker looks at this many claims before its own last one, to see which other workers claim. 100 are
about the last second of a busy queue, and cost one index scan.
"""


class QueueLanes:
    """One worker's position in one queue, and the statements that move it. Raises what asyncpg raises."""

    def __init__(
        self,
        connection: SharedConnection,
        worker_id: UUID,
        options: WorkerOptions,
        find_shape: Callable[[], Awaitable[QueueShape]],
        on_claim: Callable[[Claim, list[Message], list[Message]], None],
    ) -> None:
        self._connection = connection
        self._worker_id = worker_id
        self._queue = options.queue
        self._max_bytes = options.max_claim_bytes
        self._lease = timedelta(seconds=granted_s(options.lease_s))
        self._find_shape = find_shape
        self._on_claim = on_claim
        self._shape: QueueShape | None = None
        self._cursor: Cursor | None = None
        self._last_claim_id = 0
        self._unread = ""
        """Why the last claim came without its message's payload; empty: the payload came."""
        self.gated = Gated()
        """One of them: see there."""
        self.in_order: list[Lane] = [*lanes_of_a_queue(), self.gated]
        """The lanes, in the order in which they are claimed from. Another one may be put anywhere."""
        self.bands: Bands | None = None
        """The bands of a queue with priorities, as the last poll showed; None in another one."""
        self._hints = HintPace()
        self._in_doubt = False
        """Whether the server may be another one: then the cursor is made anew, and is not recorded for other
        workers before that.
        """
        self.odd_rows = OddRows()
        self.on_overlooked: Callable[[Overlooked], None] = lambda _: None
        connection.on_connect(self._connected)
        self.claims = 0
        """The number of claims, without the patrol's."""
        self.empty_claims = 0
        """The number of claims that found nothing, without the patrol's."""
        self.claiming_s = 0.0
        """Seconds spent waiting for claims."""

    @property
    def begun(self) -> bool:
        """Whether the queue's shape is known and the cursor belongs to the server's present history, as far
        as the last answer showed.
        """
        return self._cursor is not None and not self._in_doubt

    @property
    def cursor(self) -> Cursor:
        """The worker's position. Only after :meth:`begin`."""
        assert self._cursor is not None  # noqa: S101
        return self._cursor

    @property
    def shape(self) -> QueueShape:
        """The queue's tables. Only after :meth:`begin`."""
        assert self._shape is not None  # noqa: S101
        return self._shape

    @property
    def has_priorities(self) -> bool:
        """Whether the queue is served by priority, as the last poll showed."""
        return self.bands is not None

    def room(self, messages: int, *, begins: bool) -> Room | None:
        """What a settlement may claim; None for no messages, and in a queue with priorities or limits: there
        a message does not start for the only reason that it is there.
        """
        if messages < 1 or not self.begun or self.bands is not None or self.gated.active:
            return None
        return Room(messages, self._lease, self._max_bytes, begins)

    @property
    def expects_urgent(self) -> bool:
        """Whether the next message may well be one with a priority."""
        return self.bands is not None and self.bands.expects_more(time.monotonic())

    async def begin(self) -> QueueShape:
        """Learn the queue's shape and where to start. Raises :class:`QueueNotFound`."""
        self._in_doubt = False
        shape = await self._find_shape()
        row = await self._connection.fetchrow(queue_statement("cursor_hint_read", shape), self._queue)
        # The table may have changed in between.
        self._in_doubt |= row["columns"] != shape.columns
        self._shape, self._cursor = shape, Cursor.at(row["hint"], row["now"], row["history"])
        self._last_claim_id = 0  # after a failover, claims may have lower ids than those before it
        for lane in self.in_order:
            lane.begin()
        self._prioritise(self.has_priorities, anew=True)
        self.gated.activate(row)
        return shape

    def forget(self) -> None:
        """The queue is not there any more."""
        self._cursor = None

    async def snapshot(self, *, idle: bool) -> QueueSnapshot:
        """Poll: ask for a snapshot of the queue. With ``idle`` it covers the fast lane and the next due time
        too.
        """
        cursor, late = self.cursor, self.cursor.late_range or (0, 0)
        flags, bounds = self.gated.asks(idle=idle)
        row = await self._connection.fetchrow(
            queue_statement("idle_snapshot" if idle else "busy_snapshot", self.shape, *flags),
            self._queue,
            cursor.due_after,
            cursor.position,
            *late,
            *(() if idle else (self._last_claim_id - RIVALS_CLAIMS, self._worker_id)),
            *bounds,
        )
        replaced = not cursor.fits(row["history"], row["sequence"])
        if replaced:
            self._in_doubt = True
        else:
            self._take_in(row, asked=flags)
        return QueueSnapshot(
            bool(row["paused"]),
            replaced,
            row["ahead_age_s"],
            self.gated.sooner(row["due_in_s"]),
            row["waiting"],
            row["rivals"],
            sum(lane.waiting for lane in self.in_order if not lane.leads),
            bool(cursor.writers or cursor.late_range),
            cursor.patrolling,
            self.gated.waiting,
        )

    async def ahead(self, wanted: int, *, lookback: int = 0) -> Claimed:
        """Claim at most ``wanted`` from the lanes that lead. ``lookback``: how many ids before their edges
        are looked at again.
        """
        found, complete = 0, True
        for lane, room in self.gated.shared(self.in_order, wanted, lookback):
            claimed = await self._turn_of(lane, lane.share(room, found), lookback)
            found += claimed.messages
            complete = complete and claimed.complete
        return Claimed(found, complete)

    async def behind(self, share: int) -> int:
        """Claim at most ``share`` from each lane that does not lead. Returns how many there were in all."""
        found = 0
        for lane in self.in_order:
            if not lane.leads:
                found += (await self._turn_of(lane, lane.share(share, found))).messages
        return found

    async def write_hint(self) -> None:
        """Record in the database, for new workers, that no message is alive at or below the cursor's
        floor.
        """
        if self.begun:
            text = queue_statement("cursor_hint_write", self.shape)
            position = self.cursor.history, self.cursor.floor
            await self._connection.execute(text, self._queue, *position)
            self._hints.written(position)

    def _take_in(self, row: Any, *, asked: tuple[str, ...]) -> None:
        """The snapshot that a poll returned. The poll read the lanes before the sequence and the open
        transactions, so these count for the next poll.
        """
        self._prioritise(bool(row["has_priorities"]))
        if self.bands is not None:
            self.bands.looked(row)
        if asked:
            self.gated.polled(row, self._last_claim_id)
        for lane in self.in_order:
            lane.looked(self.cursor, row)
        self.cursor.looked(row["sequence"], row["writers"] or ())

    def _prioritise(self, wanted: bool, *, anew: bool = False) -> None:
        if anew or wanted != self.has_priorities:
            self.bands = Bands() if wanted else None

    async def _turn_of(self, lane: Lane, limit: int, lookback: int = 0) -> Claimed:
        """Claim from a lane; in a queue with priorities from the bands that compete with it as well."""
        if self.bands is None or not lane.in_bands or limit <= 0 or not self.bands.is_due(time.monotonic()):
            return await self._claim_from(lane, limit, lookback)
        found = 0
        for each in await self._by_priority(self.bands, lane, lookback):
            claimed = await self._claim_from(each, limit - found, lookback)
            found += claimed.messages
            if not claimed.complete:  # the next lane has its turn when this one has no more
                return Claimed(found, complete=False)
        return Claimed(found, complete=True)

    async def _by_priority(self, bands: Bands, plain: Lane, lookback: int) -> list[Lane]:
        """Which lanes to claim from instead of a plain one, in this order."""
        cursor, began = self.cursor, time.monotonic()
        bounds = plain.bounds(cursor, began, lookback)
        if bounds is None:
            return []
        revisits = bands.edges.revisit(began)
        text, arguments = bands.heads(self.shape, self._queue, plain, bounds)
        row = await self._connection.fetchrow(text, *arguments)
        now = time.monotonic()
        if revisits:
            bands.edges.revisited(now - began, now)
        self.claiming_s += now - began
        return bands.in_order(plain, cursor, bounds, row, now)

    async def _remember(self) -> None:
        """Record the position for new workers from time to time."""
        now = time.monotonic()
        position = self.cursor.history, self.cursor.floor
        if self._hints.is_due(position, now):
            await self.write_hint()

    async def _connected(self, _connection: asyncpg.Connection) -> None:
        """A new connection may lead to another server at the same address."""
        self._in_doubt = True

    async def _claim_from(self, lane: Lane, limit: int, lookback: int = 0) -> Claimed:
        if limit <= 0:
            return Claimed(0, complete=False)
        cursor = self.cursor
        bounds = lane.bounds(cursor, time.monotonic(), lookback)
        if bounds is None:
            return NOTHING
        row = await self._claim(lane, bounds, limit)
        messages = self._handed_over(lane, row)
        lane.claimed(cursor, bounds, row, time.monotonic())
        if lane.patrols:
            await self._after_patrol(lane, row, messages)
        return Claimed(len(messages), lane.is_complete(row))

    async def _claim(self, lane: Lane, bounds: Bounds, limit: int) -> Any:
        began = time.monotonic()
        try:
            row, self._unread = await self._past_odd_rows(partial(self._fetch, lane, bounds), limit)
        except Exception:
            lane.failed(self.cursor)
            raise
        self._in_doubt |= not row["known"]
        if not lane.patrols:
            self.claims += 1
            self.empty_claims += row["claim_id"] is None
            self.claiming_s += time.monotonic() - began
        return row

    async def _past_odd_rows(self, fetch: Fetch, limit: int) -> tuple[Any, str]:
        """The row of a claim, and why its message came without its payload; empty: it came whole."""
        if not self.odd_rows.known:
            try:
                return await fetch(limit, []), ""
            except asyncpg.PostgresError as error:
                self.odd_rows.met(error, limit)
        return await self.odd_rows.claim(fetch, limit)

    async def _fetch(self, lane: Lane, bounds: Bounds, limit: int, left_out: list[int], *more: str) -> Any:
        above, *up_to = bounds
        passing_by, ids = (lane.passing_by, (left_out,)) if left_out else ((), ())
        return await self._connection.fetchrow(
            lane.statement(self.shape, *more, *passing_by),
            above,
            limit,
            self._lease,
            self._worker_id,
            self._queue,
            self._max_bytes,
            self.cursor.history,
            *up_to,
            *ids,
        )

    def _handed_over(self, lane: Lane, row: Any) -> list[Message]:
        """Hand the messages of a claim over, at once, so that each has a holder. Those that have to wait for
        something, and have come out of another lane than the gated one, are apart.
        """
        if row["claim_id"] is None:
            return []
        # The lease is counted from when the statement was sent: its answer may have waited in this process.
        self._last_claim_id = row["claim_id"]
        claim = Claim(row["claim_id"], row["now"], self._connection.sent_at)
        messages = messages_of(self._queue, row, claim)
        for message in messages if self._unread else ():
            message.unread = self._unread
        if self.bands is not None:
            self.bands.took(messages, time.monotonic())
        self._on_claim(claim, messages, self.gated.to_park(lane, row, messages))
        return messages

    def claimed_elsewhere(self, row: Any, sent_at: float) -> None:
        """Take over what a settlement has claimed of the messages that it sent. They are ahead of the
        cursor, which comes by them later: their leases are not due.
        """
        claim = Claim(row["claim_id"], row["now"], sent_at)
        messages = messages_of(self._queue, row, claim)
        for message in messages:
            message.given = row["given"]
        self._on_claim(claim, messages, [])

    async def _after_patrol(self, lane: Lane, row: Any, messages: list[Message]) -> None:
        """Log messages that the other lanes had passed, and remember up to which id no message is alive."""
        found = lane.overlooked(self.cursor, row, messages)
        if found is not None:
            self.on_overlooked(found)
        if row["complete"]:
            await self._remember()

"""The lanes of one queue, as statements: look, and claim from the fast lane or from one of those behind it.

Keeps the cursor right; decides nothing about when (that is the claimer's).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from postmill.engine.claim.odd_rows import OddRows
from postmill.model.queue.claim_steps import QueueSnapshot
from postmill.model.queue.cursor import Cursor
from postmill.model.queue.message import Claim, Message
from postmill.model.queue.silence import granted_s
from postmill.sql.catalog import queue_statement

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime
    from uuid import UUID

    import asyncpg

    from postmill.db.hot.shared_connection import SharedConnection
    from postmill.model.queue.patrol import Walk
    from postmill.model.queue.queue_name import QueueShape
    from postmill.model.queue.worker_options import WorkerOptions

HINT_S = 30.0
"""How often the hint for new cursors is written: a worker that starts crosses what died in so long at
most.
"""
RIVALS_CLAIMS = 100
"""How many claims before its own last a busy worker looks at, to see who else is at work."""


@dataclass(frozen=True, slots=True)
class Overlooked:
    """What the patrol has found that no other lane would have given."""

    messages: list[Message]
    waited_s: float
    """How long the first of them had been due."""
    locked_id: int | None
    """The first message that is due for half a minute, and that a transaction keeps from being claimed."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """What one claim has given."""

    messages: list[Message]
    complete: bool
    """There was no more that was due in the lane."""


class QueueLanes:
    """One worker's way through one queue. Raises what asyncpg raises."""

    def __init__(
        self,
        connection: SharedConnection,
        worker_id: UUID,
        options: WorkerOptions,
        find_shape: Callable[[], Awaitable[QueueShape]],
        on_claim: Callable[[Claim, list[Message]], None],
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
        """Why the last claim left its message's payload on the server; empty: it did not."""
        self._due_waiting = self._late_waiting = False
        self._hint_at = 0.0
        self._in_doubt = False
        """The server may be another one: the cursor is to be made anew, and says nothing to others until
        then.
        """
        self.odd_rows = OddRows()
        self.on_overlooked: Callable[[Overlooked], None] = lambda _: None
        connection.on_connect(self._connected)
        self.claims = 0
        """Claims made, but for the patrol's."""
        self.empty_claims = 0
        """Claims that found nothing, but for the patrol's."""
        self.claiming_s = 0.0
        """Seconds spent waiting for claims."""

    @property
    def begun(self) -> bool:
        """Whether the queue is known, and the cursor is of this server and its history, as far as was
        seen.
        """
        return self._cursor is not None and not self._in_doubt

    @property
    def cursor(self) -> Cursor:
        """Where this worker has got to. Only after :meth:`begin`."""
        assert self._cursor is not None  # noqa: S101
        return self._cursor

    @property
    def shape(self) -> QueueShape:
        """The queue's tables. Only after :meth:`begin`."""
        assert self._shape is not None  # noqa: S101
        return self._shape

    async def begin(self) -> QueueShape:
        """Learn the queue's shape and where to start. Raises :class:`QueueNotFound`."""
        self._in_doubt = False
        shape = await self._find_shape()
        row = await self._connection.fetchrow(queue_statement("cursor_hint_read", shape), self._queue)
        # The table may have changed in between.
        self._in_doubt |= row["columns"] != shape.columns
        self._shape, self._cursor = shape, Cursor.at(row["hint"], row["now"], row["history"])
        return shape

    def forget(self) -> None:
        """The queue is not there any more."""
        self._cursor = None

    async def look(self, *, idle: bool) -> QueueSnapshot:
        """Ask how the queue stands; ``idle`` asks as well about the fast lane and what falls due next."""
        cursor, late = self.cursor, self.cursor.late_range or (0, 0)
        row = await self._connection.fetchrow(
            queue_statement("look", self.shape, *(("idle",) if idle else ())),
            self._queue,
            cursor.due_after,
            cursor.position,
            *late,
            *(() if idle else (self._last_claim_id - RIVALS_CLAIMS, self._worker_id)),
        )
        replaced = not cursor.fits(row["history"], row["sequence"])
        if replaced:
            self._in_doubt = True
        else:
            self._take_in(row, late)
        return QueueSnapshot(
            bool(row["paused"]),
            replaced,
            row["ahead_age_s"],
            row["due_in_s"],
            row["waiting"],
            row["rivals"],
            self._due_waiting + self._late_waiting,
            bool(cursor.writers or cursor.late_range),
            cursor.patrolling,
        )

    async def fast(self, wanted: int, *, again: int = 0) -> Claimed:
        """Claim what comes next in order of id. ``again``: so many ids behind it are looked at as well."""
        cursor = self.cursor
        row = await self._claim("fast", max(0, cursor.position - again), wanted)
        cursor.claimed(row["msg_ids"] or ())
        if row["complete"]:
            cursor.drained()
        return self._handed_over(row)

    async def behind(self, share: int) -> int:
        """Claim at most ``share`` from each lane behind the fast one that has something. Returns how many."""
        found = 0
        cursor = self.cursor
        if self._due_waiting:
            row = await self._claim("due", cursor.due_after, share, cursor.position)
            found += len(self._handed_over(row).messages)
            if row["complete"]:
                cursor.due_seen(row["now"])
                self._due_waiting = False
        late = cursor.late_range
        if self._late_waiting and late is not None:
            row = await self._claim("late", late[0], share, late[1])
            found += len(self._handed_over(row).messages)
            if row["complete"]:
                cursor.late_seen(late)
                self._late_waiting = False
            else:
                cursor.late_claimed(late, row["msg_ids"] or ())
        for walk, step in cursor.patrols(time.monotonic()):
            found += await self._patrol(walk, step, max(1, share - found))
        return found

    async def write_hint(self) -> None:
        """Remember for other workers that nothing is alive at or below the cursor's floor."""
        if self.begun:
            text = queue_statement("cursor_hint_write", self.shape)
            await self._connection.execute(text, self._queue, self.cursor.history, self.cursor.floor)

    def _take_in(self, row: Any, late: tuple[int, int]) -> None:
        """What a look has shown. It saw the lanes before its own sequence and writers were read, so these
        count for the next look.
        """
        cursor = self.cursor
        self._due_waiting, self._late_waiting = row["behind"], row["late"]
        if not self._due_waiting:
            cursor.due_seen(row["now"])
        if not self._late_waiting:
            cursor.late_seen(late)
        if row["ahead_age_s"] is None:
            cursor.drained()
        cursor.looked(row["sequence"], row["writers"] or ())

    async def _patrol(self, walk: Walk, step: tuple[int, int], share: int) -> int:
        """One step of a walk. One that gave all it could is taken again at the next turn."""
        cursor, due_after = self.cursor, self.cursor.due_after
        try:
            row = await self._claim("late", step[0], share, step[1], "patrol")
        except Exception:
            walk.failed()
            raise
        claimed = self._handed_over(row)
        if row["known"]:
            cursor.patrolled(step, alive=row["alive"])
        if row["complete"]:
            walk.walked(step, row["took_s"], time.monotonic())
            await self._remember()
        self._tell(row, claimed, due_after)
        return len(claimed.messages)

    def _tell(self, row: Any, claimed: Claimed, due_after: datetime) -> None:
        """Of what the due lane had passed, and what nobody can take."""
        found = claimed.messages if claimed.messages and row["oldest_vt"] < due_after else []
        locked_id = row["locked"] if row["complete"] else None
        if found or locked_id is not None:
            waited_s = (row["now"] - row["oldest_vt"]).total_seconds() if found else 0.0
            self.on_overlooked(Overlooked(found, waited_s, locked_id))

    async def _remember(self) -> None:
        """Leave the hint for new cursors, now and then."""
        now = time.monotonic()
        if now >= self._hint_at:
            self._hint_at = now + HINT_S
            await self.write_hint()

    async def _connected(self, _connection: asyncpg.Connection) -> None:
        """A new connection may lead to a server that was put in the other one's place."""
        self._in_doubt = True

    async def _claim(
        self, lane: str, above: object, limit: int, up_to: int | None = None, *flags: str
    ) -> Any:
        async def fetch(at_most: int, left_out: list[int], *more: str) -> Any:
            return await self._connection.fetchrow(
                queue_statement(
                    "claim", self.shape, lane, *flags, *more, *_leaving_out(left_out, up_to, flags)
                ),
                above,
                at_most,
                self._lease,
                self._worker_id,
                self._queue,
                self._max_bytes,
                self.cursor.history,
                *(() if up_to is None else (up_to,)),
                *((left_out,) if left_out else ()),
            )

        began = time.monotonic()
        row, self._unread = await self.odd_rows.claim(fetch, limit)
        self._in_doubt |= not row["known"]
        if "patrol" in flags:
            return row
        self.claims += 1
        self.empty_claims += row["claim_id"] is None
        self.claiming_s += time.monotonic() - began
        return row

    def _handed_over(self, row: Any) -> Claimed:
        """Hand the messages of a claim over; called at once, so that no claim is ever held by nobody."""
        if row["claim_id"] is None:
            return Claimed([], row["complete"])
        # The lease began after the statement was sent: the answer may have waited for us as long as it likes.
        self._last_claim_id = row["claim_id"]
        claim = Claim(row["claim_id"], row["now"], self._connection.sent_at)
        messages = _messages(self._queue, row, claim)
        for message in messages if self._unread else ():
            message.unread = self._unread
        self._on_claim(claim, messages)
        return Claimed(messages, row["complete"])


def _leaving_out(ids: list[int], up_to: int | None, flags: tuple[str, ...]) -> tuple[str, ...]:
    """The flags of a claim that leaves these ids out: the place of the list depends on the lane."""
    if not ids:
        return ()
    if up_to is None:
        return ("left_out",)
    return ("left_out_behind", "left_out_patrol") if "patrol" in flags else ("left_out_behind",)


def _messages(queue: str, row: Any, claim: Claim) -> list[Message]:
    """The messages of a claim, in order of id."""
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

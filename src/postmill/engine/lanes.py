"""The lanes of one queue, as statements: look, and claim from the fast lane or from one of those behind it.

Keeps the cursor right; decides nothing about when (that is the claimer's).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from postmill.model.cursor import Cursor
from postmill.model.look import Look
from postmill.model.message import Claim, Message
from postmill.sql.catalog import queue_statement, statement

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from uuid import UUID

    from postmill.db.shared_connection import SharedConnection
    from postmill.model.queue_name import QueueShape
    from postmill.model.worker_options import WorkerOptions

PATROL_S = 5.0
HINT_S = 30.0
RIVALS_CLAIMS = 100
"""How many claims before its own last a busy worker looks at, to see who else is at work."""


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
        self._lease = timedelta(seconds=options.lease_s)
        self._find_shape = find_shape
        self._on_claim = on_claim
        self._shape: QueueShape | None = None
        self._cursor: Cursor | None = None
        self._receipt = 0
        self._due_waiting = self._late_waiting = False
        self._patrol_at = self._hint_at = 0.0
        self.claims = 0
        """Claims made."""
        self.empty_claims = 0
        """Claims that found nothing."""
        self.claiming_s = 0.0
        """Seconds spent waiting for claims."""

    @property
    def begun(self) -> bool:
        """Whether the queue is known."""
        return self._cursor is not None

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
        self._shape = await self._find_shape()
        row = await self._connection.fetchrow(
            statement("cursor_hint_read"), self._queue, self._shape.relation
        )
        self._cursor = Cursor.at(row["hint"], row["now"])
        return self._shape

    def forget(self) -> None:
        """The queue is not there any more."""
        self._cursor = None

    async def look(self, *, idle: bool) -> Look:
        """Ask how the queue stands; ``idle`` asks as well about the fast lane and what falls due next."""
        cursor, late = self.cursor, self.cursor.late_range or (0, 0)
        row = await self._connection.fetchrow(
            queue_statement("look", self.shape, *(("idle",) if idle else ())),
            self._queue,
            cursor.due_after,
            cursor.position,
            *late,
            *(() if idle else (self._receipt - RIVALS_CLAIMS, self._worker_id)),
        )
        replaced = row["relation"] != self.shape.relation
        if replaced:
            self._cursor = None
        else:
            self._take_in(row, late)
        return Look(
            bool(row["paused"]),
            replaced,
            row["ahead_age_s"],
            row["due_in_s"],
            row["waiting"],
            row["rivals"],
        )

    async def fast(self, wanted: int, *, again: int = 0) -> Claimed:
        """Claim what comes next in order of id. ``again``: so many ids behind it are looked at as well."""
        cursor = self.cursor
        row = await self._claim("fast", max(0, cursor.position - again), wanted)
        cursor.claimed(row["msg_ids"] or ())
        if row["complete"]:
            cursor.drained()
        return self._handed_over(row)

    @property
    def waiting(self) -> int:
        """How many of the lanes behind the fast one give something now, as far as the last look shows."""
        return self._due_waiting + self._late_waiting

    async def behind(self, share: int) -> int:
        """Claim at most ``share`` from each lane behind the fast one that has something. Returns how many."""
        found = 0
        if self._due_waiting:
            row = await self._claim("due", self.cursor.due_after, share, self.cursor.position)
            found += len(self._handed_over(row).messages)
            if row["complete"]:
                self.cursor.due_seen(row["now"])
                self._due_waiting = False
        late = self.cursor.late_range
        if self._late_waiting and late is not None:
            row = await self._claim("late", late[0], share, late[1])
            found += len(self._handed_over(row).messages)
            if row["complete"]:
                self.cursor.late_seen(late)
                self._late_waiting = False
            else:
                self.cursor.late_claimed(late, row["msg_ids"] or ())
        return found + await self._patrol(max(1, share - found))

    async def write_hint(self) -> None:
        """Remember for other workers that nothing is alive at or below the cursor's floor."""
        if self.cursor.floor:
            await self._connection.execute(
                statement("cursor_hint_write"), self._queue, self.shape.relation, self.cursor.floor
            )

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

    async def _patrol(self, share: int) -> int:
        began = time.monotonic()
        step = self.cursor.patrol_range
        if step is None or began < self._patrol_at:
            return 0
        self._patrol_at = began + PATROL_S
        row = await self._claim("late", step[0], share, step[1])
        found = len(self._handed_over(row).messages)
        self.cursor.patrolled(
            step, alive=row["alive"], exhausted=row["complete"], elapsed_s=time.monotonic() - began
        )
        if began >= self._hint_at:
            self._hint_at = began + HINT_S
            await self.write_hint()
        return found

    async def _claim(self, lane: str, above: object, limit: int, up_to: int | None = None) -> Any:
        began = time.monotonic()
        row = await self._connection.fetchrow(
            queue_statement("claim", self.shape, lane),
            above,
            limit,
            self._lease,
            self._worker_id,
            self._queue,
            self._max_bytes,
            *(() if up_to is None else (up_to,)),
        )
        self.claims += 1
        self.claiming_s += time.monotonic() - began
        return row

    def _handed_over(self, row: Any) -> Claimed:
        """Hand the messages of a claim over; called at once, so that no claim is ever held by nobody."""
        if row["claim_id"] is None:
            self.empty_claims += 1
            return Claimed([], row["complete"])
        # The lease began after the statement was sent: the answer may have waited for us as long as it likes.
        self._receipt = row["claim_id"]
        claim = Claim(row["claim_id"], row["now"], self._connection.sent_at)
        messages = _messages(self._queue, row, claim)
        self._on_claim(claim, messages)
        return Claimed(messages, row["complete"])


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

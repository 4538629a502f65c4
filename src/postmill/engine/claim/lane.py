"""The lanes of a queue: each is one way to find messages that are due.

A lane is an object with four things: the statement that claims from it, the bounds between which it claims
now, its edge of the cursor, which moves with what was claimed, and its share of the room. The lanes of a
queue are a list, and :class:`~postmill.engine.claim.lanes.QueueLanes` claims from them in that order. So a
band of urgent messages, or messages that wait for something else, are further objects in the list.

A lane sends nothing. The claim policy decides when to claim.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from postmill.sql.catalog import queue_statement

if TYPE_CHECKING:
    from collections.abc import Callable

    from postmill.model.queue.cursor import Cursor
    from postmill.model.queue.message import Message
    from postmill.model.queue.patrol import Walk
    from postmill.model.queue.queue_name import QueueShape

Bounds = tuple[Any, ...]
"""Above what a lane claims: an id, or a time; and up to which id, where it has an end."""


@dataclass(frozen=True, slots=True)
class Overlooked:
    """Messages that only the patrol has found."""

    messages: list[Message]
    waited_s: float
    """How long the first of them had been due."""
    locked_id: int | None
    """The first message that has been due for half a minute and that a transaction keeps locked."""


class Lane(ABC):
    """One way to find messages. ``row`` is the answer of its statement, or of a poll."""

    flags: ClassVar[tuple[str, ...]] = ()
    """The variant of ``claim.sql`` that claims from it."""
    passing_by: ClassVar[tuple[str, ...]] = ("left_out_behind",)
    """The flags of a claim that leaves out a list of ids, which is its last argument."""
    leads: ClassVar[bool] = False
    """Whether each claim of the worker takes from this lane. The other lanes have their turn after each
    poll.
    """
    patrols: ClassVar[bool] = False
    """Whether it goes through all ids in rounds: its claims are not counted among the worker's, and its
    position is recorded for new workers.
    """

    in_bands: ClassVar[bool] = False
    """Whether the bands of a queue with priorities compete with it: it has messages of every priority, in
    order of time.
    """

    def __init__(self) -> None:
        self.waiting = False
        """Whether the last poll, or claim, has shown that a claim would give messages. False for a lane that
        polls do not cover.
        """

    def begin(self) -> None:
        """The cursor is a new one: the known state of the queue is no longer valid."""
        self.waiting = False

    def statement(self, shape: QueueShape, *more: str) -> str:
        """The statement that claims from it; ``more``: further flags. Its arguments and its answer are those
        of ``claim.sql``.
        """
        return queue_statement("claim", shape, *self.flags, *more)

    @abstractmethod
    def bounds(self, cursor: Cursor, now_s: float, lookback: int) -> Bounds | None:
        """Where to claim now; None when there is nothing. ``lookback``: how many ids before its edge are
        looked at again, since the worker was woken.
        """

    def share(self, room: int, found: int) -> int:
        """How many to claim. ``room``: what the lanes of its kind may have at this turn, each of those that
        do not lead for itself; ``found``: what the lanes before it have given.
        """
        return room - found if self.leads else room

    def looked(self, cursor: Cursor, row: Any) -> None:  # noqa: B027 - a lane may need none
        """Take in the part of a poll's result that is about this lane."""

    def first(self, cursor: Cursor, msg_id: int) -> None:  # noqa: B027
        """This message is the first one in it that is due."""

    def claimed(self, cursor: Cursor, bounds: Bounds, row: Any, now_s: float) -> None:  # noqa: B027
        """Move its edge by the result of a claim."""

    def is_complete(self, row: Any) -> bool:
        """Whether the claim that was taken in last has left nothing that is due."""
        return bool(row["complete"])

    def overlooked(self, cursor: Cursor, row: Any, messages: list[Message]) -> Overlooked | None:  # noqa: B027
        """Messages that no other lane would have given."""

    def failed(self, cursor: Cursor) -> None:  # noqa: B027
        """A claim failed."""


class Fast(Lane):
    """New messages: ids above the position, in order."""

    flags = ("fast",)
    passing_by = ("left_out",)
    leads = True
    in_bands = True

    def bounds(self, cursor: Cursor, now_s: float, lookback: int) -> Bounds:
        """See :class:`Lane`."""
        return (max(0, cursor.position - lookback),)

    def looked(self, cursor: Cursor, row: Any) -> None:
        """See :class:`Lane`."""
        self.waiting = row["ahead_age_s"] is not None
        if not self.waiting:
            cursor.drained()

    def first(self, cursor: Cursor, msg_id: int) -> None:
        """See :class:`Lane`. Messages before it are not due: bands have given them, for example."""
        cursor.drained(msg_id - 1)

    def claimed(self, cursor: Cursor, bounds: Bounds, row: Any, now_s: float) -> None:
        """See :class:`Lane`."""
        cursor.claimed(row["msg_ids"] or ())
        self.waiting = not row["complete"]
        if row["complete"]:
            cursor.drained()


class Due(Lane):
    """Retries, delayed messages and expired leases: messages behind the position, by time."""

    flags = ("due",)
    in_bands = True

    def bounds(self, cursor: Cursor, now_s: float, lookback: int) -> Bounds | None:
        """See :class:`Lane`."""
        return (cursor.due_after, cursor.position) if self.waiting else None

    def looked(self, cursor: Cursor, row: Any) -> None:
        """See :class:`Lane`."""
        self._seen(cursor, row, seen=not row["behind"])

    def claimed(self, cursor: Cursor, bounds: Bounds, row: Any, now_s: float) -> None:
        """See :class:`Lane`."""
        self._seen(cursor, row, seen=row["complete"])

    def _seen(self, cursor: Cursor, row: Any, *, seen: bool) -> None:
        self.waiting = not seen
        if seen:
            cursor.due_seen(row["now"])


class Late(Lane):
    """Messages of transactions that took their time: ids behind the position that appeared late."""

    flags = ("late",)

    def bounds(self, cursor: Cursor, now_s: float, lookback: int) -> Bounds | None:
        """See :class:`Lane`."""
        return cursor.late_range if self.waiting else None

    def looked(self, cursor: Cursor, row: Any) -> None:
        """See :class:`Lane`."""
        self.waiting = row["late"]
        if not self.waiting and cursor.late_range is not None:
            cursor.late_seen(cursor.late_range)

    def claimed(self, cursor: Cursor, bounds: Bounds, row: Any, now_s: float) -> None:
        """See :class:`Lane`."""
        above, up_to = bounds
        self.waiting = not row["complete"]
        if row["complete"]:
            cursor.late_seen((above, up_to))
        else:
            cursor.late_claimed((above, up_to), row["msg_ids"] or ())


class Patrol(Lane):
    """The safety net: one of the cursor's two walks, a step at a time."""

    flags = ("late", "patrol")
    passing_by = ("left_out_behind", "left_out_patrol")
    patrols = True

    def __init__(self, walk_of: Callable[[Cursor], Walk]) -> None:
        super().__init__()
        self._walk_of = walk_of

    def bounds(self, cursor: Cursor, now_s: float, lookback: int) -> Bounds | None:
        """See :class:`Lane`."""
        return cursor.next_step(self._walk_of(cursor), now_s)

    def share(self, room: int, found: int) -> int:
        """See :class:`Lane`: the room that the others have left, and one message at least."""
        return max(1, room - found)

    def claimed(self, cursor: Cursor, bounds: Bounds, row: Any, now_s: float) -> None:
        """See :class:`Lane`. A step that gave as many messages as were wanted is repeated at the next
        turn.
        """
        above, up_to = bounds
        if row["known"]:
            cursor.patrolled((above, up_to), alive=row["alive"])
        if row["complete"]:
            self._walk_of(cursor).walked((above, up_to), row["took_s"], now_s)

    def overlooked(self, cursor: Cursor, row: Any, messages: list[Message]) -> Overlooked | None:
        """See :class:`Lane`: messages that the due lane had passed, and a message that can't be claimed."""
        found = messages if messages and row["oldest_vt"] < cursor.due_after else []
        locked_id = row["locked"] if row["complete"] else None
        if not found and locked_id is None:
            return None
        waited_s = (row["now"] - row["oldest_vt"]).total_seconds() if found else 0.0
        return Overlooked(found, waited_s, locked_id)

    def failed(self, cursor: Cursor) -> None:
        """See :class:`Lane`."""
        self._walk_of(cursor).failed()


def lanes_of_a_queue() -> list[Lane]:
    """The lanes that each worker has, in the order in which it claims from them."""
    return [Fast(), Due(), Late(), Patrol(lambda cursor: cursor.near), Patrol(lambda cursor: cursor.far)]

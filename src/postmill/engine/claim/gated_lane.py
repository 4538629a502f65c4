"""The lane of messages that wait for a place in their group: see the SQL function ``claim_gated``.

It is at work in a queue whose polls say that it is ``gated``; in any other one it costs no statement. It
leads, as the fast lane does, and the two share the room of a claim.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from postmill.engine.claim.lane import Lane
from postmill.model.queue.gate_horizon import LONG_AGO, GateHorizon
from postmill.sql.catalog import queue_statement

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from postmill.engine.claim.lane import Bounds
    from postmill.model.queue.cursor import Cursor
    from postmill.model.queue.message import Message
    from postmill.model.queue.queue_name import QueueShape

FULL_S = 0.5
"""A worker without work tries groups that were full again after this time, in seconds. 0.5 s: each worker
that ends a message of a group claims the next one itself. This is for the places of one that has no room, or
is gone.
"""
BUSY_S = 0.005
"""Groups that another session was at work on are tried again after this time, in seconds. 5 ms: a claim takes
about as long.
"""
EMPTY_S = 0.02
"""After a claim that gave nothing, though the poll has shown something, the next one comes after this time,
in seconds. 20 ms: what keeps it from being claimed is no reason to ask all the time.
"""


class Gated(Lane):
    """Messages at the gates of their groups, from group to group."""

    passing_by = ("left_out",)
    leads = True

    def __init__(self) -> None:
        super().__init__()
        self.active = False
        """Whether messages of this queue were ever parked."""
        self.has_limits = False
        """Whether the end of a message may make room for another one of its group."""
        self.again_in_s: float | None = None
        """Seconds from the last claim until the next message may start; None: that is not known."""
        self.due_in_s: float | None = None
        """The same as of the last poll."""
        self.horizon = GateHorizon()
        self._not_before = LONG_AGO
        """Until then, by the server's clock, a claim would give nothing."""
        self._limited = False
        self._odd = False
        self._found = False
        """Whether this round through the groups has given a message."""

    def begin(self) -> None:
        """See :class:`Lane`."""
        super().begin()
        self.active = self.has_limits = self._found = False
        self.again_in_s = self.due_in_s = None
        self._not_before, self.horizon = LONG_AGO, GateHorizon()

    def activate(self, row: Any) -> None:
        """What the database says of the queue: whether it has gates (when that is news, they are looked at),
        and whether all of its messages have to pass them.
        """
        self._limited, gated = bool(row["limited"]), bool(row["gated"])
        if gated and not self.active:
            self.waiting = True
        self.active = gated

    def call(self) -> None:
        """There may be a place, or a message, that was not there: claim."""
        self.waiting = self.active
        self.look_again()

    def look_again(self) -> None:
        """What the last claim has shown may not hold any more: go by the next poll."""
        self._not_before = LONG_AGO

    def statement(self, shape: QueueShape, *more: str) -> str:
        """See :class:`Lane`."""
        return queue_statement("claim_gated", shape, *more)

    def bounds(self, cursor: Cursor, now_s: float, lookback: int) -> Bounds | None:
        """See :class:`Lane`."""
        horizon = self.horizon
        return horizon.after_key, horizon.since, horizon.oldest, horizon.unseen

    def shared(self, lanes: Iterable[Lane], room: int, lookback: int) -> Iterator[tuple[Lane, int]]:
        """The lanes that lead and have a turn now, and the room of each with those before it. While messages
        wait here, the others are not asked after they gave nothing: polls and wake-ups tell when they have
        something again. Where both have a turn, half of the room is kept for this one, and of an odd number
        the larger half at every other turn.
        """
        is_here = self.active and (self.waiting or lookback > 0)
        others = lookback > 0 or not (is_here and self.waiting)
        leading = [lane for lane in lanes if lane.leads and lane is not self and (others or lane.waiting)]
        kept = 0
        if is_here and leading:
            self._odd = not self._odd
            kept = (room + self._odd) // 2
        yield from ((lane, room - kept) for lane in leading)
        if is_here:
            yield self, room

    def to_park(self, lane: Lane, row: Any, messages: list[Message]) -> list[Message]:
        """Those messages of a claim from ``lane`` that have to pass this lane, or wait for others, before
        they run. Messages that have passed it are marked: they have a place.
        """
        if lane is not self:
            if row["headers"] is None and not self._limited:
                return []
            return [message for message in messages if self._limited or message.has_to_wait]
        for message in messages:
            message.gated = True
        return []

    def looked(self, cursor: Cursor, row: Any) -> None:
        """See :class:`Lane`."""
        was_active = self.active
        self.activate(row)
        if not (was_active and self.active):
            return
        in_s = row["gate_in_s"]
        if in_s is not None and in_s <= 0 and row["now"] < self._not_before:
            in_s = (self._not_before - row["now"]).total_seconds()
        self.due_in_s = in_s
        self.waiting = in_s is not None and in_s <= 0

    def asks(self, *, idle: bool) -> tuple[tuple[str, ...], tuple[Any, ...]]:
        """The flags of a poll that asks for what this lane must know, and the poll's further arguments."""
        if not self.active:
            return (), ()
        horizon = self.horizon
        more = (horizon.since, horizon.unseen) if idle else ()
        return ("gated",), (*more, horizon.oldest)

    def sooner(self, due_in_s: float | None) -> float | None:
        """Seconds until something falls due: here, or elsewhere in ``due_in_s``."""
        if not self.active or self.due_in_s is None or due_in_s is None:
            return self.due_in_s if self.active and due_in_s is None else due_in_s
        return min(due_in_s, self.due_in_s)

    def polled(self, row: Any, last_claim_id: int) -> None:
        """Take in what a poll shows of transactions in flight. ``last_claim_id``: a claim made before it."""
        self.horizon.looked(row, last_claim_id)

    def claimed(self, cursor: Cursor, bounds: Bounds, row: Any, now_s: float) -> None:
        """See :class:`Lane`."""
        self.horizon.claimed(row, now_s)
        self.has_limits = self.has_limits or row["has_limits"]
        gave = row["claim_id"] is not None
        self._found = self._found or gave
        is_done = row["complete"] or (row["wrapped"] and not self._found)  # a round that gave nothing
        self.waiting = not (is_done or (row["is_busy"] and not gave))
        self.again_in_s = None if self.waiting else _rest_s(row, gave=gave)
        self._not_before = LONG_AGO
        if self.again_in_s is not None:
            self._not_before = row["now"] + timedelta(seconds=self.again_in_s)
        self._found = self._found and not row["wrapped"]

    def is_complete(self, row: Any) -> bool:
        """See :class:`Lane`."""
        return not self.waiting


def _rest_s(row: Any, *, gave: bool) -> float | None:
    """After a claim that has taken what it could: seconds until another one may find more; None: that is not
    known.
    """
    waits = [BUSY_S] if row["is_busy"] else []
    if row["is_full"]:
        waits.append(FULL_S)
    if row["again_in_s"] is not None:
        waits.append(max(0.0, row["again_in_s"]))
    if not waits and not gave:
        waits.append(EMPTY_S)
    return min(waits, default=None)

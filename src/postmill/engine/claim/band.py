"""The lanes of a queue with priorities: nine bands, each with the messages of one priority, in order of time.

They compete with a plain lane, in which every message counts as one of priority 0: the band is served whose
first message has the smallest ``vt - priority * aging``. A band is never the only way to a message: the plain
lanes see all of them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from postmill.engine.claim.lane import Lane
from postmill.model.queue.bands import HIGHEST, BandEdges
from postmill.model.queue.cursor import LOWEST
from postmill.sql.catalog import queue_statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from postmill.engine.claim.lane import Bounds
    from postmill.model.queue.cursor import Cursor
    from postmill.model.queue.message import Message
    from postmill.model.queue.queue_name import QueueShape


HEADER = '"postmill-priority"'
"""In the headers of a message that has a priority, as the server writes them."""
IN_USE_S = 60.0
"""For this many seconds after a message with a priority was due, the worker expects another one. A minute:
the worker holds fewer messages for that time, and a queue whose messages have no priorities pays nothing for
it.
"""
UNUSED_LOOK_S = 0.02
"""While no other message with a priority is expected, the bands are looked at no more often than this, in
seconds. 20 ms: every second claim of a busy worker, so that a queue whose messages have no priorities pays
half. The first message with a priority waits so much longer at most; from then on every claim looks.
"""


class Band(Lane):
    """The messages of one priority."""

    flags = ("band",)
    passing_by = ("left_out_band",)

    def __init__(self, priority: int, edges: BandEdges) -> None:
        super().__init__()
        self.priority = priority
        self._edges = edges

    def bounds(self, cursor: Cursor, now_s: float, lookback: int) -> Bounds:
        """See :class:`Lane`: its edge, and which band it is."""
        return (*self._edges.edges[self.priority], str(self.priority))

    def claimed(self, cursor: Cursor, bounds: Bounds, row: Any, now_s: float) -> None:
        """See :class:`Lane`."""
        if row["complete"]:
            self._edges.seen_all(self.priority, row["now"])
        elif row["last_vt"] is not None:
            self._edges.seen(self.priority, (row["last_vt"], row["last_id"]), row["now"])


class Bands:
    """The bands of one queue, and the order in which they and a plain lane are served."""

    def __init__(self) -> None:
        self.edges = BandEdges()
        self.used_s = -math.inf
        """When a message with a priority was last due, by the monotonic clock."""
        self._asked_s = -math.inf
        """When the first messages of the bands were last asked for."""
        self._lanes = {priority: Band(priority, self.edges) for priority in range(1, HIGHEST + 1)}

    def expects_more(self, now_s: float) -> bool:
        """Whether messages with a priority were due lately, so that others are to come."""
        return now_s - self.used_s < IN_USE_S

    def took(self, messages: Sequence[Message], now_s: float) -> None:
        """Take note of a claim from any lane: one without a look before may have an urgent message too."""
        if any(HEADER in message.raw_headers for message in messages if message.raw_headers):
            self.used_s = now_s

    def is_due(self, now_s: float) -> bool:
        """Whether the bands are to be looked at before a claim."""
        return self.expects_more(now_s) or now_s - self._asked_s >= UNUSED_LOOK_S

    def looked(self, row: Any) -> None:
        """Take in the result of a poll."""
        self.edges.looked(row["now"], row["writers"] or ())

    def heads(
        self, shape: QueueShape, queue: str, plain: Lane, bounds: Bounds
    ) -> tuple[str, tuple[Any, ...]]:
        """The statement that asks for the first message of each band and of ``plain``; and its arguments."""
        text = queue_statement("band_heads", shape, *plain.flags)
        return text, (queue, self.edges.vts, self.edges.ids, *bounds)

    def in_order(self, plain: Lane, cursor: Cursor, bounds: Bounds, row: Any, now_s: float) -> list[Lane]:
        """The lanes that have a message which is due, the first to serve first. ``row``: the answer of
        :meth:`heads`. Lanes without a message move their edge.
        """
        self._asked_s = now_s
        priorities = row["priorities"] or []
        if any(priorities):
            self.used_s = now_s
        for priority, vt, msg_id in zip(priorities, row["vts"] or [], row["ids"] or [], strict=True):
            if not priority:
                plain.first(cursor, msg_id)
            elif vt is not None:
                self.edges.seen(priority, (vt, max(msg_id - 1, LOWEST)), row["now"])
        for priority in self._lanes.keys() - priorities:
            self.edges.seen_all(priority, row["now"])
        if 0 not in priorities:
            plain.claimed(cursor, bounds, {"msg_ids": None, "complete": True, "now": row["now"]}, now_s)
        return [self._lanes[priority] if priority else plain for priority in priorities]

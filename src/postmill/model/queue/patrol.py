"""Walks through ids that a worker has passed, round after round, at a bounded cost. Pure: told what a step
cost,
asked for the next one.

The end of a round is fixed when it begins. So a round ends, whatever is sent meanwhile, and the next one
begins
at the start again: every id of the range is visited within two rounds.
"""

from __future__ import annotations

from dataclasses import dataclass

PERIOD_S = 4.5
"""Seconds between the beginnings of two rounds behind the position. A little less than an idle worker's poll
floor of 5 s, so that each poll brings one round.
"""
FAR_PERIOD_S = 14.5
"""Seconds between the beginnings of two rounds below the floor: every third poll brings one. So twenty idle
workers send at most 20 statements a second in all.
"""
SHARE = 100
"""After a step, a walk pauses 100 times as long as the step took: it uses one hundredth of the server's time
for a worker. The first million dead rows that vacuum may not remove cost a second or two, and so a few
minutes.
"""
STEP_MIN = 1_000
"""The fewest ids in one step, however long the last step took. 1,000 ids seldom take long, and with fewer a
round would not come to its end.
"""
CHEAP_S, DEAR_S = 0.002, 0.010
"""A step that takes less is doubled, one that takes more is cut down to it: a statement that waits behind
it hardly
notices 10 ms.
"""


@dataclass(slots=True)
class Walk:
    """One walk: where its round has got to."""

    at: int = 0
    """Up to here this round has looked."""
    end: int = 0
    """Up to here it goes."""
    step: int = 20_000
    """Ids that are looked through next: what costs 10 ms or so, where all of them are rows."""
    period_s: float = PERIOD_S
    due_s: float | None = None
    """When the next step may begin, by the monotonic clock; None: a period after it is first asked for."""
    _began_s: float = 0.0

    @property
    def under_way(self) -> bool:
        """Whether a round has begun and not ended."""
        return self.at < self.end

    def next_step(self, start: int, end: int, now_s: float) -> tuple[int, int] | None:
        """Ids ``(above, up to)`` to look through now, in a range that begins at ``start`` and has grown to
        ``end``.

        None when it is too early, or the range is empty. The same step again until it was :meth:`walked`.
        """
        if self.due_s is None:  # workers that start together have something better to do
            self.due_s = now_s + self.period_s
        if now_s < self.due_s:
            return None
        if not self.under_way:
            self.at, self.end, self._began_s = start, end, now_s
        self.at = max(self.at, start)
        return (self.at, min(self._reach(), self.end)) if self.under_way else None

    def walked(self, step: tuple[int, int], took_s: float, now_s: float) -> None:
        """Note that a step was looked through to its end, and that it took the server ``took_s`` seconds."""
        above, self.at = step
        if took_s > DEAR_S:
            self.step = max(STEP_MIN, int(self.step * DEAR_S / took_s))
        elif took_s < CHEAP_S and above >= 0 and self.at - above >= self.step:
            self.step *= 2
        rested_s = now_s + took_s * SHARE
        self.due_s = rested_s if self.under_way else max(rested_s, self._began_s + self.period_s)

    def failed(self) -> None:
        """A step was given up, perhaps because it took too long: try a much smaller one."""
        self.step = max(STEP_MIN, self.step // 16)

    def _reach(self) -> int:
        """Ids of queues begin at 1. What was put in by hand below that is looked for in one step."""
        return self.at + self.step if self.at >= 0 else 0

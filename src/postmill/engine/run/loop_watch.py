"""Says when the workers' event loop hangs, and where: an endless loop or a call that waits keeps every other
message of the process waiting.

Runs on the heartbeat's thread, beside its services: a database that does not answer delays nothing here.
Decides nothing about messages; the renewer gives up leases.
"""

from __future__ import annotations

import sys
import time
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING

from postmill.model.events import Event
from postmill.service.timed import TimedService

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from postmill.engine.maintain.maintained_worker import MaintainedWorker
    from postmill.service.events import Events

TICK_S = 0.5
"""How often, in seconds, the event loop shows that it has a turn. Half of ``BLOCKED_S``: two missed turns
tell.
"""
BLOCKED_S = 1.0
"""A loop that has not turned for so long keeps its other messages waiting noticeably."""
LOOK_S = 0.25
"""How often to look: with the two above, a hang is told after 1 to 2 s."""
LONGEST_LOOK_S = 0.5
"""What the time between two looks counts at most: a process that was halted is no loop that hangs."""
SAY_AGAIN_S = 10.0
"""A handler that blocks the loop for each message is told of so often at most."""


class LoopWatch(TimedService):
    """``loop_seen`` is when the loop last had a turn, ``thread_id`` names the loop's thread."""

    def __init__(
        self,
        workers: Sequence[MaintainedWorker],
        events: Events,
        loop_seen: Callable[[], float],
        thread_id: int,
    ) -> None:
        super().__init__(events)
        self._workers = workers
        self._events = events
        self._loop_seen = loop_seen
        self._thread_id = thread_id
        self._seen = loop_seen()
        self._blocked_s = 0.0
        self._quiet_s = SAY_AGAIN_S
        self._said = False
        self._looked_at = time.monotonic()

    async def run_once(self) -> bool:
        """One look."""
        now = time.monotonic()
        elapsed_s, self._looked_at = now - self._looked_at, now
        self.look(elapsed_s)
        self._due_at = time.monotonic() + LOOK_S
        return False

    def look(self, elapsed_s: float) -> None:
        """One look, so long after the one before."""
        elapsed_s = min(elapsed_s, LONGEST_LOOK_S)
        self._quiet_s += elapsed_s
        seen = self._loop_seen()
        if seen != self._seen:
            self._seen, self._blocked_s, self._said = seen, 0.0, False
            return
        self._blocked_s += elapsed_s
        if self._blocked_s >= BLOCKED_S + TICK_S and not self._said and self._quiet_s >= SAY_AGAIN_S:
            self._said, self._quiet_s = True, 0.0
            with suppress(Exception):  # the next look is as good as this one
                self._say()

    def _say(self) -> None:
        """In the name of a worker that holds messages: one of them is the culprit's. Else of the process."""
        events = next((each.events for each in self._workers if each.holding), self._events)
        events.emit(
            Event.WORKER_BLOCKED,
            blocked_s=round(self._blocked_s, 1),
            reason="the event loop does not turn",
            traceback=_stack_of(self._thread_id),
        )


def _stack_of(thread_id: int) -> str:
    """What a thread does at this moment; empty if it has ended."""
    frame = sys._current_frames().get(thread_id)
    return (
        "" if frame is None else "Stack (most recent call last):\n" + "".join(traceback.format_stack(frame))
    )

"""Reports when the workers' event loop hangs, and where: an endless loop or a blocking call keeps every other
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
"""Seconds between two signs that the event loop turns. Half of ``BLOCKED_S``, so that one late sign is no
alarm.
"""
BLOCKED_S = 1.0
"""An event loop that has not turned for this long, in seconds, is reported as blocked. 1 s: its other
messages wait noticeably by then.
"""
LOOK_S = 0.25
"""Seconds between two looks at these signs. With ``TICK_S`` and ``BLOCKED_S``, a hang is reported after 1 to
2 s.
"""
LONGEST_LOOK_S = 0.5
"""The most that the time between two looks counts, in seconds: two looks. After a halt of the whole process
more time has passed, but the event loop did not hang.
"""
SAY_AGAIN_S = 10.0
"""Seconds between two reports. 10 s: a handler that blocks the loop for each message must not flood the log.
"""


class LoopWatch(TimedService):
    """``loop_seen`` returns when the event loop last turned; ``thread_id`` is the id of its thread."""

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
        """One look, ``elapsed_s`` seconds after the one before."""
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
        """Report it for a worker that holds messages, because one of them may be the cause; else for the
        process.
        """
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

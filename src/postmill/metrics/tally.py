"""Counts what one worker, or the process, reports, in plain numbers. One call a batch, which costs a fraction
of a microsecond a message.

Formats nothing.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter
from typing import TYPE_CHECKING

from postmill.model.events import Event

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from postmill.model.queue.message import Message

OUTCOMES = {
    Event.MESSAGE_COMPLETED: "completed",
    Event.MESSAGE_RETRYING: "retrying",
    Event.MESSAGE_SNOOZED: "snoozed",
    Event.MESSAGE_DEAD: "dead",
    Event.STEP_FAILED: "dead",
    Event.RUN_FAILED: "dead",
    Event.MESSAGE_CANCELLED: "cancelled",
    Event.STEP_DROPPED: "cancelled",
    Event.MESSAGE_RELEASED: "released",
    Event.STEP_HELD: "released",
    Event.RUN_PARKED: "released",
    Event.LEASE_LOST: "lost",
}
"""The ways in which a worker parts with a message, and the word for each."""

BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)
"""Upper bounds of the classes in which durations are counted; the last class has none."""


class Tally:
    """The numbers of one worker, or of the process, since its start."""

    def __init__(self, queue: str, worker: str, slots: int, running: Callable[[], int]) -> None:
        self.queue = queue
        self.worker = worker
        """The function's name."""
        self.slots = slots
        self.running = running
        self.events: Counter[Event] = Counter()
        """How often each event was reported; one of messages, once a message."""
        self.durations = [0] * (len(BOUNDS_S) + 1)
        """Attempts by the class of their duration, from the start of the handler to the written outcome."""
        self.total_s = 0.0

    def outcomes(self) -> Counter[str]:
        """Messages by the word for how the worker has parted with them, also those of which there are none:
        several events have one word.
        """
        found: Counter[str] = Counter()
        for event, outcome in OUTCOMES.items():
            found[outcome] += self.events[event]
        return found

    def count(self, event: Event, messages: Sequence[Message]) -> None:
        """Take note of an event: of each of ``messages``, or (none) of the worker itself."""
        self.events[event] += len(messages) or 1
        if event not in OUTCOMES:
            return
        now = time.monotonic()
        for message in messages:
            if message.started:
                took = now - message.started
                self.total_s += took
                self.durations[bisect_left(BOUNDS_S, took)] += 1

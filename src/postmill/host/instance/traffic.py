"""What goes on in one isolate: exchanges, how many there were, and the work they have left behind.

Knows no process; why exchanges fail is passed in.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from postmill.wire.frames import Kind
from postmill.wire.stream import Stream

if TYPE_CHECKING:
    from postmill.model.functions.failures import FunctionFailure
    from postmill.wire.channel import Channel


class Traffic:
    """The exchanges over one channel."""

    def __init__(self, channel: Channel) -> None:
        self.in_flight = 0
        """Requests that have a place, also those not opened yet."""
        self.requests = 0
        """How many there were."""
        self.pending = 0
        """``wait_until`` work that still runs."""
        self.idle_since = 0.0
        """When the last request ended, on the monotonic clock."""
        self._channel = channel
        self._streams: dict[int, Stream] = {}
        self._failure: FunctionFailure | None = None

    @property
    def has_open(self) -> bool:
        """Whether an exchange has begun and not ended."""
        return bool(self._streams)

    @property
    def is_quiet(self) -> bool:
        """Whether nothing runs that a stop would cut."""
        return not self.in_flight and not self.pending

    def open(self, opening: bytes) -> Stream:
        """Begin an exchange."""
        self.requests += 1
        stream = self._streams[self.requests] = Stream(self._channel, self.requests)
        if self._failure is not None:
            stream.fail(self._failure)
        stream.say(Kind.OPEN, opening)
        return stream

    def find(self, number: int) -> Stream | None:
        """An exchange that has not ended."""
        return self._streams.get(number)

    def close(self, number: int) -> None:
        """An exchange has ended in the isolate."""
        del self._streams[number]

    def left(self) -> None:
        """One place is free again."""
        self.in_flight -= 1
        if self.in_flight == 0:
            self.idle_since = time.monotonic()

    def fail(self, failure: FunctionFailure) -> None:
        """End every exchange with ``failure``, and those that are still to be opened."""
        self._failure = failure
        for stream in list(self._streams.values()):
            stream.fail(failure)

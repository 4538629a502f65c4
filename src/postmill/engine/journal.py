"""What a worker says about itself: one log line an event, under the names of ``model.events``.

An event is a record of the logger ``postmill`` whose message is the event's name and whose ``fields`` say the
rest; the command line gives the records their form. Lines for single messages are made only when somebody
reads that level.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from postmill.model.events import LEVELS, Event

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from uuid import UUID

    from postmill.model.message import Message

_LOGGER = logging.getLogger("postmill")


class Journal:
    """The log of one worker. ``listeners`` see every event, message by message (tests); ``counters`` see each
    batch once, with its messages (metrics).
    """

    def __init__(self, *, function: str, queue: str, worker_id: UUID) -> None:
        self.fields = {"function": function, "queue": queue, "worker": str(worker_id)[:8]}
        self.listeners: list[Callable[[Event, dict[str, Any]], None]] = []
        self.counters: list[Callable[[Event, Sequence[Message]], None]] = []

    def say(self, event: Event, *, exception: BaseException | None = None, **fields: Any) -> None:
        """One event of the worker itself."""
        for count in self.counters:
            count(event, ())
        self._say(event, fields, exception)

    def _say(self, event: Event, fields: dict[str, Any], exception: BaseException | None = None) -> None:
        for listener in self.listeners:
            listener(event, fields)
        level = LEVELS[event]
        if _LOGGER.isEnabledFor(level):
            _LOGGER.log(level, event.value, exc_info=exception, extra={"fields": {**self.fields, **fields}})

    def say_each(self, event: Event, messages: Sequence[Message], **fields: Any) -> None:
        """The same event of several messages: one line each, nothing at all when nobody reads it."""
        for count in self.counters:
            count(event, messages)
        if not self.listeners and not _LOGGER.isEnabledFor(LEVELS[event]):
            return
        now = time.monotonic()
        for message in messages:
            named: dict[str, Any] = {"msg_id": message.msg_id, "attempt": message.attempt, **fields}
            if message.started:
                named["duration_ms"] = round((now - message.started) * 1000, 1)
            self._say(event, named)

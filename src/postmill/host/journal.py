"""What the host says about a function: log records under the names of ``model.events``.

``listeners`` see every event (tests, metrics); the records go to the logger ``postmill``.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from postmill.model.events import LEVELS, Event

if TYPE_CHECKING:
    from collections.abc import Callable

_LOGGER = logging.getLogger("postmill")


class FunctionJournal:
    """The log of one host."""

    def __init__(self) -> None:
        self.listeners: list[Callable[[Event, dict[str, Any]], None]] = []

    def say(self, event: Event, *, function: str = "", execution_id: str = "", **fields: Any) -> None:
        """One event of a function, or of the host when ``function`` is empty."""
        self.write(LEVELS[event], event.value, function, execution_id, fields)
        named = {"function": function, "execution": execution_id, **fields}
        for listener in self.listeners:
            listener(event, named)

    def write(self, level: int, text: str, function: str, execution_id: str, fields: dict[str, Any]) -> None:
        """One record, for instance one that an isolate has made: its workers call their handler the function,
        and here it is the one that they belong to.
        """
        if not _LOGGER.isEnabledFor(level):
            return
        named = {"function": function} if function else {}
        if execution_id:
            named["execution"] = execution_id[:8]
        _LOGGER.log(level, text, extra={"fields": {**named, **fields, **named}})

"""Reads what an isolate logs. Its records come through a pipe of their own, so that printed text can't be
taken for a record. A record always carries its own function's name, whatever it holds.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

import msgspec

from postmill.host.launch.output import Output
from postmill.model.events import Event

if TYPE_CHECKING:
    from postmill.service.events import Events

_OF_WORKERS = frozenset(
    {"worker", "database", "queue", "message", "lease", "result", "claims", "history", "hook"}
)
_EVENTS = frozenset(
    {event.value for event in Event if event.value.partition(".")[0] in _OF_WORKERS}
    | {Event.FUNCTION_UNCAUGHT}
)
"""Events that happen inside an isolate: those of its workers, and errors of its function. All others are the
host's to report.
"""
_OF_LINE = frozenset({"at", "level", "event"})
"""Names that every log line has: no field of a record may have them."""
_OF_SOURCE = _OF_LINE | {"function", "execution", "queue", "worker", "logger", "line", "stream"}
"""Names that say where a line comes from: a function's own fields of these names are renamed."""
_ODD = re.compile(r"[^\w.-]")


class _Record(msgspec.Struct):
    level: int
    event: str
    logger: str
    fields: dict[str, Any]


class Records(Output):
    """The pipe of one isolate's records, which also takes the stack of its event loop's thread."""

    def __init__(self, events: Events, function: str, execution_id: str) -> None:
        super().__init__(events, function, execution_id, "log")
        self._stack: list[str] | None = None

    def expect_stack(self) -> None:
        """Keep the lines that are no records."""
        self._stack = []

    def taken_stack(self) -> str:
        """The lines since then; empty if the isolate could say nothing."""
        lines, self._stack = self._stack or [], None
        return "\n".join(lines)

    def _line(self, line: bytes) -> None:
        try:
            record = msgspec.json.decode(line, type=_Record)
        except msgspec.MsgspecError:  # cut, a part of a stack, or written by user code
            if self._stack is None:
                super()._line(line)
            else:
                self._stack.append(line.decode("utf-8", "replace"))
            return
        self._record(record)

    def _record(self, record: _Record) -> None:
        """Log Postmill's own events under their name, and other records as lines."""
        if record.event not in _EVENTS or not record.logger.startswith("postmill"):
            own = _renamed(record.fields, _OF_SOURCE)
            fields = {"logger": record.logger, "line": record.event, **own, **self._whose}
            self._events.tell(Event.FUNCTION_LOG, fields)
            self._events.write(max(record.level, logging.DEBUG), Event.FUNCTION_LOG.value, fields)
            return
        fields = {**_renamed(record.fields, _OF_LINE), **self._whose}
        if record.event == Event.FUNCTION_UNCAUGHT:
            self._events.publish(Event.FUNCTION_UNCAUGHT, fields)
        else:
            self._events.write(record.level, record.event, fields)


def _renamed(fields: dict[str, Any], taken: frozenset[str]) -> dict[str, Any]:
    """With names that can stand in a log line, and none of those that are ``taken``."""
    plain = {_ODD.sub("_", name): value for name, value in fields.items()}
    return {f"{name}_" if name in taken else name: value for name, value in plain.items()}

"""What a log record says, as JSON, whatever user code has put into it."""

from __future__ import annotations

import logging
import math
from typing import Any

import msgspec

from postmill.model.error_text import encodable

LONGEST = 16 * 1024
"""Characters of one text in a log record. 16 KiB hold a long traceback, and a record with one such text fits
into a pipe of 64 KiB.
"""
DEEPEST = 8
"""Levels of lists and dictionaries in a field. What lies deeper is shown as text: a record is read by people,
and eight levels are more than fit on a line.
"""
MOST_ITEMS = 200
"""Items of one list or dictionary in a field. A longer one is cut: a record is a line for people."""
_INTEGERS = range(-(2**63), 2**63)
"""The integers that fit into 64 bits, which every JSON reader takes. Larger ones are shown as text."""
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName", "fields"}


def line_of(record: logging.LogRecord) -> bytes:
    """One line of JSON with ``level``, ``event``, ``fields`` and ``logger``."""
    fields = _fields(record)
    if record.exc_info and record.exc_info[1] is not None:
        fields["traceback"] = encodable(logging.Formatter().formatException(record.exc_info)[-LONGEST:])
    line = {
        "level": record.levelno,
        "event": encodable(_message(record)[:LONGEST]),
        "logger": encodable(str(record.name)),
        "fields": fields,
    }
    return msgspec.json.encode(line) + b"\n"


def _message(record: logging.LogRecord) -> str:
    """Arguments that do not fit the text stand behind it, as they are."""
    try:
        return record.getMessage()
    except Exception:
        return f"{_shown(record.msg)} {_shown(record.args)}"


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    """What ``extra`` gave: our own events put all of it into ``fields``."""
    extra = {name: value for name, value in vars(record).items() if name not in _STANDARD}
    given = getattr(record, "fields", {})
    extra.update(given if isinstance(given, dict) else {"fields": given})
    return {encodable(str(name)): _plain(value, 1) for name, value in extra.items()}


def _plain(value: Any, depth: int) -> Any:
    """The value as JSON can hold it; anything else as text."""
    match value:
        case None | bool():
            return value
        case int() if value in _INTEGERS:
            return int(value)
        case float() if math.isfinite(value):
            return float(value)
        case dict() if depth < DEEPEST:
            items = list(value.items())[:MOST_ITEMS]
            return {_shown(name): _plain(item, depth + 1) for name, item in items}
        case list() | tuple() | set() | frozenset() if depth < DEEPEST:
            return [_plain(item, depth + 1) for item in list(value)[:MOST_ITEMS]]
        case _:
            return _shown(value)


def _shown(value: object) -> str:
    try:
        return encodable(str(value)[:LONGEST])
    except Exception:
        return f"<{type(value).__name__}>"

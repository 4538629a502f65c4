"""Log lines people read: one line an event, as text or as one JSON object.

An event is a record of the logger ``postmill`` whose message is the event and whose ``extra`` is
``{"fields": {...}}``; a record without fields gets the same form. Must not decide what is logged.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TextIO

from postmill.cli.terminal import attempts
from postmill.cli.terminal import text as terminal_text
from postmill.model.config.address import mask
from postmill.model.events import Event

if TYPE_CHECKING:
    from collections.abc import Mapping

_PALETTE = (36, 32, 35, 34, 33, 96, 92, 95, 94, 93)
_LIKE_A_LINE = re.compile(r"^(?=\d\d:\d\d:\d\d)", re.MULTILINE)
_LEAD = ("function", "queue")
"""Fields that name the source of a line: they stand before the event, the others after it."""


_of_applications: list[logging.Handler] = []
"""What an earlier call added to the root logger."""


def configure(
    level: str,
    form: str,
    *,
    stream: TextIO | None = None,
    colour: bool | None = None,
    development: bool = False,
) -> None:
    """Sends the records of ``postmill``, and those of the application's own loggers, to ``stream`` (stderr):
    ``form`` is ``text`` or ``json``.

    ``colour`` None means: on a terminal, unless ``NO_COLOR`` is set. In ``development`` the first failure of
    a message is shown with its traceback; elsewhere only the last one is. Replaces what an earlier call set
    up, and leaves alone what the application has set up itself.
    """
    target = sys.stderr if stream is None else stream
    with_colour = may_colour(target) if colour is None else colour
    handler = logging.StreamHandler(target)
    handler.setFormatter(JsonLines() if form == "json" else TextLines(colour=with_colour))
    if not development:
        handler.addFilter(_without_first_traceback)
    logger = logging.getLogger("postmill")
    logger.handlers[:] = [handler]
    logger.setLevel(level.upper())
    logger.propagate = False
    root = logging.getLogger()
    for earlier in _of_applications:
        root.removeHandler(earlier)
    _of_applications[:] = [handler]
    root.addHandler(handler)
    root.setLevel(level.upper())


def may_colour(stream: TextIO | None, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether colours are wanted on ``stream``: a terminal, no ``NO_COLOR``, no ``TERM=dumb``."""
    return (
        stream is not None
        and stream.isatty()
        and not environ.get("NO_COLOR")
        and environ.get("TERM") != "dumb"
    )


def _without_first_traceback(record: logging.LogRecord) -> bool:
    """A log of many messages that fail for the same reason would be nothing but tracebacks."""
    fields = _fields(record)
    if record.msg == Event.MESSAGE_RETRYING.value and fields.pop("traceback", None):
        record.fields = fields
    return True


class JsonLines(logging.Formatter):
    """One object a line: ``at``, ``level``, ``event`` and the fields; of an application's own logger its name
    and ``message``.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line of JSON."""
        import orjson

        line = {
            "at": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname.lower(),
            **(
                {"event": record.getMessage(), **_fields(record)}
                if _is_ours(record)
                else {"logger": record.name, "message": record.getMessage()}
            ),
        }
        if _has_traceback(record):
            line["traceback"] = self.formatException(record.exc_info or (None, None, None))
        return terminal_text.json_text(mask(orjson.dumps(line, default=str).decode()))


class TextLines(logging.Formatter):
    """``12:34:56.789 scrape tasks  message.completed worker=1f0c msg_id=7 attempt=1 duration_ms=12``."""

    def __init__(self, *, colour: bool) -> None:
        super().__init__()
        self.colour = colour

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line, and its traceback below when it has one."""
        fields = _fields(record) if _is_ours(record) else {"function": record.name}
        traceback = "\n".join(attempts.traceback(str(fields.pop("traceback", ""))))
        lead = terminal_text.one_line(" ".join(str(fields.pop(name)) for name in _LEAD if name in fields))
        at = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S.%f")[:-3]
        event = self._coloured(
            _set_in(record.getMessage()), terminal_text.RED if record.levelno >= logging.WARNING else 0
        )
        if record.msg == Event.FUNCTION_LOG.value and "line" in fields:
            event, fields = f"| {terminal_text.one_line(str(fields['line']))}", {}
        tail = "".join(f" {terminal_text.one_line(name)}={_value(value)}" for name, value in fields.items())
        who = self._coloured(f"{lead:<16} ", _colour_of(lead)) if lead else ""
        line = f"{self._coloured(at, terminal_text.DIM)} {who}{event}{tail}"
        if _has_traceback(record):
            traceback = self.formatException(record.exc_info or (None, None, None))
        return mask(f"{line}\n{_set_in_forged(traceback)}".rstrip())

    def _coloured(self, text: str, colour: int) -> str:
        return terminal_text.styled(text, colour) if self.colour and colour else text


def _set_in(text: str) -> str:
    """All lines but the first are set in, so that no text in a line can pass for a line of its own."""
    return terminal_text.lines(text).replace("\n", "\n    ")


def _set_in_forged(traceback: str) -> str:
    """Indents lines of a traceback that look like log lines of Postmill: the text of an error can hold
    such.
    """
    return _LIKE_A_LINE.sub("    ", terminal_text.lines(traceback))


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    return dict(getattr(record, "fields", {}))


def _is_ours(record: logging.LogRecord) -> bool:
    """Whether it is an event of Postmill, or a line of a handler's ``ctx.log``."""
    return hasattr(record, "fields") or str(record.name).partition(".")[0] == "postmill"


def _has_traceback(record: logging.LogRecord) -> bool:
    """A record made with ``exc_info=True`` outside of an ``except`` has a tuple of nothing; one of asyncio
    without an exception has False.
    """
    return bool(record.exc_info and record.exc_info[1] is not None)


def _value(value: object) -> str:
    text = str(value)
    shown = repr(text) if " " in text or "\n" in text or not text else text
    return terminal_text.one_line(shown)


def _colour_of(name: str) -> int:
    """The same colour for the same name in every run."""
    return _PALETTE[sum(name.encode()) % len(_PALETTE)]

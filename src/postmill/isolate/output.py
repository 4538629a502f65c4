"""An isolate's own log records, on its stderr: one line each that the host can tell from what user code
prints. Threads may log, also while the event loop hangs.
"""

from __future__ import annotations

import json
import logging
import sys
from contextlib import suppress
from typing import TextIO

MARK = "\x1e"
"""The first character of a line that is a record: JSON with ``level``, ``event``, ``fields``, ``logger``."""
LONGEST = 16 * 1024
"""Characters of one text in a record."""


class Records(logging.Handler):
    """Writes each record as one marked line."""

    def emit(self, record: logging.LogRecord) -> None:
        """See :class:`logging.Handler`."""
        with suppress(Exception):
            fields = dict(getattr(record, "fields", {}))
            if record.exc_info and record.exc_info[1] is not None:
                text = logging.Formatter().formatException(record.exc_info)
                fields["traceback"] = text[-LONGEST:]
            line = {
                "level": record.levelno,
                "event": record.getMessage()[:LONGEST],
                "logger": record.name,
                "fields": fields,
            }
            sys.stderr.write(MARK + json.dumps(line, default=str) + "\n")
            sys.stderr.flush()


def configure(level: str) -> None:
    """Send every logger's records from ``level`` on to the host, and print line by line."""
    sys.stdout, sys.stderr = _writer(1), _writer(2)  # those of the zygote believe to be its own files
    root = logging.getLogger()
    root.handlers[:] = [Records()]
    root.setLevel(logging.getLevelNamesMapping().get(level.upper(), logging.INFO))


def _writer(descriptor: int) -> TextIO:
    return open(descriptor, "w", 1, "utf-8", "backslashreplace", closefd=False)

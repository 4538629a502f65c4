"""An isolate's own log records, and the stack of its event loop's thread: on a pipe of their own, apart from
what user code prints. Threads may log, also while the event loop hangs.
"""

from __future__ import annotations

import faulthandler
import json
import logging
import os
import signal
import sys
from contextlib import suppress
from typing import TextIO

LONGEST = 16 * 1024
"""Characters of one text in a record."""
STACK_SIGNAL: int | None = getattr(signal, "SIGURG", None)
"""Makes an isolate write the stack of its main thread, also inside code that lets no other thread run. A
process that does not know this meaning ignores the signal.
"""


class Records(logging.Handler):
    """Writes each record to ``descriptor``: JSON with ``level``, ``event``, ``fields`` and ``logger``."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._own = os.fstat(descriptor)

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
            self._write(json.dumps(line, default=str).encode() + b"\n")

    def _write(self, data: bytes) -> None:
        """Nothing, if user code has closed the pipe and something else has its number now."""
        if os.path.samestat(os.fstat(self._descriptor), self._own):
            while data:
                data = data[os.write(self._descriptor, data) :]


def configure(level: str, descriptor: int) -> None:
    """Send every logger's records from ``level`` on to the host through ``descriptor``, and print line by
    line.
    """
    sys.stdout, sys.stderr = _writer(1), _writer(2)  # those of the zygote believe to be its own files
    root = logging.getLogger()
    root.handlers[:] = [Records(descriptor)]
    root.setLevel(logging.getLevelNamesMapping().get(level.upper(), logging.INFO))
    if STACK_SIGNAL is not None:
        faulthandler.register(STACK_SIGNAL, file=descriptor, all_threads=False)


def _writer(descriptor: int) -> TextIO:
    return open(descriptor, "w", 1, "utf-8", "backslashreplace", closefd=False)

"""An isolate's own log records, and the stack of its event loop's thread: on a pipe of their own, apart from
what user code prints. Threads may log, also while the event loop hangs.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import sys
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from postmill.isolate.log_record import line_of
from postmill.wire.marks import STACK_SIGNAL

if TYPE_CHECKING:
    from collections.abc import Callable


class Records(logging.Handler):
    """Writes each record to ``descriptor``: JSON with ``level``, ``event``, ``fields`` and ``logger``."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._own = os.fstat(descriptor)

    def emit(self, record: logging.LogRecord) -> None:
        """See :class:`logging.Handler`."""
        with suppress(Exception):
            self._write(line_of(record))

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
    records = Records(descriptor)
    own, root = logging.getLogger("postmill"), logging.getLogger()
    own.handlers[:], own.propagate = [records], False  # whatever user code does to the root
    root.handlers[:] = [records]
    logging.basicConfig = partial(_basic_config, records, logging.basicConfig)
    os._exit = partial(_exit, os._exit)
    root.setLevel(logging.getLevelNamesMapping().get(level.upper(), logging.INFO))
    if STACK_SIGNAL is not None:
        faulthandler.register(STACK_SIGNAL, file=descriptor, all_threads=False)


def _basic_config(records: Records, original: Callable[..., None], **options: Any) -> None:
    """``logging.basicConfig`` does nothing where the root logger has a handler. It is to work as in a plain
    process, so Postmill's handler is left out of account.
    """
    root = logging.getLogger()
    if root.handlers == [records]:
        root.removeHandler(records)
    original(**options)


def _exit(original: Callable[[int], NoReturn], status: int) -> NoReturn:
    """``os._exit``, after what was printed without an end of line."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    original(status)


def _writer(descriptor: int) -> TextIO:
    return open(descriptor, "w", 1, "utf-8", "backslashreplace", closefd=False)

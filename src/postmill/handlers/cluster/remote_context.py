"""What a handler on Ray can ask for beside its payload."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from postmill.handlers.cluster.orders import Said
from postmill.model.option_rules import out_of_range

if TYPE_CHECKING:
    from collections.abc import Callable

    from postmill.handlers.cluster.orders import Order


class RemoteContext:
    """One attempt at one message, seen from the task that runs it on a cluster. It has no connection to the
    database: what is to be written with the message's completion belongs in the function under
    ``@handler.finish``, which runs in the worker.
    """

    def __init__(self, order: Order, tell: Callable[[Said], object]) -> None:
        self.queue = order.queue
        """The queue's name."""
        self.msg_id = order.msg_id
        """The message's id."""
        self.attempt = order.attempt
        """1 for the first."""
        self._call = order.call
        self._tell = tell
        self._ends_at = None if order.timeout_s is None else time.monotonic() + order.timeout_s
        self.log = logging.Logger("postmill.handler", logging.DEBUG)  # noqa: LOG001 - of this task only
        """A logger whose lines the worker writes, with the message's id."""
        self.log.addHandler(_Telling(order.call, tell))

    @property
    def deadline(self) -> float | None:
        """Seconds until the attempt is cancelled, counted from the task's own start; None without a time
        limit.
        """
        return None if self._ends_at is None else self._ends_at - time.monotonic()

    def progress(self, fraction: float, note: str = "") -> None:
        """Have the worker write a log line that says how far the work is. ``fraction`` runs from 0 to 1."""
        if not 0 <= fraction <= 1:
            raise out_of_range("fraction", fraction, "It runs from 0 to 1.")
        self._tell(Said(self._call, "progress", note, fraction))


class _Telling(logging.Handler):
    """Sends log records to the worker, as text."""

    def __init__(self, call: int, tell: Callable[[Said], object]) -> None:
        super().__init__()
        self._call = call
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        """See :class:`logging.Handler`."""
        try:
            self._tell(Said(self._call, "log", self.format(record), record.levelno))
        except Exception:
            self.handleError(record)

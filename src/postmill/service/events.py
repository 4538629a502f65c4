"""Events of the product: one log line each, under the names of ``model.events``.

An event is a record of the logger ``postmill``. The record's message is the event's name, and its ``fields``
say the rest. The command line gives the records their form. Lines for single messages are made only when that
level is logged.

An event never raises into its caller. The application's own filters, handlers, formatters and listeners run
here, and the engine must not end because one of them is broken.
"""

from __future__ import annotations

import logging
import sys
import time
from typing import TYPE_CHECKING, Any

from postmill.model.events import LEVELS, Event

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from postmill.model.queue.message import Message

_LOGGER = logging.getLogger("postmill")

COMPLAIN_EVERY_S = 60.0
"""A broken log is reported on standard error once in this time: often enough to be seen, and no flood."""
SHOWN_OF_EXECUTION = 8
"""Characters of an execution's id in a log line: eight tell the instances of one day apart."""


class Events:
    """The emitter of one owner: a process, a worker or a host. ``fields`` stand in each of its log lines.

    ``listeners`` get every event, message by message (tests, the host's scenes). ``counters`` get each batch
    once, with its messages (metrics).
    """

    would_log = staticmethod(_LOGGER.isEnabledFor)
    """Whether an event of this level would have a line in the log."""

    def __init__(self, **fields: str) -> None:
        self.fields = fields
        self.listeners: list[Callable[[Event, dict[str, Any]], None]] = []
        self.counters: list[Callable[[Event, Sequence[Message]], None]] = []
        self._complained_at: float | None = None

    def emit(self, event: Event, /, *, exception: BaseException | None = None, **fields: Any) -> None:
        """Report one event of the owner itself, with the traceback of ``exception`` if there is one."""
        self.publish(event, fields, exception)

    def publish(self, event: Event, fields: dict[str, Any], exception: BaseException | None = None) -> None:
        """The same, with ``fields`` of any name: those that a function has chosen."""
        self._count(event, ())
        self._tell(event, fields, exception)

    def emit_each(self, event: Event, messages: Sequence[Message], **fields: Any) -> None:
        """Report the same event of several messages: one line each, and none if nothing reads them."""
        self._count(event, messages)
        if not self.listeners and not self._is_logged(LEVELS[event]):
            return
        now = time.monotonic()
        for message in messages:
            named: dict[str, Any] = {"msg_id": message.msg_id, "attempt": message.attempt, **fields}
            if message.started:
                named["duration_ms"] = round((now - message.started) * 1000, 1)
            self._tell(event, named)

    def write(
        self, level: int, text: str, fields: dict[str, Any], exception: BaseException | None = None
    ) -> None:
        """Write one log record, without telling the listeners."""
        try:
            if _LOGGER.isEnabledFor(level):
                shown = {**self.fields, **_shown(fields)}
                _LOGGER.log(level, text, exc_info=exception, extra={"fields": shown})
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            self._complain(error, text)

    def _is_logged(self, level: int) -> bool:
        try:
            return self.would_log(level)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            self._complain(error, "isEnabledFor")
            return False

    def _count(self, event: Event, messages: Sequence[Message]) -> None:
        for count in self.counters:
            try:
                count(event, messages)
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                self._complain(error, event.value)

    def _tell(self, event: Event, fields: dict[str, Any], exception: BaseException | None = None) -> None:
        self.tell(event, fields)
        self.write(LEVELS[event], event.value, fields, exception)

    def tell(self, event: Event, fields: dict[str, Any]) -> None:
        """Tell the listeners, and write no line: it is written at a level of its own."""
        for listener in self.listeners:
            try:
                listener(event, fields)
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                self._complain(error, event.value)

    def _complain(self, error: BaseException, about: str) -> None:
        """Report on standard error, if there is one, that an event could not be logged."""
        now = time.monotonic()
        if self._complained_at is not None and now - self._complained_at < COMPLAIN_EVERY_S:
            return
        self._complained_at = now
        try:
            print(
                f"postmill: the event {about} could not be logged: the logging configuration raised"
                f" {type(error).__name__}: {error}",
                file=sys.stderr,
                flush=True,
            )
        except Exception:  # standard error is closed or broken: there is no place left to report it
            return


def _shown(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields as a log line shows them: a function's first, and the id of its execution cut short."""
    if "function" not in fields and "execution" not in fields:
        return fields
    named = {
        "function": fields.get("function"),
        "execution": str(fields.get("execution") or "")[:SHOWN_OF_EXECUTION],
    }
    first = {name: value for name, value in named.items() if value}
    return {**first, **{name: value for name, value in fields.items() if name not in named}}

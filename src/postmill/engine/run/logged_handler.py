"""Keeps the last lines that an attempt has logged, when it fails, for the page of its message.

Wraps the handler where its worker has ``keep_log``: others pay nothing. What is logged goes where it went
before, too. Decides nothing about the message.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from postmill.engine.wrapped_handler import WrappedHandler
from postmill.model.error_text import storable
from postmill.model.errors import LeaseLost
from postmill.model.events import Event
from postmill.model.queue.outcome import Retry, Snooze
from postmill.model.queue.retry import Dead
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from postmill.engine.handler import Handler
    from postmill.engine.run.attempt import Attempt
    from postmill.model.queue.message import Message

MOST_LINES = 100
"""Lines of an attempt that are kept, the last ones. A hundred: what led to a failure is among them, and a
page shows them at a glance.
"""
LONGEST_LINE = 1_000
"""Characters of a line that are kept. A thousand: a hundred of them are 100 kB for an attempt at most."""
OWN = "postmill"
"""The logger of Postmill's own events: the page tells what they say."""
_RECORDS: ContextVar[deque[logging.LogRecord] | None] = ContextVar("postmill_records", default=None)
"""What the attempt that runs here has logged; None outside of one."""


def logged(handler: Handler) -> Handler:
    """``handler``, with its log kept where its worker's options say so."""
    if not handler.options.keep_log or handler.options.batch is not None:
        return handler
    _listen()
    return LoggedHandler(handler)


class LoggedHandler(WrappedHandler):
    """A handler whose failed attempts leave their last log lines in the database."""

    def bind(self, message: Message, attempt: Attempt) -> Awaitable[Any]:
        """See :class:`postmill.engine.handler.Handler`."""
        return self._run(message, attempt)

    async def _run(self, message: Message, attempt: Attempt) -> Any:
        records: deque[logging.LogRecord] = deque(maxlen=MOST_LINES)
        here = _RECORDS.set(records)
        try:
            result = await self._handler.bind(message, attempt)
        except BaseException as error:
            if _has_failed(attempt, error):
                await _keep(attempt, records)
            raise
        finally:
            _RECORDS.reset(here)
        if isinstance(result, Retry | Dead):
            await _keep(attempt, records)
        return result


def _has_failed(attempt: Attempt, error: BaseException) -> bool:
    if isinstance(error, asyncio.CancelledError):
        return attempt.stopping.reason in {None, "timeout"}
    return not isinstance(error, Snooze | LeaseLost)


async def _keep(attempt: Attempt, records: deque[logging.LogRecord]) -> None:
    """Write the lines. An attempt that can't leave them fails as it would have."""
    lines = [_line(record) for record in records if record.name != OWN]
    if not lines:
        return
    message = attempt.message
    try:
        await attempt.services.reads.fetchrow(
            statement("attempt_log"), message.queue, message.msg_id, message.attempt, lines
        )
    except Exception as broken:  # the attempt's own error is the one that counts
        attempt.services.events.emit(
            Event.HOOK_FAILED, exception=broken, msg_id=message.msg_id, reason="its log could not be kept"
        )


def _line(record: logging.LogRecord) -> str:
    at = datetime.fromtimestamp(record.created, UTC)
    try:
        said = record.getMessage()
    except Exception:  # its arguments don't fit: logging says so on its own
        said = str(record.msg)
    text = f"{at:%H:%M:%S.%f}"[:-3] + f" {record.levelname} {record.name}: {said}"
    return storable(text)[:LONGEST_LINE]


@cache
def _listen() -> None:
    """See each record that is made, from now on. A handler of ``logging`` would not do: with one at the root,
    warnings of a process that has set up no logging would not be printed any more.
    """
    made = logging.getLogRecordFactory()

    def noted(*arguments: Any, **options: Any) -> logging.LogRecord:
        record = made(*arguments, **options)
        records = _RECORDS.get()
        if records is not None:
            records.append(record)
        return record

    logging.setLogRecordFactory(noted)

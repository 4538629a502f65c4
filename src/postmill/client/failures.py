"""Turns what a driver raises into an error of Postmill: by SQLSTATE, the same for every driver.

No driver is imported here. Anything unexpected passes through as it is; so does a deadlock or serialisation
failure, for the caller's transaction to handle.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

from postmill.model.database_errors import Report, in_words, login_failed, unreachable
from postmill.model.sqlstates import Condition, condition, is_ours, refuses_for_now, state_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from postmill.model.errors import PostmillError

_CANT_CONNECT = frozenset(
    {
        "psycopg.OperationalError",
        "psycopg2.OperationalError",
        "asyncpg.exceptions._base.InternalClientError",  # the session ended between two steps of a statement
    }
)
_TABLE_CHANGED = "asyncpg.exceptions._base.OutdatedSchemaCacheError"
"""One of asyncpg's internal errors that says nothing of the connection."""


@contextmanager
def translated(queue: str | None = None) -> Iterator[None]:
    """Around one call of a driver. ``queue`` is the one that the statement is about."""
    try:
        yield
    except Exception as error:
        raise_translated(error, queue)


@contextmanager
def said_by_postmill(queue: str | None = None) -> Iterator[None]:
    """As :func:`translated`, for what Postmill's own SQL has raised; other errors stay the driver's, for the
    code that judges them by what they say of the server.
    """
    try:
        yield
    except Exception as error:
        if not is_ours(state_of(error)):
            raise
        raise_translated(error, queue)


def raise_translated(error: Exception, queue: str | None = None) -> NoReturn:
    """Raise it as an error of Postmill, or unchanged when it stays the driver's error."""
    ours = _in_our_words(error, queue)
    try:
        if ours is None:
            raise error
        raise ours from error
    finally:
        del error, ours  # this frame is in their traceback: they would keep each other alive


def report_of(error: BaseException, queue: str | None = None) -> Report:
    """What the server said, from an error of asyncpg, psycopg, psycopg2 or, round one of them, SQLAlchemy."""
    reported = _of_the_driver(error)
    said = getattr(reported, "diag", None)  # psycopg and psycopg2 keep the server's words apart
    detail, hint, table = (
        tuple(getattr(reported, name, None) for name in ("detail", "hint", "table_name"))
        if said is None
        else (said.message_detail, said.message_hint, said.table_name)
    )
    state = state_of(reported)
    missing = table if condition(state) is Condition.QUEUE_MISSING else None
    return Report(state, first_line(reported), str(detail or ""), str(hint or ""), missing or queue)


def _of_the_driver(error: BaseException) -> BaseException:
    """SQLAlchemy raises errors of its own round those of its driver, and round those of asyncpg one more,
    which has only the SQLSTATE.
    """
    reported: BaseException = getattr(error, "orig", None) or error
    cause = reported.__cause__
    return cause if cause is not None and type(cause).__module__.startswith("asyncpg.") else reported


def first_line(error: BaseException) -> str:
    """The first line of what an error says, or its type's name when it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _in_our_words(error: Exception, queue: str | None) -> PostmillError | None:
    report = report_of(error, queue)
    if report.state:
        return in_words(report)
    reported = _of_the_driver(error)
    if not _is_connection_failure(reported):
        return None
    refused = "FATAL:" in str(reported) and not refuses_for_now(report.message)
    return login_failed(report) if refused else unreachable(report)


def _is_connection_failure(error: BaseException) -> bool:
    """Whether it is a failure to connect, by the names of its classes: some of these carry no SQLSTATE."""
    if isinstance(error, OSError):
        return True
    names = {f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__}
    if names & _CANT_CONNECT:
        return _TABLE_CHANGED not in names
    return "asyncpg.exceptions._base.InterfaceError" in names and "closed" in str(error)

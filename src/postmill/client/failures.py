"""What a driver reports, in our words: by SQLSTATE, the same for every driver.

Anything unexpected passes through as it is. A deadlock or serialisation failure in the caller's transaction
is the caller's to handle, so it stays the driver's error.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from postmill.model.errors import (
    DatabaseUnavailable,
    InvalidOption,
    InvalidPayload,
    LoginFailed,
    PayloadTooLarge,
    PostmillError,
    QueueNotFound,
    Refused,
    SchemaMissing,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LOGIN = frozenset({"28000", "28P01", "3D000"})
_UNAVAILABLE = frozenset({"25006", "53300"})
_UNAVAILABLE_CLASSES = ("08", "57P")
_CANT_CONNECT = frozenset(
    {"psycopg.OperationalError", "asyncpg.exceptions._base.TargetServerAttributeNotMatched"}
)


@contextmanager
def translated(queue: str) -> Iterator[None]:
    """Around one call of a driver. ``queue`` is named in the error."""
    try:
        yield
    except Exception as error:
        ours = _in_our_words(error, queue)
        if ours is None:
            raise
        raise ours from error


def _in_our_words(error: Exception, queue: str) -> PostmillError | None:
    reported = getattr(error, "orig", None) or error  # SQLAlchemy wraps the driver's error
    state = getattr(reported, "sqlstate", None) or ""
    if state in _WORDS:
        return _WORDS[state](queue, _first_line(reported))
    if state in _LOGIN or (not state and "FATAL:" in str(reported) and _is_connection_failure(reported)):
        return _login_failed(_first_line(reported))
    if state in _UNAVAILABLE or state.startswith(_UNAVAILABLE_CLASSES):
        return _unavailable(_first_line(reported))
    return _unavailable(_first_line(reported)) if not state and _is_connection_failure(reported) else None


def _is_connection_failure(error: BaseException) -> bool:
    """Told by names: no driver is imported here, and some failures to connect carry no SQLSTATE."""
    if isinstance(error, OSError):
        return True
    names = {f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__}
    if names & _CANT_CONNECT:
        return True
    return "asyncpg.exceptions._base.InterfaceError" in names and "closed" in str(error)


def _queue_not_found(queue: str, _: str) -> PostmillError:
    return QueueNotFound(
        f"There is no queue {queue!r}.",
        hint=f"Create it with `postmill queue create {queue}` or client.create_queue({queue!r}).",
    )


def _no_headers(_: str, reason: str) -> PostmillError:
    return InvalidOption(
        "Messages of this queue have no headers.",
        why=f"Its tables were made by pgmq before 1.5 ({reason}).",
        hint="Put the values into the payload, or upgrade pgmq.",
    )


def _schema_missing(_: str, reason: str) -> PostmillError:
    return SchemaMissing(
        "The database has no Postmill schema.", why=_sentence(reason), hint="Run `postmill migrate`."
    )


def _invalid(_: str, reason: str) -> PostmillError:
    return InvalidPayload("Postgres does not take the payload.", why=_sentence(reason))


def _too_large(_: str, reason: str) -> PostmillError:
    return PayloadTooLarge("The payload is larger than Postgres can hold.", why=_sentence(reason))


def _refused(queue: str, reason: str) -> PostmillError:
    return Refused(f"Queue {queue!r} was refused.", why=_sentence(reason))


_WORDS: dict[str, Callable[[str, str], PostmillError]] = {
    "42P01": _queue_not_found,
    "PM001": _queue_not_found,
    "42703": _no_headers,
    "3F000": _schema_missing,
    "42883": _schema_missing,
    "22P02": _invalid,
    "22P05": _invalid,
    "22021": _invalid,
    "54000": _too_large,
    "54001": _too_large,
    "PM002": _refused,
    "PM005": _refused,
}


def _unavailable(reason: str) -> PostmillError:
    return DatabaseUnavailable(
        "The database can't be reached.",
        why=_sentence(reason),
        hint="Whether a send under way was stored is not known. Try again when the server is back.",
    )


def _login_failed(reason: str) -> PostmillError:
    return LoginFailed(
        "The database refused the login.",
        why=_sentence(reason),
        hint="Check user, password and database; special characters in a password are percent-encoded.",
    )


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _sentence(reason: str) -> str:
    return reason[:1].upper() + reason[1:].rstrip(".") + "."

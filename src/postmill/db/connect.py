"""One plain connection for tools and the sync side, and the driver's errors in our words.

Every connection is autocommit: a transaction is always written out where it is meant. Does not start servers,
does not retry, and does not know which tables there are.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import psycopg
from psycopg.rows import dict_row

from postmill.model.errors import (
    DatabaseUnavailable,
    InvalidAddress,
    InvalidOption,
    InvalidPayload,
    InvalidQueueName,
    LoginFailed,
    NotFound,
    PostmillError,
    QueueNotFound,
    Refused,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from postmill.model.address import Address

Connection: TypeAlias = psycopg.Connection[dict[str, Any]]
"""A connection of ours: autocommit, ``$1`` parameters, rows as dicts."""

CONNECT_TIMEOUT_S = 10

_BY_SQLSTATE: dict[str, type[PostmillError]] = {
    "PM001": QueueNotFound,
    "PM002": InvalidQueueName,
    "PM003": InvalidOption,
    "PM004": InvalidOption,
    "PM005": Refused,
    "PM006": NotFound,
}
"""What our SQL functions raise; each function's header says which."""

# What a server says that lets nobody in just now, where it gives no SQLSTATE: the last resort.
_NOT_YET = re.compile(
    r"starting up|shutting down|recovery|not yet accepting|too many|remaining connection slots|reserved"
)
_FATAL = re.compile(r"FATAL:\s*(?P<text>.*)")


def connect(address: Address, *, application_name: str = "postmill", options: str = "") -> Connection:
    """A connection to ``address``; the caller closes it (it is a context manager).

    ``options`` are libpq's, for example ``-c statement_timeout=5s``; a pooler refuses them, so they are left
    out there. Raises :class:`LoginFailed` when the server refuses the user, :class:`DatabaseUnavailable` when
    it can't be reached, :class:`InvalidAddress` when libpq knows no such parameter.
    """
    extra: dict[str, Any] = {} if address.pooled or not options else {"options": options}
    if "connect_timeout" not in address.url:
        extra["connect_timeout"] = CONNECT_TIMEOUT_S
    with translated(address):
        return psycopg.Connection[dict[str, Any]].connect(
            address.url,
            autocommit=True,
            prepare_threshold=None,  # a pooler that the address does not show would mix them up
            cursor_factory=psycopg.RawCursor,
            row_factory=dict_row,
            fallback_application_name=application_name,
            **extra,
        )


@contextmanager
def translated(address: Address) -> Iterator[None]:
    """Turns the driver's errors into ours; an error that is no expected one of a database passes through."""
    try:
        yield
    except psycopg.errors.SyntaxError:
        raise  # ours: a bug
    except psycopg.ProgrammingError as error:
        if error.sqlstate is None:
            raise _invalid_parameter(error) from error
        raise _statement_failed(error) from error
    except psycopg.errors.UntranslatableCharacter as error:
        raise InvalidPayload(
            "The payload can't be stored: it contains the character NUL (\\u0000).",
            why="PostgreSQL's jsonb can't hold it.",
            hint="Remove it, or encode the text, for example as base64.",
        ) from error
    except psycopg.OperationalError as error:
        if error.sqlstate is None or error.sqlstate[:2] in {"08", "57"}:
            raise _unavailable(error, address) from error
        raise _statement_failed(error) from error
    except psycopg.Error as error:
        raise _statement_failed(error) from error


def _unavailable(error: psycopg.OperationalError, address: Address) -> PostmillError:
    """libpq gives no SQLSTATE for a refused login; what the server said follows FATAL, in its language."""
    fatal = _FATAL.search(str(error))
    said = fatal["text"] if fatal else _first_line(error)
    refused, state = _refused(error, address, fatal and fatal["text"])
    if not refused:
        return DatabaseUnavailable(
            f"The database at {address.masked} can't be reached{_configured(address)}.",
            why=_sentence(said),
            hint="Check host and port, and that the server runs. `postmill doctor` tries each step.",
        )
    return LoginFailed(
        f"The database at {address.masked} refused the login{_configured(address)}.",
        why=_sentence(said),
        hint=_login_hint(state, said),
    )


def _refused(error: psycopg.OperationalError, address: Address, said: str | None) -> tuple[bool, str]:
    """Whether the server does not want us, and the SQLSTATE, if it can be had. Told by the words only when
    the server gives no state when it is asked again.
    """
    if not isinstance(error, psycopg.errors.ConnectionTimeout):
        # Here, for it brings the other driver, and most processes never come here.
        from postmill.db.outage import is_passing  # noqa: PLC0415
        from postmill.db.refusal import refusal  # noqa: PLC0415

        answer = refusal(address)
        if answer is not None:
            return not is_passing(answer), str(answer.sqlstate)
    return said is not None and not _NOT_YET.search(said), ""


def _login_hint(state: str, said: str) -> str:
    if state == "28P01" or (state != "3D000" and "password" in said):
        return "Check user and password. Special characters in it must be percent-encoded: a % itself is %25."
    if state == "3D000" or "database" in said:
        return "Create the database with createdb, or correct its name at the end of the address."
    return "Check the user in the address and the server's pg_hba.conf."


def _invalid_parameter(error: psycopg.Error) -> InvalidAddress:
    return InvalidAddress(
        "The database address can't be used.",
        why=_sentence(_first_line(error)),
        hint="Parameters after the ? are those of libpq, such as sslmode or connect_timeout.",
    )


def _statement_failed(error: psycopg.Error) -> PostmillError:
    diagnostic = error.diag
    hint = diagnostic.message_hint or ""
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        hint = (
            hint or "Grant it to the user in the address, or use the database's owner. See `postmill doctor`."
        )
    kind = _BY_SQLSTATE.get(error.sqlstate or "")
    return (kind or PostmillError)(
        _sentence(diagnostic.message_primary or _first_line(error)),
        why=diagnostic.message_detail
        or ("" if kind else f"The database answered with SQLSTATE {error.sqlstate}."),
        hint=hint,
    )


def _configured(address: Address) -> str:
    return f" (from {address.source})" if address.source else ""


def _first_line(error: psycopg.Error) -> str:
    line = str(error).partition("\n")[0].strip()
    return (
        line.removeprefix("connection failed: ").removeprefix("connection is bad: ") or type(error).__name__
    )


def _sentence(text: str) -> str:
    text = text.strip()
    return text[:1].upper() + text[1:].rstrip(".") + "."

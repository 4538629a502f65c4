"""A database's report in Postmill's words: the same error for every driver, on both sides. Pure.

What a state means is ``model.sqlstates``'s to say; this module says it to people.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from postmill.model.errors import (
    DatabaseUnavailable,
    DuplicateMessage,
    InvalidOption,
    InvalidPayload,
    InvalidQueueName,
    KeyConflict,
    LoginFailed,
    NotFound,
    PayloadTooLarge,
    PostmillError,
    QueueNotFound,
    Refused,
    SchemaMissing,
    TimedOut,
)
from postmill.model.queue.queue_name import RULE
from postmill.model.sqlstates import Condition, condition

if TYPE_CHECKING:
    from collections.abc import Callable


_NEAR = re.compile(r"Did you mean [^?]+\?")
"""How the database asks after a name that is called alike (``postmill._did_you_mean``)."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a driver passed on of a database's error."""

    state: str
    """The SQLSTATE; empty when the error comes from the driver or the network."""
    message: str
    detail: str = ""
    hint: str = ""
    queue: str | None = None
    """The queue that the statement was about, if there is one."""
    server: str = "The database"
    """How to call the server: with its address where that is known. Never with a password."""
    connected: bool = True
    """Whether something may have been sent to the server before."""


def in_words(report: Report) -> PostmillError | None:
    """The error to raise. None when the driver's own error is to be raised: for a conflict that the caller's
    transaction must handle, and for everything unexpected.
    """
    said = _WORDS.get(condition(report.state, report.message))
    return said(report) if said else None


def unexpected(report: Report) -> PostmillError:
    """An error for what has no words of its own: the server's message, and its SQLSTATE."""
    why = sentence(report.detail) if report.detail else f"The database answered with SQLSTATE {report.state}."
    return PostmillError(sentence(report.message), why=why, hint=report.hint)


def unreachable(report: Report) -> DatabaseUnavailable:
    """The server can't be reached, or the connection ended."""
    return DatabaseUnavailable(
        f"{report.server} can't be reached.",
        why=sentence(report.message),
        hint="Check host and port, and that the server runs: `postmill doctor` tries each step."
        + (" Whether a send under way was stored is not known." if report.connected else ""),
    )


def login_failed(report: Report) -> LoginFailed:
    """The server answered, and does not want this user, password or database."""
    return LoginFailed(
        f"{report.server} refused the login.", why=sentence(report.message), hint=_login_hint(report)
    )


def queue_not_made(name: str, refusal: str) -> QueueNotFound:
    """The database has no queue of that name, and the worker's role may not make it."""
    return QueueNotFound(
        f"There is no queue {name!r}, and this worker may not make it.",
        why=sentence(refusal),
        hint=f"As the schema's owner: postmill queue create {name}, then the grants on its tables.",
    )


def no_such_queue(name: str, near: str = "") -> QueueNotFound:
    """The database has no queue of that name. ``near``: the question after one that is called alike."""
    if not RULE.fullmatch(name):
        return QueueNotFound(f"There is no queue {name!r}.", hint=near or "The names: `postmill queue list`.")
    create = f"with `postmill queue create {name}` or client.create_queue({name!r})."
    hint = f"{near} Or create it {create}" if near else f"Create it {create}"
    return QueueNotFound(f"There is no queue {name!r}.", hint=hint)


def sentence(text: str) -> str:
    """A server's message as a sentence: a capital letter first, a full stop last."""
    text = text.strip()
    return text[:1].upper() + text[1:].rstrip(".") + "."


def _login_hint(report: Report) -> str:
    found = condition(report.state)
    of_database = found is Condition.DATABASE_MISSING
    if found is Condition.PASSWORD_REFUSED or ("password" in report.message and not of_database):
        return "Check user and password. Special characters in it must be percent-encoded: a % itself is %25."
    if of_database or "database" in report.message:
        return "Create the database with createdb, or correct its name at the end of the address."
    return "Check the user in the address and the server's pg_hba.conf."


def _full(report: Report) -> PostmillError:
    return DatabaseUnavailable(
        f"{report.server} has no connection left.",
        why=sentence(report.message),
        hint="Close other clients, lower max_pg_connections of the workers, or check with `postmill doctor`"
        " that the server runs with enough max_connections.",
    )


def _read_only(report: Report) -> PostmillError:
    return DatabaseUnavailable(
        f"{report.server} takes no writes.",
        why=sentence(report.message),
        hint="It is a standby, or a failover is under way: name every host in the address, then the one that"
        " takes writes is found. Or default_transaction_read_only is on for the role or the database.",
    )


def _exhausted(report: Report) -> PostmillError:
    return DatabaseUnavailable(
        f"{report.server} has run out of a resource.",
        why=sentence(report.message),
        hint="Look at the server's disk, memory and log.",
    )


def _timed_out(report: Report) -> PostmillError:
    return TimedOut(
        f"{report.server} gave up on the statement.",
        why=sentence(report.message),
        hint="Try again when the server is less busy, or raise the role's statement_timeout or lock_timeout.",
    )


def _forbidden(report: Report) -> PostmillError:
    return PostmillError(
        sentence(report.message),
        why=sentence(report.detail) if report.detail else "The role has no right to do this.",
        hint=report.hint
        or "Grant it to the user in the address, or use the database's owner. See `postmill doctor`.",
    )


def _schema_missing(report: Report) -> PostmillError:
    return SchemaMissing(
        "The database has no Postmill schema, or an older one.",
        why=sentence(report.message),
        hint="Run `postmill migrate`.",
    )


def _table_missing(report: Report) -> PostmillError:
    return _schema_missing(report) if report.queue is None else _queue_missing(report)


def _queue_missing(report: Report) -> PostmillError:
    if report.queue is None:
        return QueueNotFound(sentence(report.message), why=report.detail, hint=report.hint)
    near = _NEAR.match(report.hint)
    return no_such_queue(report.queue, near[0] if near else "")


def _column_missing(report: Report) -> PostmillError:
    if report.queue is None:
        return _schema_missing(report)
    return InvalidOption(
        "Messages of this queue have no headers.",
        why=f"Its tables were made by pgmq before 1.5 ({report.message}).",
        hint="Put the values into the payload, or upgrade pgmq.",
    )


def _character_missing(report: Report) -> PostmillError:
    return InvalidPayload(
        "The payload can't be stored: it contains the character NUL (\\u0000), or one that the"
        " database's encoding does not have.",
        why=sentence(report.detail or report.message),
        hint="Remove it, or encode the text, for example as base64.",
    )


def _unstorable(report: Report) -> PostmillError:
    return InvalidPayload("Postgres does not take the payload.", why=sentence(report.message))


def _too_large(report: Report) -> PostmillError:
    return PayloadTooLarge("The payload is larger than Postgres can hold.", why=sentence(report.message))


def _in_its_own_words(kind: type[PostmillError]) -> Callable[[Report], PostmillError]:
    return lambda report: kind(sentence(report.message), why=report.detail, hint=report.hint)


_WORDS: dict[Condition, Callable[[Report], PostmillError]] = {
    Condition.DISCONNECTED: unreachable,
    Condition.NOT_READY: unreachable,
    Condition.FULL: _full,
    Condition.READ_ONLY: _read_only,
    Condition.EXHAUSTED: _exhausted,
    Condition.TIMED_OUT: _timed_out,
    Condition.LOGIN_REFUSED: login_failed,
    Condition.PASSWORD_REFUSED: login_failed,
    Condition.DATABASE_MISSING: login_failed,
    Condition.FORBIDDEN: _forbidden,
    Condition.SCHEMA_MISSING: _schema_missing,
    Condition.TABLE_MISSING: _table_missing,
    Condition.COLUMN_MISSING: _column_missing,
    Condition.UNSTORABLE: _unstorable,
    Condition.CHARACTER_MISSING: _character_missing,
    Condition.TOO_LARGE: _too_large,
    Condition.QUEUE_MISSING: _queue_missing,
    Condition.INVALID_NAME: _in_its_own_words(InvalidQueueName),
    Condition.INVALID_OPTION: _in_its_own_words(InvalidOption),
    Condition.REFUSED: _in_its_own_words(Refused),
    Condition.NOT_FOUND: _in_its_own_words(NotFound),
    Condition.KEY_TAKEN: _in_its_own_words(DuplicateMessage),
    Condition.RUN_KEY_TAKEN: _in_its_own_words(KeyConflict),
    Condition.UNFIT: _in_its_own_words(InvalidPayload),
}

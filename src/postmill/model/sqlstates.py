"""What an SQLSTATE means to Postmill. Every other place asks here. Pure: knows no driver.

Names and classes are those of appendix A of PostgreSQL's manual.
"""

from __future__ import annotations

import re
from enum import Enum


class Condition(Enum):
    """What a database's report says about the server, the statement or the data."""

    DISCONNECTED = "the session has ended"
    NOT_READY = "the server accepts no sessions just now: it starts, stops or recovers"
    FULL = "the server or the pooler has no connection left"
    READ_ONLY = "the server takes no writes: it is a standby, or a failover is under way"
    EXHAUSTED = "the server has no memory, disk or file left"
    CONTENDED = "another transaction was in the way"
    TIMED_OUT = "the statement was cancelled, or waited too long for a lock"
    LOGIN_REFUSED = "the server refused the login"
    PASSWORD_REFUSED = "the server refused the password"  # noqa: S105 - no password
    DATABASE_MISSING = "the server has no database of that name"
    FORBIDDEN = "the role may not do this"
    SCHEMA_MISSING = "a schema or a function is not there"
    TABLE_MISSING = "a table is not there"
    COLUMN_MISSING = "a column is not there"
    UNSTORABLE = "a value can't be stored as what it is meant to be"
    CHARACTER_MISSING = "a character is NUL, or one that the database's encoding does not have"
    TOO_LARGE = "a value is larger than the server can hold"
    QUEUE_MISSING = "Postmill's own: there is no such queue"
    INVALID_NAME = "Postmill's own: that can't be a queue's name"
    INVALID_OPTION = "Postmill's own: an argument breaks a rule"
    REFUSED = "Postmill's own: it would destroy or conflict with something"
    NOT_FOUND = "Postmill's own: no such thing"
    KEY_TAKEN = "Postmill's own: another message holds the unique key"
    RUN_KEY_TAKEN = "Postmill's own: another run has the key, with other input"
    UNFIT = "Postmill's own: a value does not fit the type that takes it"
    UNEXPECTED = "anything else: a bug, a constraint, a trigger of the user's"


_C = Condition
_STATES: dict[str, Condition] = {
    "25006": _C.READ_ONLY,  # read_only_sql_transaction
    "25P03": _C.DISCONNECTED,  # idle_in_transaction_session_timeout
    "25P04": _C.DISCONNECTED,  # transaction_timeout
    "26000": _C.DISCONNECTED,  # invalid_sql_statement_name: the session lost its prepared statements
    "28P01": _C.PASSWORD_REFUSED,  # invalid_password
    "3D000": _C.DATABASE_MISSING,  # invalid_catalog_name
    "3F000": _C.SCHEMA_MISSING,  # invalid_schema_name
    "42883": _C.SCHEMA_MISSING,  # undefined_function
    "42P01": _C.TABLE_MISSING,  # undefined_table
    "42703": _C.COLUMN_MISSING,  # undefined_column
    "42501": _C.FORBIDDEN,  # insufficient_privilege
    "53300": _C.FULL,  # too_many_connections
    "55P03": _C.TIMED_OUT,  # lock_not_available
    "57014": _C.TIMED_OUT,  # query_canceled: also a statement_timeout
    "57P01": _C.DISCONNECTED,  # admin_shutdown
    "57P02": _C.DISCONNECTED,  # crash_shutdown
    "57P03": _C.NOT_READY,  # cannot_connect_now
    "57P04": _C.DISCONNECTED,  # database_dropped: the next login says what is so
    "57P05": _C.DISCONNECTED,  # idle_session_timeout
    "58000": _C.EXHAUSTED,  # system_error
    "58030": _C.EXHAUSTED,  # io_error
    "22021": _C.UNSTORABLE,  # character_not_in_repertoire
    "22P02": _C.UNSTORABLE,  # invalid_text_representation
    "22P05": _C.CHARACTER_MISSING,  # untranslatable_character
    "54000": _C.TOO_LARGE,  # program_limit_exceeded
    "54001": _C.TOO_LARGE,  # statement_too_complex
    "PM001": _C.QUEUE_MISSING,
    "PM002": _C.INVALID_NAME,
    "PM003": _C.INVALID_OPTION,
    "PM004": _C.INVALID_OPTION,
    "PM005": _C.REFUSED,
    "PM006": _C.NOT_FOUND,
    "PM007": _C.KEY_TAKEN,
    "PM008": _C.NOT_FOUND,
    "PM009": _C.NOT_FOUND,
    "PM010": _C.NOT_FOUND,
    "PM011": _C.RUN_KEY_TAKEN,
    "PM012": _C.REFUSED,
    "PM013": _C.NOT_FOUND,
    "PM014": _C.NOT_FOUND,
    "PM015": _C.UNFIT,
}
_CLASSES: dict[str, Condition] = {
    "08": _C.DISCONNECTED,  # connection_exception; PgBouncer says 08P01 also when it is full
    "28": _C.LOGIN_REFUSED,  # invalid_authorization_specification
    "40": _C.CONTENDED,  # transaction_rollback
    "53": _C.EXHAUSTED,  # insufficient_resources
}
_ROW_CLASSES = frozenset(
    {
        "09",  # triggered action exception
        "21",  # cardinality violation
        "22",  # data exception, also text that the database's encoding lacks
        "23",  # integrity constraint violation
        "27",  # triggered data change violation
        "44",  # with check option violation
        "54",  # program limit exceeded: a value too large for an index, for example
        "P0",  # raised in PL/pgSQL
    }
)
_COLUMNS = frozenset({"msg_id", "read_ct", "enqueued_at", "vt", "message", "headers", "last_read_at"})
"""What a row brings along: what another column of an archive must have is not the row's affair."""
_POOLER_FULL = re.compile(r"max client(s| connections) reached", re.IGNORECASE)
"""Supavisor's words. It says them as XX000, which is an internal error elsewhere."""

_REFUSED_BY_POOLER = re.compile(
    r"(password|SASL) authentication failed|no such (user|database)", re.IGNORECASE
)
"""PgBouncer's words for a login it does not want. It says them as 08P01, as it says that it is full."""

_NUMBER_OF_A_TABLE = re.compile(r"[\"'»„«“](\d+)[\"'«“»”]")
"""A table that is dropped between the look for its name and the statement on it is written there as its
number, and said to be a syntax error, in any language: no statement of ours has a number in that place.
"""

_NOT_READY = re.compile(
    r"starting up|shutting down|recovery|not yet accepting|too many|remaining connection slots|reserved"
)
"""What a server says when it accepts no sessions just now. Needed for libpq, which passes on no SQLSTATE of a
refused login.
"""

_PASSING = frozenset(
    {_C.DISCONNECTED, _C.NOT_READY, _C.FULL, _C.READ_ONLY, _C.EXHAUSTED, _C.CONTENDED, _C.TIMED_OUT}
)
_BEFOREHAND = frozenset({"08001", "08004", "08P01", "26000"})
"""No connection was made, or a pooler found no server behind it."""
_LOGINS = frozenset({_C.LOGIN_REFUSED, _C.PASSWORD_REFUSED, _C.DATABASE_MISSING})
_ABSENCES = frozenset({_C.SCHEMA_MISSING, _C.TABLE_MISSING, _C.QUEUE_MISSING})
_SESSION_SURVIVES = frozenset({_C.CONTENDED, _C.TIMED_OUT})


def condition(state: str, text: str = "") -> Condition:
    """What ``state`` means. ``text`` is the server's message, for reports whose state says too little."""
    if state == "XX000" and _POOLER_FULL.search(text):
        return _C.FULL
    if state == "42601" and _NUMBER_OF_A_TABLE.search(text):
        return _C.QUEUE_MISSING
    return _STATES.get(state) or _CLASSES.get(state[:2]) or _C.UNEXPECTED


def state_of(error: BaseException) -> str:
    """The SQLSTATE that an error of any driver carries; empty: it does not come from a server."""
    return str(getattr(error, "sqlstate", None) or getattr(error, "pgcode", None) or "")


def is_ours(state: str) -> bool:
    """Whether Postmill's own SQL has raised it on purpose."""
    return state.startswith("PM")


def refuses_login(found: Condition) -> bool:
    """Whether the server did not let the session in, so that no statement was sent."""
    return found in _LOGINS


def pooler_refuses_login(state: str, text: str) -> bool:
    """Whether a pooler, and not the server behind it, did not want the user, the password or the database.
    Asked for words only: workers take it for an outage, because a pooler may be given its users later.
    """
    return state == "08P01" and _REFUSED_BY_POOLER.search(text) is not None


def says_missing(found: Condition) -> bool:
    """Whether a queue's table or function, or a schema, is not there."""
    return found in _ABSENCES


def refuses_for_now(text: str) -> bool:
    """Whether the text of a refused login says that a later one may succeed. Used only without an SQLSTATE,
    because the text is in the server's language.
    """
    return _NOT_READY.search(text) is not None


def passes(found: Condition) -> bool:
    """Whether the same statement may succeed later, without any change to it."""
    return found in _PASSING


def concerns_the_row(state: str) -> bool:
    """Whether a row's data, a constraint or a trigger was complained of: another row may pass."""
    return state[:2] in _ROW_CLASSES


def meets_every_row(error: BaseException) -> bool:
    """Whether an integrity error is the table's and not the row's: a partitioned table has no partition for
    what comes now, or a column that a user has added must have a value.
    """
    state = state_of(error)
    if state == "23514":  # check_violation: of a constraint, unless no partition was found
        return bool(getattr(error, "table_name", None)) and not getattr(error, "constraint_name", None)
    return state == "23502" and getattr(error, "column_name", None) not in _COLUMNS  # not_null_violation


def may_come_from_one_row(state: str) -> bool:
    """Whether a statement over several rows may have failed for one row's sake, its damaged storage included:
    the same over fewer rows may pass.
    """
    return concerns_the_row(state) or state[:2] == "XX"


def follows_the_transaction(state: str) -> bool:
    """Whether the transaction was in no state for the statement, because of what ran in it before."""
    return state[:2] == "25"


def may_follow_the_row(state: str) -> bool:
    """Whether a statement can meet this again and again because of what it does: it takes too long, is in
    conflict, needs more than there is, or ends its session. What comes before any statement can't.
    """
    found = condition(state)
    return found in {_C.DISCONNECTED, _C.EXHAUSTED, _C.CONTENDED, _C.TIMED_OUT} and state not in _BEFOREHAND


def ends_session(state: str, text: str = "") -> bool:
    """Whether the session that reported it should not be used again."""
    found = condition(state, text)
    if state in {"53100", "53200"}:  # disk_full, out_of_memory: of the statement, not of the session
        return False
    return passes(found) and found not in _SESSION_SURVIVES

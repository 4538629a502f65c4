"""Tells an expected failure of a database (restart, failover, overload, deadlock) from a bug. Pure: looks at
the error only.
"""

from __future__ import annotations

import re

import asyncpg

PASSING_SQLSTATES = frozenset(
    {
        "25006",  # read_only_sql_transaction: a failover is under way
        "40001",  # serialization_failure
        "40P01",  # deadlock_detected
        "53000",  # insufficient_resources
        "53100",  # disk_full
        "53200",  # out_of_memory
        "53300",  # too_many_connections
        "55P03",  # lock_not_available
        "57014",  # query_canceled: a statement timeout of the server's
        "57P01",  # admin_shutdown
        "57P02",  # crash_shutdown
        "57P03",  # cannot_connect_now
        "57P05",  # idle_session_timeout
        "58000",  # system_error
        "58030",  # io_error
    }
)
"""Conditions that pass without anybody changing the statement (names from appendix A of PostgreSQL's manual).
"""

_FULL = re.compile(r"max client(s| connections) reached", re.IGNORECASE)
"""Supavisor's words for it, as XX000, which is an internal error elsewhere."""

_KEEPS_CONNECTION = frozenset({"40001", "40P01", "53100", "53200", "55P03", "57014"})


def is_passing(error: BaseException) -> bool:
    """Whether the same statement may succeed later: an outage, an overload, a lock."""
    if isinstance(error, asyncpg.PostgresError):
        state = str(getattr(error, "sqlstate", "") or "")
        if state == "XX000":
            return _FULL.search(str(error)) is not None
        return state in PASSING_SQLSTATES or state.startswith("08")
    if isinstance(error, ValueError):  # asyncpg's own word for an argument it can't encode
        return False
    if isinstance(error, asyncpg.InternalClientError):  # the session ended between two steps of one statement
        return True
    return isinstance(
        error, OSError | asyncpg.InterfaceError | EOFError | asyncpg.TargetServerAttributeNotMatched
    )


def refuses_login(error: BaseException) -> bool:
    """Whether the server did not let us in: no statement was sent. Says nothing about whether that passes."""
    state = str(getattr(error, "sqlstate", "") or "")
    return state.startswith("28") or state == "3D000"  # invalid_authorization, invalid_catalog_name


def breaks_connection(error: BaseException) -> bool:
    """Whether the connection that raised it should not be used again."""
    return is_passing(error) and str(getattr(error, "sqlstate", "")) not in _KEEPS_CONNECTION

"""Tells an expected failure of a database (restart, failover, overload, deadlock) from a bug, for the errors
that asyncpg raises. What an SQLSTATE means is ``model.sqlstates``'s to say. Looks at the error only.
"""

from __future__ import annotations

import asyncpg

from postmill.model import sqlstates
from postmill.model.sqlstates import Condition, condition, ends_session, passes, state_of

_ALTERED = (asyncpg.InvalidCachedStatementError, asyncpg.OutdatedSchemaCacheError)
"""A table was altered between two uses of a prepared statement. asyncpg prepares it anew, once; another
change in between meets the statement again. Their SQLSTATE, 0A000, means other things too.
"""


def is_passing(error: BaseException) -> bool:
    """Whether the same statement may succeed later: an outage, an overload, a lock."""
    if isinstance(error, _ALTERED):
        return True
    if isinstance(error, asyncpg.PostgresError):
        return passes(condition_of(error))
    if isinstance(error, ValueError):  # asyncpg's own word for an argument it can't encode
        return False
    if isinstance(error, asyncpg.InternalClientError):  # the session ended between two steps of one statement
        return True
    return isinstance(
        error, OSError | asyncpg.InterfaceError | EOFError | asyncpg.TargetServerAttributeNotMatched
    )


def refuses_login(error: BaseException) -> bool:
    """Whether the server refused the login, so that no statement was sent. It may be temporary or not."""
    return sqlstates.refuses_login(condition_of(error))


def breaks_connection(error: BaseException) -> bool:
    """Whether the connection that raised it should not be used again."""
    if isinstance(error, _ALTERED):
        return False
    if isinstance(error, asyncpg.PostgresError):
        return ends_session(state_of(error), str(error))
    return is_passing(error)


def condition_of(error: BaseException) -> Condition:
    """What the server reported; ``UNEXPECTED`` for an error that no server reports."""
    return condition(state_of(error), str(error))

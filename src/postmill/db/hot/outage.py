"""Tells an expected failure of a database (restart, failover, overload, deadlock) from a bug, for the errors
that asyncpg raises. What an SQLSTATE means is ``model.sqlstates``'s to say. Looks at the error only.

``InvalidCachedStatementError`` and ``OutdatedSchemaCacheError``: a table was altered between two uses of a
prepared statement. asyncpg prepares it anew, once; another change in between meets the statement again. Their
SQLSTATE, 0A000, means other things too.
"""

from __future__ import annotations

import asyncpg

from postmill.model import sqlstates
from postmill.model.errors import QueueNotFound
from postmill.model.sqlstates import Condition, condition, ends_session, passes, state_of


def is_passing(error: BaseException) -> bool:
    """Whether the same statement may succeed later: an outage, an overload, a lock."""
    match error:
        case asyncpg.InvalidCachedStatementError() | asyncpg.OutdatedSchemaCacheError():
            return True
        case asyncpg.PostgresError():
            return passes(condition_of(error))
        case ValueError():  # asyncpg's own word for an argument it can't encode
            return False
        case asyncpg.InternalClientError():  # the session ended between two steps of one statement
            return True
        case OSError() | EOFError() | asyncpg.InterfaceError() | asyncpg.TargetServerAttributeNotMatched():
            return True
        case _:
            return False


def refuses_login(error: BaseException) -> bool:
    """Whether the server refused the login, so that no statement was sent. It may be temporary or not."""
    return sqlstates.refuses_login(condition_of(error))


def is_missing(error: BaseException) -> bool:
    """Whether the queue, or Postmill's own schema, is not there."""
    return isinstance(error, QueueNotFound) or sqlstates.says_missing(condition_of(error))


def breaks_connection(error: BaseException) -> bool:
    """Whether the connection that raised it should not be used again."""
    match error:
        case asyncpg.InvalidCachedStatementError() | asyncpg.OutdatedSchemaCacheError():
            return False
        case asyncpg.PostgresError():
            return ends_session(state_of(error), str(error))
        case _:
            return is_passing(error)


def condition_of(error: BaseException) -> Condition:
    """What the server reported; ``UNEXPECTED`` for an error that no server reports."""
    return condition(state_of(error), str(error))

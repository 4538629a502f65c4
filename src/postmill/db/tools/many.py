"""Operations: one thing done to many messages or dead letters of a queue. Thin calls of Postmill's SQL
functions.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeAlias

import psycopg

from postmill.model.search.condition import condition as condition_of
from postmill.model.search.condition import fixed
from postmill.model.search.language import parse
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import Mapping

    from postmill.db.tools.connect import Connection
    from postmill.model.search.filter import Filter

Row: TypeAlias = dict[str, Any]
_IN_THE_WAY = (
    psycopg.errors.LockNotAvailable,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
)


def searched(connection: Connection, text: str) -> Filter:
    """What a search means now, by the server's clock. Raises ``InvalidSearch``."""
    return fixed(parse(text), _one(connection, "search_moment", 0)["at"])


def matching(connection: Connection, kind: str, queue: str, text: str) -> dict[str, Any]:
    """The filter of an operation that is about what a search finds. Raises ``InvalidSearch``."""
    return condition_of(searched(connection, text), kind, queue)


def plan(
    connection: Connection, kind: str, queue: str, condition: Mapping[str, Any], target: str | None = None
) -> Row:
    """How many there are (``matching``), up to which id (``upper_id``), and whether all were looked at
    (``complete``). ``target`` is where a move goes. Changes nothing.
    """
    return _one(connection, "operation_plan", kind, queue, json.dumps(condition), target)


def start(
    connection: Connection,
    kind: str,
    queue: str,
    condition: Mapping[str, Any],
    planned: Row,
    per_second: float | None,
    target: str | None = None,
) -> int:
    """Ask for what was ``planned``; returns the operation's id."""
    expected = planned["matching"] if planned["complete"] else None
    given = kind, queue, json.dumps(condition), per_second, planned["upper_id"], expected, target
    return int(_one(connection, "operation_start", *given)["operation_id"])


def take_page(connection: Connection, operation_id: int) -> float | None:
    """Do the next page of it here. Returns in how many seconds the next one is due; None when none was due
    now, or another process is at it.
    """
    try:
        row = connection.execute(statement("operation_take"), (operation_id,)).fetchone()
    except _IN_THE_WAY:
        return None
    return None if row is None else float(row["next_in_s"])


def abort(connection: Connection, operation_id: int) -> str:
    """End it where it is. Returns its state: ``aborted``, or how it had ended before."""
    return str(_one(connection, "operation_abort", operation_id)["state"])


def decide(connection: Connection, fingerprint: str, state: str) -> None:
    """Write down that an error is ``open``, ``ignored`` or ``resolved``."""
    _one(connection, "error_state", fingerprint, state)


def moment_before(connection: Connection, seconds: float) -> str:
    """So long ago by the server's clock, as a filter has it."""
    return str(_one(connection, "moment_before", seconds)["moment"])


def _one(connection: Connection, name: str, *arguments: object) -> Row:
    return connection.execute(statement(name), arguments).fetchone() or {}

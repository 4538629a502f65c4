"""Runs of flows and their steps, as pages show them: without what steps have given unless one asks for a
step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from postmill.db.tools import runs
from postmill.model.errors import NotFound
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from postmill.db.tools.connect import Connection

Row: TypeAlias = dict[str, Any]
MOST_ITEMS = 50
"""Failed items of a map that are shown. Fifty: more of them have the same few reasons."""


def progress(connection: Connection, run_id: int) -> Row:
    """A run with its ``input`` and ``output``, its ``steps`` and what it ``waits`` for. Raises
    :class:`NotFound`.
    """
    return runs.row(connection, run_id) | {
        "steps": steps(connection, run_id),
        "waits": runs.waits(connection, run_id),
    }


def steps(connection: Connection, run_id: int) -> list[Row]:
    """The steps of a run, with what they need and without what they have given."""
    return connection.execute(statement("read_run_progress"), (run_id,)).fetchall()


def step(connection: Connection, run_id: int, name: str) -> Row:
    """One step with its ``input``, ``output`` and, of a map, its ``failed_items``. Raises
    :class:`NotFound`.
    """
    found = next((row for row in steps(connection, run_id) if row["step"] == name), None)
    if found is None:
        raise NotFound(f"Run {run_id} has no step {name!r}.", hint=f"postmill run show {run_id}")
    given = connection.execute(statement("read_run_step"), (run_id, name)).fetchone()
    failed = connection.execute(statement("read_run_items"), (run_id, name, MOST_ITEMS)).fetchall()
    return {**found, **(given or {"input": None, "output": None}), "failed_items": failed}


def events(connection: Connection, run_id: int, *, limit: int) -> list[Row]:
    """What a run has said, the latest first. Raises :class:`NotFound`."""
    runs.row(connection, run_id)
    return connection.execute(statement("read_run_events"), (run_id, limit)).fetchall()

"""Schedules as the command line reads and changes them: thin calls of Postmill's SQL functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from postmill.model.errors import NotFound
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from postmill.db.tools.connect import Connection


def listed(connection: Connection) -> list[dict[str, Any]]:
    """Every schedule, in order of name."""
    return connection.execute(statement("read_schedules"), (None,)).fetchall()


def one(connection: Connection, name: str) -> dict[str, Any]:
    """The schedule of that name. Raises :class:`NotFound`."""
    found = connection.execute(statement("read_schedules"), (name,)).fetchone()
    if found is None:
        raise NotFound(f"There is no schedule {name!r}.", hint="postmill schedule list")
    return found


def runs(connection: Connection, name: str, *, limit: int) -> list[dict[str, Any]]:
    """Its last runs, newest first. Raises :class:`NotFound`."""
    one(connection, name)
    return connection.execute(statement("read_schedule_runs"), (name, limit)).fetchall()


def put(connection: Connection, name: str, *values: object) -> None:
    """Make or change a schedule; ``values`` as the statement ``schedule_set`` takes them after the name."""
    connection.execute(statement("schedule_set"), (name, *values))


def pause(connection: Connection, name: str) -> None:
    """Let it fire no more. Raises :class:`NotFound`."""
    connection.execute(statement("schedule_pause"), (name,))


def resume(connection: Connection, name: str) -> None:
    """Let it fire again, from its next tick on. Raises :class:`NotFound`."""
    connection.execute(statement("schedule_resume"), (name,))


def remove(connection: Connection, name: str) -> None:
    """Remove it with the list of its runs. Raises :class:`NotFound`."""
    connection.execute(statement("schedule_remove"), (name,))


def run_now(connection: Connection, name: str) -> int:
    """Fire it now; returns the id of the message. Raises :class:`NotFound`."""
    row = connection.execute(statement("schedule_run"), (name,)).fetchone()
    return int(row["msg_id"]) if row else 0

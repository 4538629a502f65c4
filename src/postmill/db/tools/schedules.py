"""Schedules as the command line reads and changes them: thin calls of Postmill's SQL functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from postmill.model.errors import NotFound
from postmill.model.finding import Finding
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from postmill.db.tools.connect import Connection
    from postmill.model.config.address import Address

LATE_S = 60.0
"""A tick that has not fired after so many seconds is reported. A scheduler looks every 15 s at least, and
fires a tick within one: after a minute there is none.
"""


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


def put_sql(connection: Connection, name: str, *values: object) -> None:
    """The same for a SQL command; ``values`` as the statement ``schedule_set_sql`` takes them."""
    connection.execute(statement("schedule_set_sql"), (name, *values))


def pause(connection: Connection, name: str) -> None:
    """Let it fire no more. Raises :class:`NotFound`."""
    connection.execute(statement("schedule_pause"), (name,))


def resume(connection: Connection, name: str) -> None:
    """Let it fire again, from its next tick on. Raises :class:`NotFound`."""
    connection.execute(statement("schedule_resume"), (name,))


def remove(connection: Connection, name: str) -> None:
    """Remove it with the list of its runs. Raises :class:`NotFound`."""
    connection.execute(statement("schedule_remove"), (name,))


def run_now(connection: Connection, name: str) -> int | None:
    """Fire it now; returns the id of the message, None for a SQL command. Raises :class:`NotFound`."""
    row = connection.execute(statement("schedule_run"), (name,)).fetchone()
    return row["msg_id"] if row else None


def checked(connection: Connection, _: Address) -> Finding:
    """Whether every schedule that is not paused fires: a check of ``postmill doctor``."""
    found = connection.execute(statement("check_schedules"), (LATE_S,)).fetchall()
    if not found:
        return Finding("schedules", "pass", "every schedule fires, or is paused")
    broken = [row for row in found if row["problem"] is not None]
    if broken:
        what = f"{broken[0]['name']}: {broken[0]['problem']}"
        fix = (
            f"postmill schedule add {broken[0]['name']} ..., or postmill schedule remove {broken[0]['name']}"
        )
        return Finding("schedules", "warn", what, fix)
    names = ", ".join(row["name"] for row in found[:3])
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    fix = "Run one of these, with schedules on: postmill worker run, postmill serve or postmill dev"
    return Finding("schedules", "warn", f"nothing fires {names}{more}", fix)

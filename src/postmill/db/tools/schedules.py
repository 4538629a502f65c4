"""Schedules as the command line reads them, and whether they fire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg

from postmill.model.database_errors import sentence
from postmill.model.errors import InvalidOption, NotFound
from postmill.model.finding import Finding
from postmill.model.option_rules import did_you_mean
from postmill.model.schedule.firing import LATE_S
from postmill.model.schedule.recurrence import NEVER, recurrence, zone_of
from postmill.model.sqlstates import state_of
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from postmill.db.tools.connect import Connection
    from postmill.model.config.address import Address

READ = "PMOK0"
"""What a command raises that was read and not run (``command_syntax``)."""
SHOWN = 30
"""Characters of a command that are shown from its error on. Thirty: a few words, by which it is found."""


def listed(connection: Connection) -> list[dict[str, Any]]:
    """Every schedule, in order of name."""
    return [_read(row) for row in connection.execute(statement("read_schedules"), (None,)).fetchall()]


def pressing(connection: Connection, *, limit: int) -> list[dict[str, Any]]:
    """Schedules that want a look: those with trouble, then those whose tick comes next."""
    return [_read(row) for row in connection.execute(statement("read_top_schedules"), (limit,)).fetchall()]


def one(connection: Connection, name: str) -> dict[str, Any]:
    """The schedule of that name. Raises :class:`NotFound`."""
    found = connection.execute(statement("read_schedules"), (name,)).fetchone()
    if found is None:
        known = [row["name"] for row in connection.execute(statement("complete_schedules"))]
        raise NotFound(
            f"There is no schedule {name!r}.", hint=did_you_mean(name, known) or "postmill schedule list"
        )
    return _read(found)


def check_syntax(connection: Connection, command: str) -> None:
    """Raises :class:`InvalidOption` for SQL that the server can't read. Nothing of it is run."""
    before = statement("command_syntax")
    try:
        connection.execute(f"{before}{command}".encode())
    except psycopg.errors.SyntaxError as error:
        place = int(error.diag.statement_position or 0) - len(before)
        near = command[max(0, place - 1) :][:SHOWN].strip()
        raise InvalidOption(
            "The SQL command has a syntax error.",
            why=sentence(error.diag.message_primary or "") + (f" It is at: {near}" if near else ""),
            hint="Try it first: postmill db psql",
        ) from error
    except psycopg.Error as error:
        if state_of(error) != READ:
            raise


def _read(row: dict[str, Any]) -> dict[str, Any]:
    """A schedule as the scheduler will read it, when none has done so yet."""
    changed_at = row.pop("changed_at")
    if row["state"] == "paused":
        row["next_at"] = None
    elif row["next_at"] is None and row["problem"] is None:
        try:
            found = recurrence(row["recurrence"]).after(changed_at, zone_of(row["timezone"]))
            row["next_at"] = found if found < NEVER else None
        except InvalidOption as error:
            row |= {"state": "broken", "problem": str(error)}
    return row


def runs(connection: Connection, name: str, *, limit: int) -> list[dict[str, Any]]:
    """Its last runs, newest first. Raises :class:`NotFound`."""
    one(connection, name)
    return connection.execute(statement("read_schedule_runs"), (name, limit)).fetchall()


def checked(connection: Connection, _: Address) -> Finding:
    """Whether every schedule that is not paused fires, and what it fires succeeds: a check of
    ``postmill doctor``.
    """
    found = connection.execute(statement("check_schedules"), (LATE_S,)).fetchall()
    for trouble, told in _TROUBLES.items():
        of_it = [row for row in found if row["trouble"] == trouble]
        if of_it:
            return Finding("schedules", "warn", *told(of_it))
    return Finding("schedules", "pass", "every schedule fires, or is paused")


def _broken(rows: list[dict[str, Any]]) -> tuple[str, str]:
    name = rows[0]["name"]
    fix = f"postmill schedule add {name} ..., or postmill schedule remove {name}"
    return f"{name}: {rows[0]['problem']}", fix


def _late(rows: list[dict[str, Any]]) -> tuple[str, str]:
    fix = "Run one of these, with schedules on: postmill worker run, postmill serve or postmill dev"
    return f"nothing fires {_names(rows)}", fix


def _failing(rows: list[dict[str, Any]]) -> tuple[str, str]:
    first, others = rows[0], rows[1:]
    more = f"; so did that of {_names(others)}" if others else ""
    what = f"the last run failed of {first['name']}: {first['last_error']}{more}"
    return what, f"postmill schedule runs {first['name']}"


def _left_behind(rows: list[dict[str, Any]]) -> tuple[str, str]:
    first = rows[0]
    what = f"no worker {first['declared_by']} runs, whose code declares {_names(rows)}"
    fix = f"When its code is gone or has another name: postmill schedule remove {first['name']}"
    return what, fix


_TROUBLES = {"broken": _broken, "late": _late, "failing": _failing, "left behind": _left_behind}
"""What the statement ``check_schedules`` finds, the worst first: what is wrong, and what to do."""


def _names(rows: list[dict[str, Any]]) -> str:
    more = f" and {len(rows) - 3} more" if len(rows) > 3 else ""
    return ", ".join(row["name"] for row in rows[:3]) + more

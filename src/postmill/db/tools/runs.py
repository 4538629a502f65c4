"""Flows and their runs as the command line reads and steers them: thin calls of Postmill's SQL.

Errors are the database's; :func:`postmill.db.tools.connect.translated` turns them into Postmill's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from postmill.model.errors import NotFound, Refused
from postmill.model.finding import Finding
from postmill.model.option_rules import did_you_mean
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from postmill.db.tools.connect import Connection
    from postmill.model.config.address import Address

Row: TypeAlias = dict[str, Any]
Action: TypeAlias = Literal["cancel", "pause", "resume", "retry"]
OVERDUE_S = 60.0
"""A run that goes on so long after its deadline, in seconds, is reported. A process that runs flows ends it
within 5 s: after a minute there is none.
"""
_STATEMENTS = {"cancel": "run_cancel", "pause": "run_pause", "resume": "run_resume", "retry": "run_retry"}
MOST_STEERED = 10_000
"""The most runs that one command steers. They are one transaction: to retry 10,000 takes half a minute."""


MOST_FAILURES = 20
"""The most failures of each kind that one run is shown with. 20: more push its steps off the screen."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which runs are meant: those that match all that is given."""

    flow: str | None = None
    state: str | None = None
    tag: str | None = None
    older_than_s: float | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is given."""
        return self == Filter()


def flows(connection: Connection, *, limit: int, after: str = "") -> list[Row]:
    """The flows whose names come behind ``after``, in order of name."""
    return connection.execute(statement("read_flows"), (after, limit)).fetchall()


def flow(connection: Connection, name: str, version: int | None = None) -> Row:
    """A version of a flow with its shape; the newest without ``version``. Raises :class:`NotFound`."""
    found = connection.execute(statement("read_flow_version"), (name, version)).fetchone()
    if found is None:
        raise _no_flow(connection, name, version)
    return found


def _no_flow(connection: Connection, name: str, version: int | None) -> NotFound:
    known = [row["flow"] for row in connection.execute(statement("complete_flows"))]
    if name in known:
        return NotFound(f"Flow {name!r} has no version {version}.", hint=f"postmill flow show {name}")
    return NotFound(
        f"There is no flow {name!r}.",
        why="No program has registered it in this database.",
        hint=did_you_mean(name, known) or "postmill flow list",
    )


def listed(
    connection: Connection, wanted: Filter, *, blocked: bool, limit: int, before: int | None = None
) -> list[Row]:
    """The newest runs, with ids below ``before``."""
    given = (wanted.flow, wanted.state, wanted.tag, blocked, limit, before)
    return connection.execute(statement("read_runs"), given).fetchall()


def one(connection: Connection, run_id: int) -> Row:
    """A run with its input, and its ``steps``. Raises :class:`NotFound`."""
    return row(connection, run_id) | {"steps": steps(connection, run_id)}


def row(connection: Connection, run_id: int) -> Row:
    """A run with its input. Raises :class:`NotFound`."""
    found = connection.execute(statement("read_run"), (run_id,)).fetchone()
    if found is None:
        raise NotFound(
            f"There is no run {run_id}.",
            why="It was never started, or it ended so long ago that it was deleted.",
            hint="postmill run list",
        )
    return found


def steps(connection: Connection, run_id: int) -> list[Row]:
    """The steps of a run."""
    return connection.execute(statement("read_run_steps"), (run_id,)).fetchall()


def failures(connection: Connection, run_id: int) -> list[Row]:
    """Items of its maps that have failed, and attempts that will be repeated."""
    return connection.execute(statement("read_run_failures"), (run_id, MOST_FAILURES)).fetchall()


def changes(connection: Connection, run_id: int, since: str | None) -> tuple[str, list[Row]]:
    """What has changed since the last read, and what to give to the next one."""
    row = _one(connection, "read_run_changes", run_id, since)
    return row["next"], row["changes"]


def waits(connection: Connection, run_id: int) -> list[Row]:
    """The signals that a run waits for, each with its ``step`` (of a workflow None)."""
    return connection.execute(statement("read_run_waits"), (run_id,)).fetchall()


def act(connection: Connection, action: Action, run_id: int, reason: str | None) -> bool:
    """Do it to one run; returns whether anything was done. Only ``cancel`` and ``pause`` give a reason."""
    given = (run_id, reason) if action in {"cancel", "pause"} else (run_id,)
    return bool(_one(connection, _STATEMENTS[action], *given)["done"])


def steer(
    connection: Connection,
    action: Action,
    wanted: Filter,
    reason: str | None,
    *,
    dry_run: bool,
    expected: int | None = None,
) -> list[Row]:
    """Do it to all runs that match and can do it, in one transaction; with ``dry_run`` only say which. Raises
    :class:`Refused`, and does nothing, when they are not as many as ``expected``.
    """
    given = (
        action,
        wanted.flow,
        wanted.state,
        wanted.tag,
        wanted.older_than_s,
        reason,
        dry_run,
        MOST_STEERED,
    )
    with connection.transaction():
        found = connection.execute(statement("runs_steer"), given).fetchall()
        if expected not in {None, len(found)}:
            raise Refused(
                f"Nothing was done: by now {len(found):,} runs match, and {expected:,} were expected.",
                hint="Count them again.",
            )
    return found


def fork(
    connection: Connection, run_id: int, step: str | None, given: str | None, outputs: str | None
) -> int:
    """Start a run that is as this one outside of ``step`` and what needs it; returns its id. ``given``, its
    input, and ``outputs`` by step are JSON.
    """
    return int(_one(connection, "run_fork", run_id, step, given, outputs)["run_id"])


def signal(connection: Connection, run_id: int, name: str, value: str, *, many: bool) -> None:
    """Send a run a signal; ``value`` is JSON. Raises :class:`Refused` when the run does not take it."""
    if not _one(connection, "run_signal", run_id, name, value, many)["done"]:
        raise Refused(
            f"Run {run_id} did not take the signal {name}.",
            why="It has ended, or has been sent this signal before: the first one counts.",
            hint=f"postmill run show {run_id}",
        )


def awaited_signal(connection: Connection, run_id: int, step: str | None) -> str:
    """The signal that a run waits for. Raises :class:`NotFound`; :class:`Refused` when there are several."""
    one(connection, run_id)
    found = waits(connection, run_id)
    names = sorted({row["signal"] for row in found if step in (None, row["step"])})
    if not names:
        near = "" if step is None else did_you_mean(step, [row["step"] for row in found if row["step"]])
        raise NotFound(
            f"Run {run_id} waits for no approval{'' if step is None else f' in step {step}'}.",
            hint=near or f"postmill run show {run_id}",
        )
    if len(names) > 1:
        raise Refused(
            f"Run {run_id} waits for several signals: {', '.join(names)}.",
            hint=f"postmill run signal {run_id} {names[0]} true",
        )
    return str(names[0])


def exported(connection: Connection, run_id: int) -> str:
    """A run as a document."""
    return str(_one(connection, "run_export", run_id)["document"])


def imported(connection: Connection, document: str) -> int:
    """Make a run of a document; returns its id."""
    return int(_one(connection, "run_import", document)["run_id"])


def checked(connection: Connection, _: Address) -> Finding:
    """Whether every run goes on or ends at its deadline, and not all fail: a check of ``postmill doctor``."""
    found = connection.execute(statement("check_flows"), (OVERDUE_S,)).fetchall()
    for trouble, told in _TROUBLES.items():
        of_it = [row for row in found if row["trouble"] == trouble]
        if of_it:
            return Finding("flows", "warn", *told(of_it))
    return Finding("flows", "pass", "no run lacks a worker, is overdue or fails again and again")


def _blocked(rows: list[Row]) -> tuple[str, str]:
    what = "; ".join(f"{row['flow']}: {row['why']}, {_runs(row)}" for row in rows[:3])
    return (
        what,
        "Run a worker with the program that has that version, or cancel the runs: postmill run cancel",
    )


def _overdue(rows: list[Row]) -> tuple[str, str]:
    what = ", ".join(f"{row['flow']} ({_runs(row)})" for row in rows[:3])
    return f"nothing ends runs at their deadlines: {what}", "Run a worker of the flow: postmill worker run"


def _failing(rows: list[Row]) -> tuple[str, str]:
    first = rows[0]
    more = f"; so did those of {', '.join(row['flow'] for row in rows[1:4])}" if rows[1:] else ""
    return (
        f"the last three runs of {first['flow']} failed: {first['why']}{more}",
        f"postmill run show {first['run_id']}",
    )


_TROUBLES = {"blocked": _blocked, "overdue": _overdue, "failing": _failing}
"""What the statement ``check_flows`` finds, the worst first: what is wrong, and what to do."""


def _runs(row: Row) -> str:
    return f"run {row['run_id']}" if row["runs"] == 1 else f"{row['runs']} runs, the first {row['run_id']}"


def _one(connection: Connection, name: str, *arguments: object) -> Row:
    row = connection.execute(statement(name), arguments).fetchone()
    return row or {}

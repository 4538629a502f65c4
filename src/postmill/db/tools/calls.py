"""Calls as the command line reads and asks for them: thin calls of Postmill's SQL functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from postmill.model.errors import NotFound
from postmill.model.finding import Finding
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from postmill.db.tools.connect import Connection
    from postmill.model.config.address import Address

LATE_S = 60.0
"""A call that has waited for so many seconds is reported. A process that makes calls takes one within 30 s:
after a minute there is none, or its hosts are too slow.
"""
ENDED = ("answered", "failed", "unknown")
"""The states of calls that have ended, as the view ``postmill.call_list`` names them."""
HOSTS = 10
"""Hosts that are shown: what fits below the other tables."""


def listed(
    connection: Connection, *, state: str | None, limit: int, after: tuple[bool, int] | None = None
) -> list[dict[str, Any]]:
    """The last calls, newest first, those that have not ended before the others; ``after``: those behind a
    place that :func:`place` gave.
    """
    given = (state, None, limit, *(after or (None, None)))
    return connection.execute(statement("read_calls"), given).fetchall()


def place(call: dict[str, Any]) -> tuple[bool, int]:
    """Where a call stands in the list: whether it has ended, and its id."""
    return call["state"] in ENDED, call["call_id"]


def one(connection: Connection, call_id: int) -> dict[str, Any]:
    """A call and its answer, if there is one. Raises :class:`NotFound`."""
    found = connection.execute(statement("read_calls"), (None, call_id, 1, None, None)).fetchone()
    if found is None:
        raise NotFound(f"There is no call {call_id}.", why="Answers are kept for six hours.")
    answer = connection.execute(statement("read_call_answer"), (call_id,)).fetchone()
    return {**found, **(answer or {})}


def hosts(connection: Connection) -> list[dict[str, Any]]:
    """Hosts with calls that run, wait, or have failed lately; those that fail most first."""
    return connection.execute(statement("read_call_hosts"), (HOSTS,)).fetchall()


def create_queue(connection: Connection, name: str, *values: object) -> None:
    """Make or change a call queue; ``values`` as the statement takes them after the name."""
    connection.execute(statement("call_queue_create"), (name, *values))


def grant_secret(connection: Connection, secret: str, role: str) -> None:
    """Let a role have a secret filled into its calls."""
    connection.execute(statement("secret_grant"), (secret, role))


def revoke_secret(connection: Connection, secret: str, role: str) -> None:
    """Take a secret from a role."""
    connection.execute(statement("secret_revoke"), (secret, role))


def checked(connection: Connection, _: Address) -> Finding:
    """Whether calls are made, and could be by the connected user: a check of ``postmill doctor``."""
    missing = [row["wanted"] for row in connection.execute(statement("check_call_privileges"))]
    if missing:
        user = connection.info.user
        fix = (
            f"As the owner give {user} the grants for processes that make calls: postmill docs sql-functions"
        )
        return Finding("calls", "warn", f"{user} can't make calls: it lacks {'; '.join(missing)}", fix)
    late = connection.execute(statement("check_calls"), (LATE_S,)).fetchone()
    if late is not None and late["waiting"]:
        what = f"{late['waiting']} calls wait, the oldest for {late['oldest_s']:.0f} s"
        fix = (
            "Run one of these, with calls on and postmill[calls] installed: postmill calls run, serve or dev"
        )
        return Finding("calls", "warn", what, fix)
    failing = [row for row in hosts(connection) if row["failed"]]
    if failing:
        worst = failing[0]
        what = f"{worst['failed']} calls to {worst['host']} failed in five minutes: {worst['last_error']}"
        return Finding("calls", "warn", what, "postmill calls list --state failed")
    return Finding("calls", "pass", "no call waits for long")

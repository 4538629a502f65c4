"""What tests of ``postmill import`` share: a place at which an import is held up, inside a batch."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    import psycopg

    Database = psycopg.Connection[dict[str, Any]]

HELD_UP = """
    select pid from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock' and wait_event = 'advisory'
"""


def column(db: Database, sql: str) -> list[Any]:
    """The first column of all rows."""
    return [next(iter(row.values())) for row in db.execute(sql.encode())]


@contextmanager
def held_up(db: Database, table: str, message: str) -> Iterator[None]:
    """Whoever inserts this message into the table waits there, until the block ends."""
    db.execute(
        b"create or replace function public.hold_up() returns trigger language plpgsql as "
        b"'begin perform pg_advisory_xact_lock(7); return new; end'"
    )
    condition = f"new.message = '{message}'::jsonb"
    db.execute(
        f"create trigger hold_up before insert on {table} for each row when ({condition})"
        " execute function public.hold_up()".encode()
    )
    db.execute(b"select pg_advisory_lock(7)")
    try:
        yield
    finally:
        db.execute(b"select pg_advisory_unlock(7)")


def wait_until_held_up(db: Database, process: subprocess.Popen[str]) -> int:
    """The backend of the import that is held up; fails when the process ends before it is."""
    ends_at = time.monotonic() + 30
    while time.monotonic() < ends_at and process.poll() is None:
        if found := column(db, HELD_UP):
            return int(found[0])
        time.sleep(0.01)
    raise AssertionError(process.communicate())


def lines(answer: Any) -> list[tuple[Any, ...]]:
    """The report's lines in some order, without their reasons."""
    assert answer.code == 0, answer.err
    return sorted((each["source"], each["queue"], each["outcome"], each["count"]) for each in answer.json)

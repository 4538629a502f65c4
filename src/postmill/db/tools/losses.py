"""What would be lost with schema postmill: what it holds, or holds back, and was to be worked on yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from psycopg.rows import scalar_row

from postmill.model.errors import Refused
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import psycopg


class Kind(NamedTuple):
    """Something that can be lost."""

    what: str
    since: str
    """The migration that made its table."""
    counted_by: str
    """The statement that counts it."""


KINDS = (
    Kind("dead letters that were not replayed", "0001_pre_tables", "dead_letters_count"),
    Kind("messages that wait for others or for a place", "0007_job_features", "parked_count"),
    Kind("calls that have not ended", "0009_calls", "calls_open_count"),
    Kind("runs that have not ended", "0015_flows", "runs_open_count"),
    Kind("messages on their way to another database", "0022_databases", "departures_count"),
)


def counted(connection: psycopg.Connection[Any], migrations: Collection[str]) -> list[str]:
    """How many there are of each kind, in words, where these ``migrations`` were run."""
    cursor, found = connection.cursor(row_factory=scalar_row), []
    for kind in KINDS:
        if kind.since in migrations:
            count = cursor.execute(statement(kind.counted_by).encode()).fetchone()
            found += [f"{count} {kind.what}"] if count else []
    return found


def would_be_lost(found: Sequence[str], database: str = "") -> Refused:
    """The refusal to lose it; ``database``: the name of the one of several."""
    what = " and ".join(filter(None, (", ".join(found[:-1]), found[-1])))
    return Refused(
        f"{f'In {database} ' if database else ''}{what} would be lost.",
        why="Schema postmill holds them, or what brings them back.",
        hint="Let workers end what waits, replay dead letters, bring messages on with postmill route move; or"
        " insist with --force.",
    )

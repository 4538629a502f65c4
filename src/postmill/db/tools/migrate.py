"""Brings a database to the schema that this code needs, and removes that schema.

Three layers: pgmq's own SQL where there is no pgmq; the numbered migrations, each once and for ever; then
functions, views and facades, again whenever their text changed. Every step is a transaction under one
advisory lock. Never touches a queue, nor a pgmq or another system that is there already.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.rows import dict_row

from postmill.db.tools import facades, losses, migration_plan, pgmq
from postmill.db.tools.facades import Occupant
from postmill.db.tools.migration_plan import Installed
from postmill.model.errors import InvalidOption, MigrationFailed, PostmillError, SchemaMissing
from postmill.model.sqlstates import Condition, condition, state_of
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from psycopg.rows import DictRow

    from postmill.db.tools.facades import Facade

OLDEST_SERVER = 15
"""The oldest major version of PostgreSQL that Postmill runs on, and the oldest that its tests run against."""

MAX_DEADLOCKS = 10
"""How often a step that met a deadlock is run again. A step locks tables and views, which sessions at work
lock in another order. Each deadlock ends after about a second; ten in a row are no longer chance.
"""


@dataclass(frozen=True, slots=True)
class Report:
    """The names of the steps that were run, in order; none when there was nothing to do."""

    steps: tuple[str, ...]

    @property
    def changed(self) -> bool:
        """Whether anything was done."""
        return bool(self.steps)


def migrate(connection: psycopg.Connection[Any], *, wanted: Sequence[Facade] = ()) -> Report:
    """Install or upgrade, at any time and from any number of processes at once: one works, the others wait.

    The facades ``wanted`` are installed as well, and stay installed in later migrations. ``connection`` must
    be in autocommit mode. A step that fails leaves nothing; the steps before it stay. Raises
    :class:`SchemaTooNew`, :class:`MigrationFailed`, :class:`Refused` (a pgmq that can't be used, a facade
    whose name is taken).
    """
    _check_connection(connection)
    done: list[str] = []
    deadlocks = 0
    with errors_in_words(connection):
        while migration_plan.pending(_installed(connection), wanted):
            try:
                done += _next_step(connection, wanted)
            except psycopg.errors.DeadlockDetected:
                deadlocks += 1
                if deadlocks > MAX_DEADLOCKS:
                    raise
    return Report(tuple(done))


def _next_step(connection: psycopg.Connection[Any], wanted: Sequence[Facade]) -> Sequence[str]:
    """Run the next step in a transaction; its names. None when another process has done it meanwhile."""
    with connection.transaction():
        execute(connection, statement("migration_lock"))
        for step in migration_plan.pending(_installed(connection), wanted)[:1]:
            execute(connection, step.sql)
            return step.names
    return ()


def pending_sql(connection: psycopg.Connection[Any], *, wanted: Sequence[Facade] = ()) -> str:
    """All that :func:`migrate` would run now, as a script for psql; empty when there is nothing to do.

    Raises as :func:`migrate` does.
    """
    _check_connection(connection)
    with errors_in_words(connection):
        pending = migration_plan.pending(_installed(connection), wanted)
        return "\n".join(step.script for step in pending)


def remove_facades(connection: psycopg.Connection[Any], unwanted: Sequence[Facade]) -> Report:
    """Remove what these facades have made, all of them or none, and nothing else.

    Raises :class:`Refused` when something that is not ours is built on one of them.
    """
    _check_connection(connection)
    with errors_in_words(connection), connection.transaction():
        execute(connection, statement("migration_lock"))
        components = _installed(connection).components
        present = [facade for facade in unwanted if facade.component in components]
        _remove(connection, present)
    return Report(tuple(f"removed facade {facade.name}" for facade in present))


def state(connection: psycopg.Connection[Any]) -> list[dict[str, str]]:
    """What is installed: schema postmill, pgmq and each facade; see :func:`migration_plan.states`."""
    with errors_in_words(connection):
        return migration_plan.states(_installed(connection))


def check_version(connection: psycopg.Connection[Any], name: str | None = None) -> None:
    """Refuse to work on a schema that this code does not fit. ``name``: of the database, where the project
    has several.

    Raises :class:`SchemaMissing` when something this code needs is not installed, :class:`SchemaTooNew`
    when the database has a migration that this code does not know, :class:`PostmillError` when the role may
    not look.
    """
    try:
        installed = _installed(connection)
    except psycopg.errors.InsufficientPrivilege as error:
        raise _may_not_look(error, connection) from error
    if not installed.migrator:
        raise SchemaMissing(f"{_called(name)} has no Postmill schema.", hint=_run_migrate(name))
    migration_plan.check_not_newer(installed, _called(name))
    missing = migration_plan.missing(installed)
    if missing:
        raise SchemaMissing(
            f"{_called(name)} has an older Postmill schema than this code.",
            why=f"Missing: {', '.join(missing)}.",
            hint=_run_migrate(name),
        )


def _called(name: str | None) -> str:
    return "This database" if name is None else f"Database {name}"


def _run_migrate(name: str | None) -> str:
    return "Run: postmill migrate" + ("" if name is None else f" --database {name}")


def has_facade(connection: psycopg.Connection[Any], facade: Facade) -> bool:
    """Whether ``facade`` is here as Postmill has made it, in this release or another."""
    return migration_plan.has(_installed(connection), facade)


def check_facade(connection: psycopg.Connection[Any], facade: Facade) -> None:
    """Refuse to work without ``facade``. Raises :class:`SchemaMissing`, and otherwise as
    :func:`check_version`.
    """
    if not has_facade(connection, facade):
        raise SchemaMissing(
            f"The facade {facade.name} is not installed in this database.",
            hint=f"Run: postmill migrate --facade {facade.name}",
        )


def is_too_old(connection: psycopg.Connection[Any]) -> bool:
    """Whether the server is older than :data:`OLDEST_SERVER`."""
    return connection.info.server_version < OLDEST_SERVER * 10_000


def uninstall(connection: psycopg.Connection[Any], *, force: bool = False) -> Report:
    """Remove schema postmill, its facades and its triggers; queues, archives and pgmq itself stay.

    Raises :class:`Refused` when something would be lost that was to be worked on yet, unless ``force``; see
    :mod:`losses`.
    """
    _check_connection(connection)
    with errors_in_words(connection), connection.transaction():
        execute(connection, statement("migration_lock"))
        installed = _installed(connection)
        if not installed.migrator:
            return Report(())
        found = [] if force else losses.counted(connection, installed.migrations)
        if found:
            raise losses.would_be_lost(found)
        present = [facade for facade in facades.FACADES if facade.component in installed.components]
        _remove(connection, present)
        execute(connection, statement("uninstall"))
    return Report((*(facade.component for facade in present), "schema postmill"))


def what_would_be_lost(connection: psycopg.Connection[Any]) -> list[str]:
    """What :func:`uninstall` would refuse to lose, in words."""
    with errors_in_words(connection):
        return losses.counted(connection, _installed(connection).migrations)


def _remove(connection: psycopg.Connection[Any], unwanted: Sequence[Facade]) -> None:
    for facade in unwanted:
        try:
            if facade.before_removal is not None:
                execute(connection, statement(facade.before_removal))
            execute(connection, statement("facade_remove").replace("{facade}", facade.name))
        except psycopg.errors.DependentObjectsStillExist as error:
            raise facades.in_use(facade, error.diag.message_detail or str(error)) from error


def _installed(connection: psycopg.Connection[Any]) -> Installed:
    present = rows(connection, statement("migrator_present"))[0]
    steps = rows(connection, statement("migrator_state")) if present["installed"] else []
    return Installed(
        migrator=present["installed"],
        pgmq=pgmq.is_present(connection),
        occupants=[
            Occupant(**row) for row in rows(connection, statement("facade_occupants"), facades.PLACES)
        ],
        roles=frozenset(present["roles"]),
        migrations={row["name"]: row["sha256"] for row in steps if row["number"] is not None},
        components={row["name"]: row["sha256"] for row in steps if row["number"] is None},
    )


def _check_connection(connection: psycopg.Connection[Any]) -> None:
    if not connection.autocommit:
        raise InvalidOption(
            "Migrations need a connection in autocommit mode.",
            why="Each step is a transaction of its own.",
            hint="Connect with autocommit=True.",
        )
    if is_too_old(connection):
        raise MigrationFailed(
            f"PostgreSQL {connection.info.server_version // 10000} is too old.",
            why=f"Postmill runs on PostgreSQL {OLDEST_SERVER} and later.",
        )


def execute(connection: psycopg.Connection[Any], sql: str) -> None:
    """Run one or more statements."""
    with psycopg.RawCursor(connection) as cursor:
        cursor.execute(sql.encode())


def rows(connection: psycopg.Connection[Any], sql: str, *values: object) -> list[DictRow]:
    """The rows of one statement."""
    with psycopg.RawCursor(connection, row_factory=dict_row) as cursor:
        return cursor.execute(sql.encode(), values or None).fetchall()


@contextmanager
def errors_in_words(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """Turn an error of Postgres into one that says what happened, why, and what to try. Errors of lost
    connections pass unchanged.
    """
    try:
        yield
    except psycopg.OperationalError:
        raise
    except psycopg.Error as error:
        raise _in_words(error, connection) from error


def _may_not_look(error: psycopg.Error, connection: psycopg.Connection[Any]) -> PostmillError:
    role, database = connection.info.user, connection.info.dbname
    return PostmillError(
        f"The role {role!r} may not read which version of Postmill's schema database {database!r} has.",
        why=f"{error.diag.message_primary or error}.",
        hint=f"As the schema's owner give {role!r} what it needs, see Rights in: postmill docs sql-functions",
    )


def _in_words(error: psycopg.Error, connection: psycopg.Connection[Any]) -> MigrationFailed:
    why = f"{error.diag.message_primary or error}"
    if isinstance(error, psycopg.errors.DependentObjectsStillExist):
        return MigrationFailed(
            "Something in this database is built on a part of Postmill that changes; nothing was changed.",
            why=f"{error.diag.message_detail or why}.",
            hint="Drop it, run postmill migrate, and create it again.",
        )
    match condition(state_of(error)):
        case Condition.FORBIDDEN:
            role, database = connection.info.user, connection.info.dbname
            return MigrationFailed(
                f"The role {role!r} may not do this in database {database!r}.",
                why=f"{why}.",
                hint=f'As the owner of the database: grant create on database "{database}" to "{role}"',
            )
        case Condition.READ_ONLY:
            return MigrationFailed(
                "This server does not accept changes.",
                why=f"{why}.",
                hint="Use the address of the primary server.",
            )
        case _:
            return MigrationFailed(
                "A step of the migration failed; it left nothing behind.",
                why=f"{why} ({error.sqlstate}).",
            )

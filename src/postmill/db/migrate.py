"""Brings a database to the schema that this code needs, and takes it away again.

Three layers, each step in its own transaction under one advisory lock: pgmq's own SQL where there is no pgmq;
the numbered migrations, each once and for ever; then functions, views and facades, again whenever their text
changed. :func:`pending_sql` prints the very text that :func:`migrate` runs. Never touches a queue, nor a pgmq that
somebody else installed.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.rows import dict_row

from postmill.db import pgmq
from postmill.model.errors import InvalidOption, MigrationFailed, Refused, SchemaMissing, SchemaTooNew
from postmill.sql.catalog import scripts, statement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from psycopg.rows import DictRow

OLDEST_SERVER = 150000
"""The oldest PostgreSQL we run on, as libpq numbers versions."""

_RUN_MIGRATE = "Run: postmill migrate"


@dataclass(frozen=True, slots=True)
class Step:
    """One transaction of a migration: what it is called and its whole text, the record of itself included."""

    name: str
    sql: str


@dataclass(frozen=True, slots=True)
class Report:
    """What :func:`migrate` did: the names of the steps it ran, in order; empty when all was in place."""

    steps: tuple[str, ...]

    @property
    def changed(self) -> bool:
        """Whether anything was done."""
        return bool(self.steps)


def migrate(connection: psycopg.Connection[Any]) -> Report:
    """Install or upgrade; safe at any time and by any number of processes at once: one works, the others wait.

    ``connection`` must be in autocommit mode. A step that fails leaves nothing behind; the steps before it stay.
    Raises :class:`SchemaTooNew`, :class:`MigrationFailed`, :class:`Refused` (a pgmq that can't be used).
    """
    _check_connection(connection)
    done: list[str] = []
    with _errors_in_words(connection):
        while _pending(connection):
            with connection.transaction():
                _execute(connection, statement("migration_lock"))
                # Somebody else may have done it while we waited for the lock.
                for step in _pending(connection)[:1]:
                    _execute(connection, step.sql)
                    done.append(step.name)
    return Report(tuple(done))


def pending_sql(connection: psycopg.Connection[Any]) -> str:
    """All that :func:`migrate` would run now, as a script for psql; empty when all is in place."""
    _check_connection(connection)
    with _errors_in_words(connection):
        return "\n".join(_as_script(step) for step in _pending(connection))


def check_version(connection: psycopg.Connection[Any]) -> None:
    """Refuse to work on a schema that this code does not fit.

    Raises :class:`SchemaMissing` when something this code needs is not installed, :class:`SchemaTooNew` when the
    database has a migration that this code does not know. A function whose text differs is no reason to refuse:
    in a rolling deployment the newer release has already replaced it.
    """
    with _errors_in_words(connection):
        installed = _installed(connection)
        if installed is None:
            raise SchemaMissing("This database has no Postmill schema.", hint=_RUN_MIGRATE)
        missing = _missing(installed)
        if missing or not pgmq.is_present(connection):
            raise SchemaMissing(
                "This database's Postmill schema is older than this code.",
                why=f"Missing: {', '.join(missing) or 'pgmq'}.",
                hint=_RUN_MIGRATE,
            )


def uninstall(connection: psycopg.Connection[Any], *, force: bool = False) -> Report:
    """Remove schema postmill, its facades and its triggers; queues, archives and pgmq itself stay.

    Raises :class:`Refused` when dead letters that nobody replayed would be lost, unless ``force``.
    """
    _check_connection(connection)
    with _errors_in_words(connection), connection.transaction():
        _execute(connection, statement("migration_lock"))
        installed = _installed(connection)
        if installed is None:
            return Report(())
        if not force:
            _check_no_dead_letters(connection, installed)
        facades = sorted(name for name in installed.components if name.startswith("compat/"))
        for facade in facades:
            schema = facade.removeprefix("compat/")
            _execute(connection, statement("uninstall_facade").replace("{schema}", schema))
        _execute(connection, statement("uninstall"))
    return Report((*facades, "schema postmill"))


@dataclass(frozen=True, slots=True)
class _Installed:
    """What the database says is installed: digest by migration name, digest by component name."""

    migrations: dict[str, str]
    components: dict[str, str]


def _pending(connection: psycopg.Connection[Any]) -> list[Step]:
    installed = _installed(connection)
    steps: list[Step] = []
    if installed is None:
        steps.append(Step("migrator", statement("migrator_tables")))
    if not pgmq.is_present(connection):
        bundle = pgmq.bundle()
        steps.append(Step("pgmq", _recorded(bundle.sql, "pgmq", bundle.version, bundle.sha256)))
    migrations = _pending_migrations(installed)
    return [*steps, *migrations, *_pending_scripts(connection, installed, again=bool(migrations))]


def _pending_migrations(installed: _Installed | None) -> list[Step]:
    known = {} if installed is None else installed.migrations
    steps = []
    for name, text in scripts("migrations"):
        digest = _digest(text)
        if name not in known:
            steps.append(Step(f"migrations/{name}", _with_record(text, name, digest)))
        elif known[name] != digest:
            raise MigrationFailed(
                f"Migration {name} is not the one that ran on this database.",
                why="Its text was changed after it ran; a migration is never edited once it was released.",
                hint="Install the released Postmill again, or start from an empty database.",
            )
    return steps


def _pending_scripts(
    connection: psycopg.Connection[Any], installed: _Installed | None, *, again: bool
) -> list[Step]:
    """Functions, views and facades as one step: those whose text changed, or all after a migration."""
    known = {} if installed is None else installed.components
    taken = _schemas(connection)
    texts = [
        _recorded(text, name, None, _digest(text))
        for name, text in _components()
        if (again or known.get(name) != _digest(text)) and not _is_foreign(name, known, taken)
    ]
    if not texts:
        return []
    # Functions may call each other in any order: their bodies are checked when they run.
    lines = ["set local check_function_bodies = off;", *texts, statement("functions_private")]
    return [Step("functions and views", "\n".join(lines))]


def _components() -> Iterator[tuple[str, str]]:
    for folder in ("functions", "views", "compat"):
        for name, text in scripts(folder):
            yield f"{folder}/{name}", text


def _is_foreign(name: str, known: dict[str, str], taken: frozenset[str]) -> bool:
    """Whether a facade's schema is already here and not ours: then it is left alone."""
    folder, _, schema = name.partition("/")
    return folder == "compat" and schema in taken and name not in known


def _missing(installed: _Installed) -> list[str]:
    migrations = [name for name, _ in scripts("migrations") if name not in installed.migrations]
    components = [
        name
        for name, _ in _components()
        if not installed.components.get(name) and not name.startswith("compat/")
    ]
    return migrations + components


def _installed(connection: psycopg.Connection[Any]) -> _Installed | None:
    """What is installed, or None. Raises :class:`SchemaTooNew`."""
    if not _rows(connection, statement("migrator_present"))[0]["installed"]:
        return None
    rows = _rows(connection, statement("migrator_state"))
    installed = _Installed(
        migrations={row["name"]: row["sha256"] for row in rows if row["number"] is not None},
        components={row["name"]: row["sha256"] for row in rows if row["number"] is None},
    )
    _check_not_newer(installed)
    return installed


def _check_not_newer(installed: _Installed) -> None:
    known = {name for name, _ in scripts("migrations")}
    unknown = sorted(set(installed.migrations) - known)
    if unknown:
        raise SchemaTooNew(
            f"This database was migrated by a newer Postmill: it has {', '.join(unknown)}.",
            why="Old code on a newer schema could damage what it does not know.",
            hint="Upgrade Postmill here: pip install --upgrade postmill",
        )


def _check_no_dead_letters(connection: psycopg.Connection[Any], installed: _Installed) -> None:
    if not installed.migrations:
        return
    count = _rows(connection, statement("dead_letters_count"))[0]["count"]
    if count:
        raise Refused(
            f"{count} dead letters would be lost.",
            why="They are kept in schema postmill and nobody has replayed them.",
            hint="Replay or export them first, or insist with --force.",
        )


def _check_connection(connection: psycopg.Connection[Any]) -> None:
    if not connection.autocommit:
        raise InvalidOption(
            "Migrations need a connection in autocommit mode.",
            why="Each step is a transaction of its own.",
            hint="Connect with autocommit=True.",
        )
    if connection.info.server_version < OLDEST_SERVER:
        raise MigrationFailed(
            f"PostgreSQL {connection.info.server_version // 10000} is too old.",
            why="Postmill runs on PostgreSQL 15 and later.",
        )


def _schemas(connection: psycopg.Connection[Any]) -> frozenset[str]:
    return frozenset(_rows(connection, statement("migrator_present"))[0]["schemas"])


def _with_record(text: str, name: str, digest: str) -> str:
    number, _, _ = name.partition("_")
    record = statement("record_migration").replace("{number}", str(int(number)))
    return "\n".join([text, _filled(record, name, None, digest)])


def _recorded(text: str, name: str, version: str | None, digest: str) -> str:
    return "\n".join([text, _filled(statement("record_component"), name, version, digest)])


def _filled(record: str, name: str, version: str | None, digest: str) -> str:
    return record.replace("{name}", name).replace("{version}", version or "").replace("{sha256}", digest)


def _as_script(step: Step) -> str:
    return f"-- {step.name}\nbegin;\n{statement('migration_lock')}\n{step.sql}\ncommit;\n"


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _execute(connection: psycopg.Connection[Any], sql: str) -> None:
    with psycopg.RawCursor(connection) as cursor:
        cursor.execute(sql.encode())


def _rows(connection: psycopg.Connection[Any], sql: str) -> list[DictRow]:
    with psycopg.RawCursor(connection, row_factory=dict_row) as cursor:
        return cursor.execute(sql.encode()).fetchall()


@contextmanager
def _errors_in_words(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """Turn what Postgres refuses into what happened, why, and what to try."""
    try:
        yield
    except psycopg.errors.InsufficientPrivilege as error:
        info = connection.info
        raise MigrationFailed(
            f"The role {info.user!r} may not do this in database {info.dbname!r}.",
            why=f"{error.diag.message_primary}.",
            hint=f'As the owner of the database: grant create on database "{info.dbname}" to "{info.user}"',
        ) from error
    except psycopg.errors.ReadOnlySqlTransaction as error:
        raise MigrationFailed(
            "This server does not accept changes.",
            why=f"{error.diag.message_primary}.",
            hint="Use the address of the primary server.",
        ) from error
    except psycopg.OperationalError:
        raise
    except psycopg.Error as error:
        raise MigrationFailed(
            "A step of the migration failed; it left nothing behind.",
            why=f"{error.diag.message_primary or error} ({error.sqlstate}).",
        ) from error

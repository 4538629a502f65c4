"""The roles with which Postmill is used in production: made and granted, and taken away again.

No process logs in as one: an administrator grants them to logins. Roles belong to the whole server, rights to
one database. What each may do stands in ``sql/roles``, one file a duty, and for the tables of queues in the
SQL function ``_queue_rights``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg

from postmill.db.tools import migrate, migration_plan, role_grants
from postmill.db.tools.migrate import Report
from postmill.model.errors import Refused
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psycopg.rows import DictRow

    from postmill.db.tools.facades import Facade

    Connection = psycopg.Connection[Any]


def grant(connection: Connection, *, wanted: Sequence[Facade] = ()) -> Report:
    """Install or upgrade as :func:`migrate` does; then make the roles that are missing, and give each exactly
    what it needs in this database. Again and again is harmless.

    Raises :class:`Refused` when the roles can't be made, or when one of the names is taken; what
    :func:`migrate` raises.
    """
    _check(connection)
    done = migrate.migrate(connection, wanted=wanted)
    step = migration_plan.roles_step()
    with migrate.errors_in_words(connection), connection.transaction():
        migrate.execute(connection, statement("migration_lock"))
        migrate.execute(connection, step.sql)
    return Report((*done.steps, *step.names))


def grant_sql() -> str:
    """What :func:`grant` runs after the migration, as a script for psql."""
    return migration_plan.roles_step().script


def remove(connection: Connection) -> Report:
    """Take the roles' rights in this database away, and drop the roles. A role that something else depends
    on stays, and the report says so; so does one that the connected role may not drop.
    """
    with migrate.errors_in_words(connection), connection.transaction():
        migrate.execute(connection, statement("migration_lock"))
        present = [row["name"] for row in _state(connection) if row["present"]]
        if present:
            migrate.execute(connection, role_grants.none())
        return Report(tuple(_dropped(connection, role) for role in present))


def _dropped(connection: Connection, role: str) -> str:
    """Drop it; what is to be said of it."""
    try:
        with connection.transaction():
            migrate.execute(connection, statement("role_drop").replace("{role}", role))
    except psycopg.errors.DependentObjectsStillExist as error:
        needed_by = ", ".join((error.diag.message_detail or "something").splitlines())
        return f"{role}: its rights in this database; the role stays, it is needed by: {needed_by}"
    except psycopg.errors.InsufficientPrivilege as error:
        return f"{role}: its rights in this database; the role stays: {error.diag.message_primary}"
    return f"{role}: the role and its rights in this database"


def _check(connection: Connection) -> None:
    """Raises :class:`Refused` before anything is done."""
    found = _state(connection)
    for row in found:
        if row["logs_in"] or row["is_mighty"]:
            raise Refused(
                f"There is a role {row['name']} that Postmill has not made; nothing was changed.",
                why="It logs in." if row["logs_in"] else "It has rights on the whole server.",
                hint=f"Rename it (alter role {row['name']} rename to ...), or run without --roles.",
            )
    missing = [row["name"] for row in found if not row["present"]]
    if missing and not found[0]["may_create"]:
        raise Refused(
            f"The role {connection.info.user!r} may not make roles; nothing was changed.",
            why=f"Missing: {', '.join(missing)}.",
            hint="As a superuser: "
            + " ".join(f"create role {name};" for name in missing)
            + " Then run it again.",
        )


def _state(connection: Connection) -> list[DictRow]:
    return migrate.rows(connection, statement("roles_state"), list(role_grants.ALL_ROLES))

"""What a migration has to run, given what a database says is installed. Decides only: nothing here talks to
a server.

The texts it returns are complete: a step's record of itself is part of its SQL, so that the printed script
and the executed one are the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from postmill.db.tools import pgmq
from postmill.model.errors import MigrationFailed, SchemaTooNew
from postmill.sql.catalog import scripts, statement

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


ROLES = ("postmill_producer", "postmill_worker", "postmill_scheduler", "postmill_reader", "postmill_operator")
"""The roles that production logins are members of. They belong to the whole server."""
POWERLESS = "postmill_nobody"
"""A role without rights and members: as it the functions of scheduled commands are called."""
ALL_ROLES = (*ROLES, POWERLESS)
_GRANTED_IN = ("postmill", "pgmq")
"""The schemas in which ``sql/roles`` grants, each time anew."""
_KNOWN_IN = (*_GRANTED_IN, "postmill_commands", "cron", "net", "edge_worker")
"""All schemas in which the roles may have been granted something."""


@dataclass(frozen=True, slots=True)
class Step:
    """One transaction of a migration: what it installs and its whole text, the record of itself included."""

    names: tuple[str, ...]
    sql: str

    @property
    def script(self) -> str:
        """The step as psql would run it."""
        return f"-- {', '.join(self.names)}\nbegin;\n{statement('migration_lock')}\n{self.sql}\ncommit;\n"


@dataclass(frozen=True, slots=True)
class Installed:
    """What a database has: digests by name, and the names of its schemas."""

    migrator: bool
    pgmq: bool
    schemas: frozenset[str]
    of_extensions: frozenset[str]
    """The schemas that an extension has made."""
    roles: frozenset[str]
    """Those of :data:`ROLES` that the server has."""
    migrations: Mapping[str, str]
    components: Mapping[str, str]


def pending(installed: Installed) -> list[Step]:
    """All steps to run, in order. Raises :class:`SchemaTooNew`, :class:`MigrationFailed`."""
    check_not_newer(installed)
    steps = []
    if not installed.migrator:
        steps.append(Step(("migrator",), statement("migrator_tables")))
    if not installed.pgmq:
        bundle = pgmq.bundle()
        steps.append(Step(("pgmq",), _recorded(bundle.sql, "pgmq", bundle.version)))
    migrations = dict(_pending_migrations(installed))
    components = list(_pending_components(installed, again=bool(migrations)))
    if components:
        steps.append(_schema_step(migrations, components, _grants() if _uses_roles(installed) else ""))
    elif _uses_roles(installed) and installed.components["roles"] != _digest(_grants()):
        steps.append(Step(("roles",), _recorded(_grants(), "roles", "")))
    return steps


def roles_step() -> Step:
    """Make the roles that are missing, and grant each what it needs. The schema must be there."""
    made = [statement("role_create").replace("{role}", role) for role in ALL_ROLES]
    return Step(("roles",), "\n".join((*made, _recorded(_grants(), "roles", ""))))


def without_roles() -> str:
    """SQL that takes every right in this database from the roles."""
    return f"{_revoked(_KNOWN_IN)}\n{statement('roles_forget')}"


def missing(installed: Installed) -> list[str]:
    """Names of what this code needs and the database lacks.

    A function whose text differs is not missing: in a rolling deployment a newer release has already
    replaced it.
    """
    migrations = [name for name, _ in scripts("migrations") if name not in installed.migrations]
    components = [
        name
        for name, _ in _components()
        if not installed.components.get(name) and not name.startswith("compat/")
    ]
    return [*([] if installed.pgmq else ["pgmq"]), *migrations, *components]


def check_not_newer(installed: Installed) -> None:
    """Raises :class:`SchemaTooNew` when the database has a migration that this code does not know."""
    unknown = sorted(set(installed.migrations).difference(name for name, _ in scripts("migrations")))
    if unknown:
        raise SchemaTooNew(
            f"This database was migrated by a newer Postmill: it has {', '.join(unknown)}.",
            why="Old code on a newer schema could damage what it does not know.",
            hint="Upgrade Postmill here: pip install --upgrade postmill",
        )


def _schema_step(migrations: Mapping[str, str], components: list[str], grants: str) -> Step:
    """Migrations, functions, views and facades in one transaction: a migration drops the functions whose
    parameters or columns change, and no other session ever sees that they are away. Their grants are kept;
    those of Postmill's roles are given anew where this database uses them.
    """
    # Functions may call each other in any order: their bodies are checked when they run.
    after = ["set local check_function_bodies = off;", *components, statement("functions_private")]
    texts = [statement("rights_remember"), *migrations.values(), *after, statement("rights_restore")]
    if grants:
        texts.append(_recorded(grants, "roles", ""))
    return Step((*migrations, "functions and views"), "\n".join(texts))


def _uses_roles(installed: Installed) -> bool:
    return "roles" in installed.components and installed.roles.issuperset(ALL_ROLES)


def _grants() -> str:
    return "\n".join((_revoked(_GRANTED_IN), *(text for _, text in scripts("roles"))))


def _revoked(schemas: tuple[str, ...]) -> str:
    named = {"{schemas}": schemas, "{roles}": ALL_ROLES}
    text = statement("roles_revoke")
    for place, names in named.items():
        text = text.replace(place, ", ".join(f"'{name}'" for name in names))
    return text


def _pending_migrations(installed: Installed) -> Iterator[tuple[str, str]]:
    for name, text in scripts("migrations"):
        ran = installed.migrations.get(name)
        if ran is None:
            yield f"migrations/{name}", _with_record(text, name)
        elif ran != _digest(text):
            raise MigrationFailed(
                f"Migration {name} is not the one that ran on this database.",
                why="Its text was changed after it ran; a migration is never edited once it was released.",
                hint="Install the released Postmill again, or start from an empty database.",
            )


def _pending_components(installed: Installed, *, again: bool) -> Iterator[str]:
    """Functions, views and facades: those whose text changed, or all after a migration."""
    for name, text in _components():
        is_due = again or installed.components.get(name) != _digest(text)
        if is_due and not _is_foreign(name, installed):
            yield _recorded(text, name, "")


def _components() -> Iterator[tuple[str, str]]:
    for folder in ("functions", "views", "compat"):
        for name, text in scripts(folder):
            yield f"{folder}/{name}", text


def _is_foreign(name: str, installed: Installed) -> bool:
    """Whether a facade's schema is there already and was not made by Postmill: then it is left alone. It may
    have been Postmill's once: an extension that came later has made it anew.
    """
    folder, _, schema = name.partition("/")
    taken = schema in installed.schemas and name not in installed.components
    return folder == "compat" and (taken or schema in installed.of_extensions)


def _with_record(text: str, name: str) -> str:
    number, _, _ = name.partition("_")
    record = statement("record_migration").replace("{number}", str(int(number)))
    return f"{text}\n{_filled(record, name, '', text)}"


def _recorded(text: str, name: str, version: str) -> str:
    return f"{text}\n{_filled(statement('record_component'), name, version, text)}"


def _filled(record: str, name: str, version: str, text: str) -> str:
    return record.replace("{name}", name).replace("{version}", version).replace("{sha256}", _digest(text))


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()

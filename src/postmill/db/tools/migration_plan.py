"""What a migration has to run, given what a database says is installed. Decides only: nothing here talks to
a server.

The texts it returns are complete: a step's record of itself is part of its SQL, so that the printed script
and the executed one are the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from postmill.db.tools import facades, pgmq, role_grants
from postmill.model.errors import MigrationFailed, SchemaTooNew
from postmill.sql.catalog import scripts, statement

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from postmill.db.tools.facades import Facade, Occupant


_RUN_MIGRATE = "Run: postmill migrate"


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
    """What a database has: digests by name, and what stands where facades go."""

    migrator: bool
    pgmq: bool
    occupants: Sequence[Occupant]
    roles: frozenset[str]
    """Those named as one of :data:`role_grants.ALL_ROLES` that the server has."""
    migrations: Mapping[str, str]
    components: Mapping[str, str]


def pending(installed: Installed, wanted: Collection[Facade] = ()) -> list[Step]:
    """All steps to run, in order, with the facades ``wanted`` beside those that are there or come by
    themselves. Raises :class:`SchemaTooNew`, :class:`MigrationFailed`; :class:`Refused` for a wanted facade
    whose name is taken.
    """
    check_not_newer(installed)
    for facade in wanted:
        if why := facades.in_the_way(facade, installed.occupants):
            raise facades.taken(facade, why)
    steps = []
    if not installed.migrator:
        steps.append(Step(("migrator",), statement("migrator_tables")))
    if not installed.pgmq:
        bundle = pgmq.bundle()
        steps.append(Step(("pgmq",), _recorded(bundle.sql, "pgmq", bundle.version)))
    migrations = dict(_pending_migrations(installed))
    components = dict(_pending_components(installed, wanted, again=bool(migrations)))
    grants = _grants() if _uses_roles(installed) else ""
    if components:
        steps.append(_schema_step(migrations, components, wanted, grants))
    elif grants and installed.components["roles"] != _digest(role_grants.grants()):
        steps.append(Step(("roles",), grants))
    return steps


def roles_step() -> Step:
    """Make the roles that are missing, and grant each what it needs. The schema must be there."""
    return Step(("roles",), f"{role_grants.made()}\n{_grants()}")


def states(installed: Installed) -> list[dict[str, str]]:
    """What is installed, a row each: ``installed``, ``outdated``, ``missing``, and for facades ``taken`` and
    ``available``, with what there is to say. Raises as :func:`pending` does.
    """
    due = bool(pending(installed))
    schema = "missing" if not installed.migrator else "outdated" if due else "installed"
    return [
        _state("schema postmill", schema, _RUN_MIGRATE if due else ""),
        _state("pgmq", "installed" if installed.pgmq else "missing", "" if installed.pgmq else _RUN_MIGRATE),
        *(_state(f"facade {each.name}", *_facade_state(each, installed)) for each in facades.FACADES),
    ]


def has(installed: Installed, facade: Facade) -> bool:
    """Whether a facade is there as Postmill has made it, in this release or another."""
    return _facade_state(facade, installed)[0] in {"installed", "outdated"}


def _facade_state(facade: Facade, installed: Installed) -> tuple[str, str]:
    recorded = installed.components.get(facade.component)
    if why := facades.in_the_way(facade, installed.occupants):
        return "taken", why
    if recorded is None and not facade.by_itself:
        return "available", f"Run: postmill migrate --facade {facade.name}"
    if recorded is None or facades.is_gone(facade, installed.occupants):
        return "missing", _RUN_MIGRATE
    return ("installed", "") if recorded == _digest(facade.text) else ("outdated", _RUN_MIGRATE)


def _state(part: str, state: str, detail: str) -> dict[str, str]:
    return {"part": part, "state": state, "detail": detail}


def missing(installed: Installed) -> list[str]:
    """Names of what this code needs and the database lacks.

    A function whose text differs is not missing: in a rolling deployment a newer release has already
    replaced it.
    """
    migrations = [name for name, _ in scripts("migrations") if name not in installed.migrations]
    components = [name for name, _ in _functions_and_views() if not installed.components.get(name)]
    return [*([] if installed.pgmq else ["pgmq"]), *migrations, *components]


def check_not_newer(installed: Installed, database: str = "This database") -> None:
    """Raises :class:`SchemaTooNew` when the database has a migration that this code does not know."""
    unknown = sorted(set(installed.migrations).difference(name for name, _ in scripts("migrations")))
    if unknown:
        raise SchemaTooNew(
            f"{database} was migrated by a newer Postmill: it has {', '.join(unknown)}.",
            why="Old code on a newer schema could damage what it does not know.",
            hint="Upgrade Postmill here: pip install --upgrade postmill",
        )


def _schema_step(
    migrations: Mapping[str, str], components: Mapping[str, str], wanted: Collection[Facade], grants: str
) -> Step:
    """Migrations, functions, views and facades in one transaction: a migration drops the functions whose
    parameters or columns change, and no other session ever sees that they are away. Their grants are kept;
    those of Postmill's roles are given anew where this database uses them.
    """
    new = [facade for facade in wanted if facade.component in components]
    others = components.keys() - {facade.component for facade in new}
    names = (
        *migrations,
        *(["functions and views"] if others else []),
        *(f"facade {each.name}" for each in new),
    )
    # Functions may call each other in any order: their bodies are checked when they run.
    after = ["set local check_function_bodies = off;", *components.values(), statement("functions_private")]
    texts = [statement("rights_remember"), *migrations.values(), *after, statement("rights_restore")]
    return Step(names, "\n".join([*texts, grants] if grants else texts))


def _grants() -> str:
    return _recorded(role_grants.grants(), "roles", "")


def _uses_roles(installed: Installed) -> bool:
    return "roles" in installed.components and installed.roles.issuperset(role_grants.ALL_ROLES)


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


def _pending_components(
    installed: Installed, wanted: Collection[Facade], *, again: bool
) -> Iterator[tuple[str, str]]:
    """Functions, views and facades, by name: those whose text changed, or all after a migration."""
    for name, text in _functions_and_views():
        if again or installed.components.get(name) != _digest(text):
            yield name, _recorded(text, name, "")
    for facade in _facades(installed, wanted):
        if again or _facade_state(facade, installed)[0] != "installed":
            yield facade.component, _recorded(facade.text, facade.component, "")


def _functions_and_views() -> Iterator[tuple[str, str]]:
    for folder in ("functions", "views"):
        for name, text in scripts(folder):
            yield f"{folder}/{name}", text


def _facades(installed: Installed, wanted: Collection[Facade]) -> Iterator[Facade]:
    """Those that belong into this database, unless their name is taken. It may have been ours once: an
    extension that came later has made it anew.
    """
    for facade in facades.FACADES:
        belongs = facade.by_itself or facade in wanted or facade.component in installed.components
        if belongs and not facades.in_the_way(facade, installed.occupants):
            yield facade


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

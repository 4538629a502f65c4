"""``postmill migrate``: install, upgrade, print or remove Postmill's schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import click

from postmill.cli.options import global_options, json_option, yes_option
from postmill.model.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

    from postmill.cli.options import AnyCallable
    from postmill.cli.session import Session
    from postmill.db.tools.connect import Connection
    from postmill.db.tools.facades import Facade
    from postmill.db.tools.migrate import Report
    from postmill.model.config.address import Address
    from postmill.model.config.settings import Settings


ALONE = ("--status", "--uninstall", "--remove-facade", "--remove-roles")
TOGETHER = ("--sql", "--facade", "--roles")
UNINSTALL = "This removes schema postmill with its history from {}. Queues stay."
REMOVE_ROLES = "This removes the roles postmill_..., and their rights in {}."


def _facades(_: click.Context, __: click.Parameter, names: tuple[str, ...]) -> list[Facade]:
    from postmill.db.tools import facades

    return [facades.named(name) for name in names]


def _facade_option(name: str, parameter: str, text: str) -> Callable[[AnyCallable], AnyCallable]:
    return click.option(name, parameter, multiple=True, metavar="NAME", callback=_facades, help=text)


@click.command()
@_facade_option("--facade", "wanted", "Install these names of another system too.")
@_facade_option("--remove-facade", "unwanted", "Remove these names of another system, and do nothing else.")
@click.option("--status", is_flag=True, help="Show what is installed, and run nothing.")
@click.option("--sql", "as_sql", is_flag=True, help="Print what would run, and run nothing.")
@click.option("--uninstall", is_flag=True, help="Remove schema postmill and its facades; queues stay.")
@click.option("--roles", is_flag=True, help="Also make the roles postmill_... and grant each what it needs.")
@click.option("--remove-roles", is_flag=True, help="Remove these roles and their rights in this database.")
@click.option(
    "--force", is_flag=True, help="With --uninstall: also when messages, calls or runs would be lost."
)
@yes_option
@json_option
@global_options
@click.pass_obj
def migrate(
    session: Session,
    *,
    wanted: list[Facade],
    unwanted: list[Facade],
    status: bool,
    as_sql: bool,
    uninstall: bool,
    roles: bool,
    remove_roles: bool,
    force: bool,
    yes: bool,
) -> None:
    """Install or upgrade Postmill's schema.

    Safe at any time and from several places at once. Installs pgmq's own SQL where the server has no pgmq.
    """
    _check_alone(click.get_current_context())
    asked = _Asked(wanted, unwanted, status, as_sql, uninstall, roles, remove_roles, force, yes)
    if uninstall and not force:
        _check_losses(session)
    rows: list[dict[str, Any]] = []
    for name, settings in session.each_settings():
        found = _done(session, settings, asked)
        rows += [{"database": name, **row} if name else row for row in found]
    if not as_sql:
        columns = ("part", "state", "detail") if status else ("step",)
        session.output.rows(rows, session.columns(columns), empty="Nothing to do.")


class _Asked(NamedTuple):
    """What the options say."""

    wanted: list[Facade]
    unwanted: list[Facade]
    status: bool
    as_sql: bool
    uninstall: bool
    roles: bool
    remove_roles: bool
    force: bool
    yes: bool


def _done(session: Session, settings: Settings, asked: _Asked) -> list[dict[str, Any]]:
    """Do it in one database. Returns what is shown of that."""
    from postmill import app
    from postmill.db.tools import migrate as migrations

    with app.bare_connection(settings) as (address, connection):
        if asked.status:
            return list(migrations.state(connection))
        if asked.as_sql:
            click.echo(_script(connection, asked.wanted, roles=asked.roles), nl=False)
            return []
        if asked.uninstall or asked.remove_roles:
            question = UNINSTALL if asked.uninstall else REMOVE_ROLES
            which = f"{settings.database}, " if settings.database else ""
            session.output.confirm(question.format(f"{which}{address.masked}"), yes=asked.yes)
        if asked.uninstall:
            report = migrations.uninstall(connection, force=asked.force)
        elif asked.unwanted or asked.remove_roles:
            report = _removed(connection, asked.unwanted)
        else:
            report = _installed(session, address, connection, asked.wanted, roles=asked.roles)
            _name(connection, settings)
    return [{"step": step} for step in report.steps]


def _check_losses(session: Session) -> None:
    """Of several databases: nothing is removed from the first one while the second would lose something."""
    from postmill import app
    from postmill.db.tools import losses, migrate

    for name, settings in session.each_settings():
        if not name:
            return
        with app.bare_connection(settings) as (_, connection):
            if found := migrate.what_would_be_lost(connection):
                raise losses.would_be_lost(found, name)


def _name(connection: Connection, settings: Settings) -> None:
    """Write the name of one of several databases into it."""
    from postmill.sql.catalog import statement

    if settings.database is not None:
        connection.execute(statement("name_database"), [settings.database])


def _check_alone(context: click.Context) -> None:
    """Refuse an option that goes alone when another one is given that says what to do."""
    names = {parameter.name: parameter.opts[0] for parameter in context.command.params}
    given = [
        names[name] for name, value in context.params.items() if value and names[name] in ALONE + TOGETHER
    ]
    for name in ALONE:
        if name in given and len(given) > 1:
            other = next(each for each in given if each != name)
            raise InvalidOption(f"{name} and {other} exclude each other.")


def _script(connection: psycopg.Connection[Any], wanted: list[Facade], *, roles: bool) -> str:
    from postmill.db.tools import migrate
    from postmill.db.tools import roles as the_roles

    return migrate.pending_sql(connection, wanted=wanted) + (the_roles.grant_sql() if roles else "")


def _installed(
    session: Session, address: Address, connection: Connection, wanted: list[Facade], *, roles: bool
) -> Report:
    """The steps that ran, on a server that does what is needed; and in words what workers do without."""
    from postmill.db.tools import checks, migrate, server_needs
    from postmill.db.tools import roles as the_roles

    server_needs.check(connection, address, rows=False)
    report = (the_roles.grant if roles else migrate.migrate)(connection, wanted=wanted)
    if report.changed:
        server_needs.check(connection, address, rows=True)
        listening = checks.listen(connection, address)
        if listening.status != "pass":
            session.output.note(f"Workers will poll: {listening.found}. {listening.fix}")
    return report


def _removed(connection: psycopg.Connection[Any], unwanted: list[Facade]) -> Report:
    """Facades; the roles when none is named."""
    from postmill.db.tools import migrate
    from postmill.db.tools import roles as the_roles

    return migrate.remove_facades(connection, unwanted) if unwanted else the_roles.remove(connection)

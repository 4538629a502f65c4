"""``postmill migrate``: install, upgrade, print or remove Postmill's schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from postmill.cli.options import global_options, json_option, yes_option
from postmill.model.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Callable

    from postmill.cli.options import AnyCallable
    from postmill.cli.session import Session
    from postmill.db.tools.facades import Facade


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
@click.option("--force", is_flag=True, help="With --uninstall: also when dead letters would be lost.")
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
    from postmill import app
    from postmill.db.tools import migrate as migrations
    from postmill.db.tools import roles as the_roles

    _check_alone(
        {
            "--status": status,
            "--uninstall": uninstall,
            "--remove-facade": unwanted,
            "--remove-roles": remove_roles,
        },
        {"--sql": as_sql, "--facade": wanted, "--roles": roles},
    )
    with app.bare_connection(session.settings) as (address, connection):
        if status:
            session.output.rows(migrations.state(connection), ("part", "state", "detail"))
            return
        if as_sql:
            script = migrations.pending_sql(connection, wanted=wanted)
            click.echo(script + (the_roles.grant_sql() if roles else ""), nl=False)
            return
        if uninstall:
            question = f"This removes schema postmill with its history from {address.masked}. Queues stay."
            session.output.confirm(question, yes=yes)
            report = migrations.uninstall(connection, force=force)
        elif unwanted:
            report = migrations.remove_facades(connection, unwanted)
        elif remove_roles:
            question = f"This removes the roles postmill_..., and their rights in {address.masked}."
            session.output.confirm(question, yes=yes)
            report = the_roles.remove(connection)
        elif roles:
            report = the_roles.grant(connection, wanted=wanted)
        else:
            report = migrations.migrate(connection, wanted=wanted)
    session.output.rows([{"step": step} for step in report.steps], ("step",), empty="Nothing to do.")


def _check_alone(alone: dict[str, object], together: dict[str, object]) -> None:
    """Refuse an option that goes ``alone`` when another one is given too."""
    given = [name for name, value in (alone | together).items() if value]
    if len(given) > 1 and given[0] in alone:
        raise InvalidOption(f"{given[0]} and {given[1]} exclude each other.")

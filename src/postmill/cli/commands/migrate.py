"""``postmill migrate``: install, upgrade, print or remove Postmill's schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from postmill.cli.options import global_options, json_option, yes_option
from postmill.model.errors import InvalidOption

if TYPE_CHECKING:
    from postmill.cli.session import Session


@click.command()
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
    _check(sql=as_sql and not roles, uninstall=uninstall, roles=roles, remove_roles=remove_roles)
    from postmill import app
    from postmill.db.tools import migrate as migrations
    from postmill.db.tools import roles as the_roles

    with app.bare_connection(session.settings) as (address, connection):
        if as_sql:
            click.echo(
                migrations.pending_sql(connection) + (the_roles.grant_sql() if roles else ""), nl=False
            )
            return
        if uninstall:
            question = f"This removes schema postmill with its history from {address.masked}. Queues stay."
            session.output.confirm(question, yes=yes)
            report = migrations.uninstall(connection, force=force)
        elif remove_roles:
            question = f"This removes the roles postmill_..., and their rights in {address.masked}."
            session.output.confirm(question, yes=yes)
            report = the_roles.remove(connection)
        elif roles:
            report = the_roles.grant(connection)
        else:
            report = migrations.migrate(connection)
    session.output.rows([{"step": step} for step in report.steps], ("step",), empty="Nothing to do.")


def _check(**chosen: bool) -> None:
    """Raises :class:`InvalidOption` when two are chosen that exclude each other."""
    names = [f"--{name.replace('_', '-')}" for name, is_chosen in chosen.items() if is_chosen]
    if len(names) > 1:
        raise InvalidOption(f"{names[0]} and {names[1]} exclude each other.")

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
@click.option("--force", is_flag=True, help="With --uninstall: also when dead letters would be lost.")
@yes_option
@json_option
@global_options
@click.pass_obj
def migrate(session: Session, *, as_sql: bool, uninstall: bool, force: bool, yes: bool) -> None:
    """Install or upgrade Postmill's schema.

    Safe at any time and from several places at once. Installs pgmq's own SQL where the server has no pgmq.
    """
    if as_sql and uninstall:
        raise InvalidOption("--sql and --uninstall exclude each other.")
    from postmill import app
    from postmill.db.tools import migrate as migrations

    with app.bare_connection(session.settings) as (address, connection):
        if as_sql:
            click.echo(migrations.pending_sql(connection), nl=False)
            return
        if uninstall:
            question = f"This removes schema postmill with its history from {address.masked}. Queues stay."
            session.output.confirm(question, yes=yes)
            report = migrations.uninstall(connection, force=force)
        else:
            report = migrations.migrate(connection)
    session.output.rows([{"step": step} for step in report.steps], ("step",), empty="Nothing to do.")

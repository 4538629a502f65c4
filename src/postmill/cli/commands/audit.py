"""``postmill audit``: what was done through the dashboard and the API, and by which viewer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from postmill.cli.options import ID, global_options, json_option, jsonl_option, limit_option

if TYPE_CHECKING:
    from postmill.cli.session import Session

COLUMNS = ("audit_id", "at", "viewer", "role", "source", "action", "target", "affected")


@click.group(no_args_is_help=True)
def audit() -> None:
    """List what was done through the dashboard and the API."""


@audit.command("list")
@click.option("--viewer", metavar="NAME", help="Only what NAME did.")
@click.option("--before", type=ID, metavar="ID", help="Only numbers below this one: the next page.")
@limit_option
@json_option
@jsonl_option
@global_options
@click.pass_obj
def list_actions(session: Session, viewer: str | None, before: int | None, limit: int) -> None:
    """List actions, the newest first; they are kept for 90 days."""
    from postmill.db.reads import audit as reads

    with session.database() as connection:
        rows = reads.listed(connection, limit=limit, before=before, viewer=viewer)
    session.output.rows(rows, COLUMNS, empty="Nothing was done through the dashboard or the API.")

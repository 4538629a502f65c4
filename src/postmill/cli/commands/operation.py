"""``postmill operation``: look at what is done to many messages at once, and end it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from postmill.cli.options import ID, global_options, json_option, jsonl_option, limit_option

if TYPE_CHECKING:
    from postmill.cli.session import Session

COLUMNS = (
    "operation_id",
    "kind",
    "queue",
    "state",
    "expected",
    "done",
    "skipped",
    "failed",
    "busy",
    "requested_at",
)


@click.group(no_args_is_help=True)
def operation() -> None:
    """List, show and abort operations."""


@operation.command("list")
@click.option("--running", "unfinished", is_flag=True, help="Only those that have not ended.")
@limit_option
@json_option
@jsonl_option
@global_options
@click.pass_obj
def list_operations(session: Session, limit: int, *, unfinished: bool) -> None:
    """List operations, the newest first."""
    from postmill.db.reads import operations

    with session.database() as connection:
        rows = operations.listed(connection, limit=limit, unfinished=unfinished)
    session.output.rows(rows, COLUMNS, empty="No operation.")


@operation.command()
@click.argument("operation_id", type=ID)
@click.option("--rows", is_flag=True, help="What became of each message or letter instead.")
@click.option("--outcome", metavar="OUTCOME", help="With --rows: only of those with this outcome.")
@limit_option
@json_option
@jsonl_option
@global_options
@click.pass_obj
def show(session: Session, operation_id: int, outcome: str | None, limit: int, *, rows: bool) -> None:
    """Show how an operation stands."""
    from postmill.db.reads import operations

    if outcome is not None and not rows:
        raise click.UsageError("--outcome is for --rows.")
    with session.database() as connection:
        row = operations.one(connection, operation_id)
        each = operations.outcomes(connection, operation_id, outcome, limit) if rows else []
    if rows:
        session.output.rows(each, ("id", "outcome", "detail"), empty="None yet.")
    else:
        session.output.one(row)


@operation.command()
@click.argument("operation_id", type=ID)
@json_option
@global_options
@click.pass_obj
def abort(session: Session, operation_id: int) -> None:
    """End an operation where it is: what it has done stays done."""
    from postmill.db.reads import operations
    from postmill.db.tools import many

    with session.database() as connection:
        state = many.abort(connection, operation_id)
        row = operations.one(connection, operation_id)
    said = f"Operation {operation_id} is {state}: {row['done']} are done."
    session.output.did(row, said)

"""``postmill error``: failed attempts that are alike, what was decided about them, and another try."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from postmill.cli import completion
from postmill.cli.many import Many, do_to_many, many_pace_options
from postmill.cli.options import global_options, json_option, jsonl_option, limit_option

if TYPE_CHECKING:
    from postmill.cli.session import Session

COLUMNS = (
    "fingerprint",
    "state",
    "failures",
    "messages",
    "queues",
    "error_type",
    "error_message",
    "last_seen",
)


@click.group(no_args_is_help=True)
def error() -> None:
    """List and show errors, decide about them, and try again what failed of one."""


@error.command("list")
@click.argument("queue", required=False, shell_complete=completion.queues)
@click.option("--open", "unsettled", is_flag=True, help="Only those that are neither ignored nor resolved.")
@limit_option
@json_option
@jsonl_option
@global_options
@click.pass_obj
def list_errors(session: Session, queue: str | None, limit: int, *, unsettled: bool) -> None:
    """List errors of QUEUE or of all queues, the one seen last first."""
    from postmill.db.reads import errors

    with session.database() as connection:
        rows = errors.listed(connection, queue, limit=limit, unsettled=unsettled)
    session.output.rows(rows, COLUMNS, empty="No error.")


@error.command()
@click.argument("fingerprint")
@json_option
@global_options
@click.pass_obj
def show(session: Session, fingerprint: str) -> None:
    """Show one error with its latest failed attempts."""
    from postmill.db.reads import errors

    with session.database() as connection:
        session.output.with_failures(errors.one(connection, fingerprint))


@error.command()
@click.argument("fingerprint")
@json_option
@global_options
@click.pass_obj
def resolve(session: Session, fingerprint: str) -> None:
    """Say that an error is mended: it is open again when it is seen again."""
    _decide(session, fingerprint, "resolved")


@error.command()
@click.argument("fingerprint")
@json_option
@global_options
@click.pass_obj
def ignore(session: Session, fingerprint: str) -> None:
    """Say that an error needs nothing to be done, however often it is seen."""
    _decide(session, fingerprint, "ignored")


@error.command()
@click.argument("fingerprint")
@json_option
@global_options
@click.pass_obj
def reopen(session: Session, fingerprint: str) -> None:
    """Say that an error is open."""
    _decide(session, fingerprint, "open")


@error.command()
@click.argument("fingerprint")
@many_pace_options
@json_option
@jsonl_option
@global_options
@click.pass_obj
def retry(session: Session, fingerprint: str, many: Many) -> None:
    """Try again what failed so: messages that wait for their next attempt, and dead letters."""
    from postmill.db.reads import errors

    with session.database() as connection:
        queues = errors.queues(connection, fingerprint)
    for queue in queues:
        for kind in ("retry", "replay"):
            do_to_many(session, kind, queue, many, lambda _: {"fingerprint": fingerprint})


def _decide(session: Session, fingerprint: str, state: str) -> None:
    from postmill.db.tools import many

    with session.database() as connection:
        many.decide(connection, fingerprint, state)
    session.output.did({"fingerprint": fingerprint, "state": state}, f"Error {fingerprint} is {state}.")

"""``postmill dead``: look at dead letters, put them back, or delete them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from postmill.cli import completion
from postmill.cli.many import Many, do_to_many, many_options
from postmill.cli.options import ID, Duration, global_options, json_option, jsonl_option, limit_option

if TYPE_CHECKING:
    from collections.abc import Callable

    from postmill.cli.session import Session
    from postmill.db.tools.connect import Connection

COLUMNS = ("letter_id", "queue", "msg_id", "attempts", "kind", "reason", "died_at")


@click.group(no_args_is_help=True)
def dead() -> None:
    """List, show, replay and discard dead letters."""


@dead.command("list")
@click.argument("queue", required=False, shell_complete=completion.queues)
@click.option("--replayed", is_flag=True, help="Also letters that were put back already.")
@limit_option
@json_option
@jsonl_option
@global_options
@click.pass_obj
def list_letters(session: Session, queue: str | None, limit: int, *, replayed: bool) -> None:
    """List dead letters, the latest first, of QUEUE or of all queues."""
    from postmill.db.reads import letters, overview

    with session.database() as connection:
        if queue is not None:
            overview.queues(connection, queue)
        rows = letters.listed(connection, queue, limit=limit, replayed=replayed)
    session.output.rows(rows, COLUMNS, empty="No dead letter.")


@dead.command()
@click.argument("letter_id", type=ID, shell_complete=completion.letters)
@json_option
@global_options
@click.pass_obj
def show(session: Session, letter_id: int) -> None:
    """Show one dead letter with all its failures."""
    from postmill.db.reads import letters

    with session.database() as connection:
        session.output.with_failures(letters.one(connection, letter_id))


@dead.command()
@click.argument("queue", shell_complete=completion.queues)
@click.argument("letter_ids", type=ID, nargs=-1, metavar="[LETTER_ID]...", shell_complete=completion.letters)
@click.option("--message", "payload", metavar="JSON", help="Replay this instead; with exactly one letter.")
@many_options
@json_option
@jsonl_option
@global_options
@click.pass_obj
def replay(
    session: Session, queue: str, letter_ids: tuple[int, ...], payload: str | None, many: Many
) -> None:
    """Put dead letters back into QUEUE as new messages; --all and --matching ask first."""
    from postmill.db.reads import letters, overview
    from postmill.db.tools import operations

    many.check(bool(letter_ids))
    edited = _edited(payload, letter_ids)
    if many.is_asked_for:
        do_to_many(session, "replay", queue, many)
        return
    chosen = sorted(set(letter_ids))
    with session.database() as connection:
        overview.queues(connection, queue)
        count = letters.count_waiting(connection, queue, chosen)
        letters.check_all_wait(queue, chosen, count, "replayed")
        if many.dry_run:
            session.output.one({"queue": queue, "replayed": False, "letters": count})
            return
        with connection.transaction():
            rows = operations.replay(connection, queue, chosen, edited)
            letters.check_all_wait(queue, chosen, len(rows), "replayed")  # another may have been faster
    session.output.rows(rows, ("letter_id", "msg_id"), empty="Nothing to replay.")
    for row in rows:
        if row["msg_id"] is None:
            session.output.note(f"Letter {row['letter_id']} stays: another message holds its unique key.")


@dead.command()
@click.argument("queue", shell_complete=completion.queues)
@click.argument("letter_ids", type=ID, nargs=-1, metavar="[LETTER_ID]...", shell_complete=completion.letters)
@click.option(
    "--older-than",
    type=Duration(needs_unit=True),
    metavar="TIME",
    help="Letters that died longer ago: 90s, 12h, 30d.",
)
@many_options
@json_option
@global_options
@click.pass_obj
def discard(
    session: Session, queue: str, letter_ids: tuple[int, ...], older_than: float | None, many: Many
) -> None:
    """Delete dead letters of QUEUE that were not replayed: those of the ids, --all, --matching, or
    --older-than.
    """
    from postmill.db.reads import letters, overview
    from postmill.db.tools import operations

    many.check(bool(letter_ids), older_than is not None)
    if not letter_ids:
        do_to_many(session, "discard", queue, many, None if older_than is None else _died(older_than))
        return
    chosen = sorted(set(letter_ids))
    with session.database() as connection:
        overview.queues(connection, queue)
        count = letters.count_waiting(connection, queue, chosen)
        letters.check_all_wait(queue, chosen, count, "discarded")
        if not many.dry_run:
            session.output.confirm(f"This deletes {_letters(count)} of queue {queue}.", yes=many.yes)
            with connection.transaction():
                count = operations.discard(connection, queue, chosen)
                letters.check_all_wait(queue, chosen, count, "discarded")  # another may have been faster
    session.output.one({"queue": queue, "discarded": not many.dry_run, "letters": count})


def _died(older_than: float) -> Callable[[Connection], dict[str, Any]]:
    """The filter for letters that died longer ago."""
    from postmill.db.tools.many import moment_before

    return lambda connection: {"until": moment_before(connection, older_than)}


def _edited(payload: str | None, letter_ids: tuple[int, ...]) -> str | None:
    if payload is None:
        return None
    if len(letter_ids) != 1:
        raise click.UsageError("--message goes with exactly one letter.")
    from postmill.cli.terminal.json_lines import checked

    return checked(os.fsencode(payload), "").decode()


def _letters(count: int) -> str:
    return "1 dead letter" if count == 1 else f"{count} dead letters"

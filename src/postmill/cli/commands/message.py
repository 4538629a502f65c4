"""``postmill message``: look at messages wherever they are, ask why they don't run, retry, cancel and move
them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from postmill.cli import completion
from postmill.cli.many import Many, do_to_many, many_options
from postmill.cli.options import ID, global_options, json_option, jsonl_option, limit_option
from postmill.model.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Callable

    from postmill.cli.session import Session
    from postmill.db.reads.search import Found
    from postmill.db.tools.connect import Connection

STATES = ("scheduled", "ready", "running", "retrying", "waiting", "completed", "dead", "cancelled")
FOUND = ("msg_id", "state", "attempts", "enqueued_at", "last_error", "message")
COLUMNS = ("msg_id", "state", "waits_for", "attempts", "enqueued_at", "vt", "last_error", "message")


@click.group(no_args_is_help=True)
def message() -> None:
    """List, search, show, explain, retry, cancel and move messages."""


@message.command("list")
@click.argument("queue", shell_complete=completion.queues)
@click.option("--state", type=click.Choice(STATES), help="Only messages in this state.")
@click.option("--before", type=ID, metavar="ID", help="Only ids below this one: the next page.")
@limit_option
@json_option
@jsonl_option
@global_options
@click.pass_obj
def list_messages(session: Session, queue: str, state: str | None, before: int | None, limit: int) -> None:
    """List the messages of QUEUE, newest first, with those that are done."""
    from postmill.db.reads import messages

    with session.database() as connection:
        rows = messages.listed(connection, queue, state=state, limit=limit, before=before)
    session.output.rows(rows, COLUMNS, empty="No message.")


@message.command()
@click.argument("text", nargs=-1, required=True)
@click.option("--before", type=ID, metavar="ID", help="Only ids below this one: the next page.")
@limit_option
@json_option
@jsonl_option
@global_options
@click.pass_obj
def search(session: Session, text: tuple[str, ...], before: int | None, limit: int) -> None:
    """Find messages, newest first: queue:mail state:dead error:Timeout since:1h payload.user.id=7 "a text".

    It looks for two seconds at most, and says how far it came.
    """
    from dataclasses import asdict

    from postmill.db.reads.search import search as searched
    from postmill.model.search.language import parse

    wanted = parse(" ".join(text))
    with session.database() as connection:
        found = searched(connection, wanted, limit=limit, below=before)
    if session.output.form == "json":
        session.output.one(asdict(found))
        return
    session.output.rows(found.rows, FOUND, empty="No message matches.")
    session.output.note(_looked(found, wanted.queue))


def _looked(found: Found, queue: str | None) -> str:
    """How far a search came."""
    back_to = f", back to {found.back_to:%Y-%m-%d %H:%M:%S %Z}" if found.back_to else ""
    more = f" The next page: --before {found.next_below}" if found.next_below else " That is all."
    cut = " A statement took too long and was ended." if found.is_cut else ""
    index = f" An index finds them at once: index create {queue} {found.index_on}" if found.index_on else ""
    ids = f"ids {found.low} to {found.high}" if found.low <= found.high else "no id"
    return f"Looked at {ids}{back_to}.{cut}{more}{index}"


@message.command()
@click.argument("queue", shell_complete=completion.queues)
@click.argument("msg_id", type=ID)
@json_option
@global_options
@click.pass_obj
def show(session: Session, queue: str, msg_id: int) -> None:
    """Show one message: why it does not run, if it does not, and its failures."""
    from postmill.db.reads import messages

    with session.database() as connection:
        found = messages.one(connection, queue, msg_id)
    if session.output.is_text:
        del found["waits_for"]  # the first of the causes
        found["why"] = "; ".join(cause["said"] for cause in found["why"]) or None
    session.output.with_failures(found)


@message.command()
@click.argument("queue", shell_complete=completion.queues)
@click.argument("msg_id", type=ID)
@json_option
@global_options
@click.pass_obj
def why(session: Session, queue: str, msg_id: int) -> None:
    """Say why a message does not run at this moment, the cause that decides first, or where it is."""
    from postmill.db.reads import messages

    with session.database() as connection:
        rows = messages.why(connection, queue, msg_id)
    session.output.rows(rows, ("cause", "said", "until"))


@message.command()
@click.argument("queue", shell_complete=completion.queues)
@click.argument("msg_ids", type=ID, nargs=-1, metavar="[MSG_ID]...")
@many_options
@json_option
@global_options
@click.pass_obj
def cancel(session: Session, queue: str, msg_ids: tuple[int, ...], many: Many) -> None:
    """Cancel messages: one that waits is taken out, one that runs is asked to stop."""
    from postmill.db.tools import operations

    _act(session, "cancel", queue, msg_ids, many, operations.cancel)


@message.command()
@click.argument("queue", shell_complete=completion.queues)
@click.argument("msg_ids", type=ID, nargs=-1, metavar="[MSG_ID]...")
@many_options
@json_option
@global_options
@click.pass_obj
def retry(session: Session, queue: str, msg_ids: tuple[int, ...], many: Many) -> None:
    """Have messages run now: one that waits for its time or its next attempt, or that is dead."""
    from postmill.db.tools import operations

    _act(session, "retry", queue, msg_ids, many, operations.retry)


@message.command()
@click.argument("queue", shell_complete=completion.queues)
@click.argument("msg_ids", type=ID, nargs=-1, metavar="[MSG_ID]...")
@click.option(
    "--to", "target", required=True, metavar="QUEUE", shell_complete=completion.queues, help="Where they go."
)
@many_options
@json_option
@global_options
@click.pass_obj
def move(session: Session, queue: str, msg_ids: tuple[int, ...], target: str, many: Many) -> None:
    """Put messages that wait into another queue, as new messages there."""
    many.check(bool(msg_ids))
    do_to_many(session, "move", queue, many, _those(msg_ids), target)


def _act(
    session: Session,
    kind: str,
    queue: str,
    msg_ids: tuple[int, ...],
    many: Many,
    one: Callable[[Connection, str, int], str],
) -> None:
    """Do it to the messages that are named, each by ``one``, or to many by an operation."""
    many.check(bool(msg_ids))
    if many.is_asked_for or many.dry_run:
        do_to_many(session, kind, queue, many, _those(msg_ids))
    else:
        _each(session, queue, msg_ids, one)


def _those(msg_ids: tuple[int, ...]) -> Callable[[Connection], dict[str, Any]] | None:
    """The filter for the messages that are named; None when it is said otherwise which."""
    return (lambda _: {"ids": sorted(set(msg_ids))}) if msg_ids else None


def _each(
    session: Session, queue: str, msg_ids: tuple[int, ...], act: Callable[[Connection, str, int], str]
) -> None:
    """Do it to each message, and fail when one of them is not there."""
    with session.database() as connection:
        rows = [{"msg_id": number, "outcome": act(connection, queue, number)} for number in msg_ids]
    session.output.rows(rows, ("msg_id", "outcome"))
    missing = [str(row["msg_id"]) for row in rows if row["outcome"] == "not found"]
    if missing:
        raise NotFound(
            f"Not in queue {queue}: {', '.join(missing)}.",
            why="They are done or were never sent.",
            hint=f"postmill message show {queue} {missing[0]}",
        )

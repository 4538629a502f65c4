"""``postmill index``: the indexes by which searches find a value in messages that are done or dead."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from postmill.cli import completion
from postmill.cli.options import global_options, json_option, jsonl_option, yes_option

if TYPE_CHECKING:
    from postmill.cli.session import Session

COLUMNS = ("queue", "place", "table_name", "state", "size_bytes", "created_at")


@click.group(no_args_is_help=True)
def index() -> None:
    """List, create and drop the indexes by which searches find a value."""


@index.command("list")
@click.argument("queue", required=False, shell_complete=completion.queues)
@json_option
@jsonl_option
@global_options
@click.pass_obj
def list_indexes(session: Session, queue: str | None) -> None:
    """List the indexes of QUEUE, or of all queues: one on its archive and one on its dead letters."""
    from postmill.db.reads import overview, search_indexes

    with session.database() as connection:
        if queue is not None:
            overview.queues(connection, queue)
        rows = search_indexes.listed(connection, queue)
    hint = f"No index yet: postmill index create {queue or 'QUEUE'} payload.user.id"
    session.output.rows(rows, COLUMNS, empty=hint)


@index.command()
@click.argument("queue", shell_complete=completion.queues)
@click.argument("path")
@json_option
@jsonl_option
@global_options
@click.pass_obj
def create(session: Session, queue: str, path: str) -> None:
    """Have searches for PATH=VALUE find messages of QUEUE that are done or dead by an index.

    PATH is a place as a search has it: payload.user.id, header.x. Sends and workers go on while it is built.
    When that is interrupted, the same command goes on with it.
    """
    from postmill.db.tools import search_indexes

    with session.database() as connection:
        rows = search_indexes.create(
            connection, queue, path, lambda table: session.output.note(f"Building an index on {table} ...")
        )
    session.output.rows(rows, COLUMNS)


@index.command()
@click.argument("queue", shell_complete=completion.queues)
@click.argument("path")
@yes_option
@json_option
@global_options
@click.pass_obj
def drop(session: Session, queue: str, path: str, *, yes: bool) -> None:
    """Drop the indexes of PATH; searches for it look at each message again."""
    from postmill.db.tools import search_indexes

    place = search_indexes.place_in(path)
    with session.database() as connection:
        search_indexes.droppable(connection, queue, path)  # before a person is asked about it
        question = f"This drops the indexes of queue {queue} on {place}; to build them again takes a while."
        session.output.confirm(question, yes=yes)
        search_indexes.drop(connection, queue, path)
    session.output.one({"queue": queue, "place": place, "dropped": True})

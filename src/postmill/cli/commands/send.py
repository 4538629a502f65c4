"""``postmill send``: one message from the command line, or many from a file of JSON lines."""

from __future__ import annotations

import os
import stat
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from postmill.cli import completion
from postmill.cli.message_options import asked, delay_option, message_options
from postmill.cli.options import Duration, Moment, global_options, json_option, jsonl_option
from postmill.cli.terminal import streams
from postmill.cli.waiting import check_waiting, print_result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from postmill.cli.session import Session
    from postmill.db.tools.connect import Connection
    from postmill.model.queue.sent import Sent

LONG_INPUT_BYTES = 4 * 1024 * 1024
"""A file of at least this size gets a progress bar. A smaller one than 4 MiB is sent before a bar could be
read.
"""


@click.command()
@click.argument("queue", shell_complete=completion.queues)
@click.argument("payload", metavar="[JSON]", required=False)
@click.option(
    "-f", "--file", "source", metavar="FILE", help="JSON lines, one message a line; - is standard input."
)
@delay_option("Deliver it not before so much from now: 90s, 15min, 12h.")
@click.option(
    "--run-at",
    type=Moment(),
    metavar="TIME",
    help="Deliver it not before: 2030-01-31T09:00+01:00, or 09:00.",
)
@message_options
@click.option("--after", multiple=True, metavar="QUEUE:ID", help="A message to wait for; may be repeated.")
@click.option(
    "--on-source-dead",
    type=click.Choice(["cancel", "skip", "block"]),
    default="cancel",
    show_default=True,
    help="What to do when a message that this one waits for dies.",
)
@click.option(
    "--shard-key",
    metavar="KEY",
    help="What decides in which of several databases it lives, such as a tenant.",
)
@click.option("--create", is_flag=True, help="Create the queue when there is none of that name.")
@click.option("--wait", is_flag=True, help="Wait until the message has ended, and print its result.")
@click.option(
    "--timeout",
    "timeout_s",
    type=Duration(),
    metavar="TIME",
    help="With --wait: how long, such as 30s or 5min (default: as long as it takes).",
)
@json_option
@jsonl_option
@global_options
@click.pass_obj
def send(
    session: Session,
    /,
    queue: str,
    payload: str | None,
    source: str | None,
    delay: float | None,
    run_at: datetime | None,
    *,
    shard_key: str | None,
    create: bool,
    wait: bool,
    timeout_s: float | None,
    **job: Any,
) -> None:
    """Send JSON to QUEUE and print the message's id.

    A file is sent as a whole or not at all: a line that is not JSON, or a lost connection, leaves nothing
    behind. A header's value is a string unless it reads as JSON. A message to send later is {"queue":
    "emails", "message": {}}, with delay_s, headers, unique_key, priority and group_key as you like.

    With --wait the result is printed in place of the id, on a queue whose worker keeps results. Exit code 9
    says that the message is dead, 10 that it was cancelled, and 7 that the time was up.
    """
    _check_source(payload, source)
    check_waiting(wait=wait, timeout_s=timeout_s, source=source)
    options = {"delay": delay, "run_at": run_at, **_asked(job)}
    text = None if payload is None else _argument(payload)
    options["headers"] = _at_home(session, queue, text, shard_key, options.get("headers"))
    with _opened(source) as (file, total), session.database() as connection:
        _check_queue(session, connection, queue, create=create)
        if text is not None or file is None:
            ids = _send_one(connection, queue, text or b"", options)
        else:
            ids = _send_lines(connection, queue, file, total, options)
    if wait:
        print_result(session, queue, ids[0], timeout_s)
        return
    _print_ids(session, queue, ids, keyed=job["unique_key"] is not None)


def _print_ids(session: Session, queue: str, ids: Sequence[Sent], *, keyed: bool) -> None:
    rows = [{"msg_id": int(sent), **({"existed": sent.existed} if keyed else {})} for sent in ids]
    session.output.rows(rows, ("msg_id",), heading=False)
    session.output.note(_told(queue, ids))


def _told(queue: str, ids: Sequence[Sent]) -> str:
    new = sum(not sent.existed for sent in ids)
    told = f"Sent {new} message{'' if new == 1 else 's'} to {queue}."
    return told if new == len(ids) else f"{told} {len(ids) - new} had a unique key that was taken."


def _asked(job: dict[str, Any]) -> dict[str, Any]:
    """What the message asks for beside its time, checked before a database is started or opened."""
    from postmill.client import sending

    found = asked(job)
    sending.one("a", None, **found)
    return found


def _at_home(session: Session, queue: str, text: bytes | None, key: str | None, headers: Any) -> Any:
    """Choose the database in which the messages live, and return their headers, with the key in them."""
    import msgspec

    from postmill.client import placing
    from postmill.client.home import check_no_key

    databases = session.settings.databases
    if databases is None:
        check_no_key(key)
        return headers
    payload = None if text is None else msgspec.json.decode(text)
    if session.settings.is_chosen and key is None:
        return headers
    name, found = placing.home(databases, queue, payload, key)
    session.choose(name)
    return placing.kept(found, headers)


def _check_source(payload: str | None, source: str | None) -> None:
    """Check the arguments before anything is opened: a usage error must not start a database."""
    if payload is not None and source is not None:
        raise click.UsageError("Give the JSON as an argument or with --file, not both.")
    if payload is None and source is None:
        raise click.UsageError("""Give the JSON, for example '{"name": "world"}', or --file.""")
    if source == "-" and streams.was_input_closed():
        raise click.UsageError("Standard input is closed: there is nothing to send.")
    if source not in {None, "-"} and not Path(str(source)).exists():
        raise click.BadParameter(f"There is no file {source}.", param_hint="--file")
    if source is not None and Path(source).is_dir():
        raise click.BadParameter(f"{source} is a folder.", param_hint="--file")


def _argument(payload: str) -> bytes:
    from postmill.cli.terminal.json_lines import checked

    return checked(os.fsencode(payload), "")


def _check_queue(session: Session, connection: Connection, queue: str, *, create: bool) -> None:
    """Refuse a queue that is not there, or make it."""
    from postmill.db.tools import operations

    if not create:
        operations.check_queue(connection, queue)
    elif operations.create_queue(connection, queue):
        session.output.note(f"Created queue {queue}.")


def _send_one(connection: Connection, queue: str, text: bytes, options: dict[str, Any]) -> Sequence[Sent]:
    import msgspec

    from postmill.client import Client

    return [Client(connection).send(queue, msgspec.Raw(text), **options)]


def _send_lines(
    connection: Connection, queue: str, file: BinaryIO, total: int | None, options: dict[str, Any]
) -> Sequence[Sent]:
    from postmill.cli.terminal.json_lines import JsonLines
    from postmill.client import Client

    with _progress(total) as advance, connection.transaction():
        lines = JsonLines(file, advance)
        with lines.placing_errors():
            return Client(connection).send_many(queue, lines, **options)


@contextmanager
def _opened(source: str | None) -> Iterator[tuple[BinaryIO | None, int | None]]:
    """The file of lines and its size in bytes where that is known: a pipe (``<(command)``) has none.

    Opened before the database: a file that can't be read leaves nothing behind.
    """
    if source in {None, "-"}:
        yield (None if source is None else sys.stdin.buffer), None
        return
    with Path(str(source)).open("rb") as file:
        found = os.fstat(file.fileno())
        yield file, found.st_size if stat.S_ISREG(found.st_mode) else None


@contextmanager
def _progress(total: int | None) -> Iterator[Callable[[int], None]]:
    """A bar for long input on a terminal; elsewhere nothing."""
    if not sys.stderr.isatty() or os.environ.get("CI") or total is None or total < LONG_INPUT_BYTES:
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("sending", total=total)
        yield lambda count: progress.advance(task, count)

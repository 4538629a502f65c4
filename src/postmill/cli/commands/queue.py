"""``postmill queue``: look at queues, and change them. What destroys something asks first."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import click

from postmill.cli import completion
from postmill.cli.options import (
    Duration,
    Whole,
    dry_run_option,
    global_options,
    json_option,
    jsonl_option,
    yes_option,
)

if TYPE_CHECKING:
    from postmill.cli.session import Session

FOREVER = "forever"
EACH_GROUP = "*"
COLUMNS = (
    "queue",
    "ready",
    "running",
    "retrying",
    "scheduled",
    "waiting",
    "dead",
    "oldest_ready_s",
    "oldest_waiting_s",
    "workers",
    "paused_at",
)


LIMITS = ("of", "max_running", "starts", "per_s", "running", "waiting", "next_start_at")


@click.group(no_args_is_help=True)
def queue() -> None:
    """List, create, limit, pause, purge and drop queues."""


@queue.command("list")
@json_option
@global_options
@click.pass_obj
def list_queues(session: Session) -> None:
    """List queues with what is in them."""
    from postmill.db.reads import overview

    hint = "No queue yet: postmill queue create NAME"
    session.output.rows(session.gathered(overview.queues), session.columns(COLUMNS), empty=hint)


@queue.command()
@click.argument("name", shell_complete=completion.queues)
@json_option
@global_options
@click.pass_obj
def show(session: Session, name: str) -> None:
    """Show one queue."""
    from postmill.db.reads import overview

    with session.database() as connection:
        session.output.one(overview.queues(connection, name)[0])


@queue.command()
@click.argument("name")
@json_option
@global_options
@click.pass_obj
def create(session: Session, name: str) -> None:
    """Create a queue; one that is here already is left as it is.

    Among several databases: in each that takes new messages of it, or in the one of --database.
    """
    from postmill import app
    from postmill.db.tools import operations

    if not session.several:
        with session.database() as connection:
            created = operations.create_queue(connection, name)
        session.output.one({"queue": name, "created": created})
        return
    rows = []
    for settings in session.homes(name):
        with app.connection(settings) as connection:
            created = operations.create_queue(connection, name)
        rows.append({"database": settings.database, "queue": name, "created": created})
    session.output.rows(rows, ("database", "queue", "created"))


@queue.command()
@click.argument("name", shell_complete=completion.queues)
@click.option("--force", is_flag=True, help="Also when dead letters would be lost.")
@yes_option
@dry_run_option
@json_option
@global_options
@click.pass_obj
def drop(session: Session, name: str, *, force: bool, yes: bool, dry_run: bool) -> None:
    """Drop a queue with its messages, its archive and its history."""
    from postmill.db.reads import overview
    from postmill.db.tools import operations, search_indexes

    with session.database() as connection:
        stats = overview.queues(connection, name, exactly=True)[0]
        if not dry_run:
            held = f"messages ({stats['total']}) and dead letters ({stats['dead']})"
            session.output.confirm(f"This drops {name}, its archive, {held}.", yes=yes)
            operations.drop_queue(connection, name, force=force)
            search_indexes.drop_all(connection, name)
    session.output.one(
        {"queue": name, "dropped": not dry_run, "messages": stats["total"], "dead_letters": stats["dead"]}
    )


@queue.command()
@click.argument("name", shell_complete=completion.queues)
@yes_option
@dry_run_option
@json_option
@global_options
@click.pass_obj
def purge(session: Session, name: str, *, yes: bool, dry_run: bool) -> None:
    """Delete every message of a queue that is not running; archive and dead letters stay."""
    from postmill.db.reads import overview
    from postmill.db.tools import operations

    with session.database() as connection:
        stats = overview.queues(connection, name, exactly=True)[0]
        count = stats["total"] - stats["running"]
        if not dry_run:
            session.output.confirm(f"This deletes {count} messages of queue {name}.", yes=yes)
            count = operations.purge_queue(connection, name)
    session.output.one({"queue": name, "purged": not dry_run, "messages": count})


@queue.command()
@click.argument("name", shell_complete=completion.queues)
@click.option("--reason", metavar="TEXT", help="Why: shown with the queue.")
@json_option
@global_options
@click.pass_obj
def pause(session: Session, name: str, reason: str | None) -> None:
    """Stop workers from taking messages; what runs goes on, and sending works as before."""
    from postmill.db.tools import operations

    with session.database() as connection:
        operations.pause(connection, name, reason)
    session.output.one({"queue": name, "paused": True})


@queue.command()
@click.argument("name", shell_complete=completion.queues)
@json_option
@global_options
@click.pass_obj
def resume(session: Session, name: str) -> None:
    """Let workers take messages again."""
    from postmill.db.tools import operations

    with session.database() as connection:
        operations.resume(connection, name)
    session.output.one({"queue": name, "paused": False})


class Retention(Duration):
    """As :class:`Duration`, or ``forever``: None."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Infinity stands for ``forever``: click takes None for "not given"."""
        return math.inf if value == FOREVER else super().convert(value, param, ctx)


@queue.command()
@click.argument("name", shell_complete=completion.queues)
@click.argument("keep", type=Retention(needs_unit=True), required=False, metavar="[TIME|forever]")
@click.option(
    "--max-rows",
    type=Whole(min=0, max=2**63 - 1),
    metavar="N",
    help="The oldest of more archived messages go, however young they are. Without it, a TIME alone decides.",
)
@yes_option
@json_option
@global_options
@click.pass_obj
def retention(session: Session, name: str, keep: float | None, max_rows: int | None, *, yes: bool) -> None:
    """Show or set how long a queue keeps what is finished: 12h, 30d, 4w or forever.

    It asks when something that is kept now would be deleted.
    """
    from postmill.db.reads import limits, overview
    from postmill.db.tools import operations

    if keep is None and max_rows is not None:
        raise click.UsageError(
            f"Say for how long as well: postmill queue retention {name} 7d --max-rows {max_rows}"
        )
    with session.database() as connection:
        overview.queues(connection, name)
        if keep is not None:
            keep_s = None if math.isinf(keep) else keep
            if lost := operations.lost_by_retention(connection, name, keep_s, max_rows):
                session.output.confirm(f"This deletes {' and '.join(lost)} of queue {name} soon.", yes=yes)
            operations.set_retention(connection, name, keep_s, max_rows)
        found = limits.retention(connection, name)
    if session.output.is_text:
        most = found["archive_max_rows"]
        found = {
            "archive": _kept(found["archive_s"]),
            "archived messages": "any number" if most is None else f"at most {most}",
            "history": _kept(found["history_s"]),
        }
    session.output.one({"queue": name, **found})


def _kept(seconds: float | None) -> str:
    from postmill.cli.terminal.table import age

    return FOREVER if seconds is None else age(seconds)


@queue.command()
@click.argument("name", shell_complete=completion.queues)
@click.option(
    "--group", "--group-key", "group_key", metavar="KEY", help="Limit this group; * is each group by itself."
)
@click.option("--max-running", type=Whole(min=1), metavar="N", help="How many run at once.")
@click.option("--starts", type=Whole(min=1), metavar="N", help="How many start within --per.")
@click.option("--per", type=Duration(), metavar="TIME", help="The time of --starts: 1s, 1m, 1h.")
@click.option("--remove", is_flag=True, help="Remove the limits.")
@json_option
@jsonl_option
@global_options
@click.pass_obj
def limit(
    session: Session,
    name: str,
    group_key: str | None,
    max_running: int | None,
    starts: int | None,
    per: float | None,
    *,
    remove: bool,
) -> None:
    """Show or set the limits of a queue over all its workers, or of its groups.

    Each call says all of it: a limit that is left out is removed. What runs is not interrupted.
    """
    from postmill.client import Client
    from postmill.db.reads import limits, overview

    wanted: dict[str, Any] = {"max_running": max_running, "starts": starts, "per": per}
    _check_limits(wanted, remove=remove)
    if group_key == "":
        raise click.UsageError("--group '' names no group. Leave it out for the queue; * is each group.")
    with session.database() as connection:
        overview.queues(connection, name)
        if remove or max_running is not None or starts is not None:
            if group_key is None:
                Client(connection).limit_queue(name, **wanted)
            else:
                key = None if group_key == EACH_GROUP else group_key
                Client(connection).limit_groups(name, group_key=key, **wanted)
        found = [{**row, "of": _limited(row)} for row in limits.of_queue(connection, name)]
    session.output.rows(found, LIMITS, empty=f"Queue {name} has no limits.")


def _check_limits(limits: dict[str, Any], *, remove: bool) -> None:
    if (limits["starts"] is None) != (limits["per"] is None):
        raise click.UsageError("--starts and --per go together: --starts 10 --per 1m.")
    if remove and any(value is not None for value in limits.values()):
        raise click.UsageError("Give --remove, or the limits to set, not both.")


def _limited(row: dict[str, Any]) -> str:
    if row["group_key"] is None:
        return "each group"
    return f"group {row['group_key']}" if row["group_key"] else "queue"


@queue.command()
@click.argument("name", shell_complete=completion.queues)
@click.option("--off", is_flag=True, help="Take messages in the order of their ids again.")
@click.option(
    "--aging", type=Duration(), metavar="TIME", help="How much waiting counts as a step of priority."
)
@json_option
@global_options
@click.pass_obj
def priority(session: Session, name: str, aging: float | None, *, off: bool) -> None:
    """Let workers take messages of a higher priority first.

    This makes an index on the queue's table; sends, claims and settlements wait while it is built.
    """
    from postmill.client import Client

    if off and aging is not None:
        raise click.UsageError("Give --off or --aging, not both.")
    with session.database() as connection:
        client = Client(connection)
        if off:
            client.disable_priority(name)
        else:
            client.enable_priority(name, aging=aging)
    session.output.one({"queue": name, "priority": not off})

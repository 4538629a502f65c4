"""``postmill schedule``: what is sent again and again, when it was and when it will be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from postmill.cli import completion
from postmill.cli.commands import schedule_adding
from postmill.cli.options import (
    Whole,
    embedded_option,
    global_options,
    json_option,
    jsonl_option,
    limit_option,
    yes_option,
)

if TYPE_CHECKING:
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from postmill.cli.session import Session
    from postmill.model.schedule.recurrence import Recurrence

COLUMNS = (
    "schedule",
    "state",
    "recurrence",
    "timezone",
    "fires",
    "next_at",
    "last_at",
    "last_status",
    "problem",
)
RUN_COLUMNS = ("tick", "status", "msg_id", "call_id", "flow_run", "ended_at", "reason")
_name = click.argument("name", shell_complete=completion.schedules)


@click.group(no_args_is_help=True)
@click.pass_obj
def schedule(session: Session) -> None:
    """Send messages, make calls, start flows and run SQL again and again: list, add, pause, run and remove
    schedules.
    """
    session.part = "schedules"


@schedule.command("list")
@json_option
@jsonl_option
@global_options
@click.pass_obj
def list_schedules(session: Session) -> None:
    """List schedules with their next and last tick."""
    from postmill.db.tools import schedules

    with session.database() as connection:
        found = schedules.listed(connection)
    hint = "No schedule yet: postmill schedule add NAME '*/5 * * * *' QUEUE '{}'"
    session.output.rows(found, COLUMNS, empty=hint)


@schedule.command()
@_name
@json_option
@global_options
@click.pass_obj
def show(session: Session, name: str) -> None:
    """Show one schedule, in plain English too."""
    from postmill.db.tools import schedules
    from postmill.model.schedule.recurrence import recurrence

    with session.database() as connection:
        found = schedules.one(connection, name)
    words = found["problem"] or recurrence(found["recurrence"]).explain()
    session.output.one({"schedule": name, "means": words, **found})


@schedule.command()
@_name
@limit_option
@json_option
@jsonl_option
@global_options
@click.pass_obj
def runs(session: Session, name: str, limit: int) -> None:
    """List the last runs of a schedule, and what became of their messages, calls or SQL."""
    from postmill.db.tools import schedules

    with session.database() as connection:
        found = schedules.runs(connection, name, limit=limit)
    session.output.rows(found, RUN_COLUMNS, empty=f"{name} has not fired yet.")


@schedule.command()
@embedded_option
@global_options
@click.pass_obj
def work(session: Session, *, embedded: bool) -> None:
    """Fire schedules and run their SQL commands until Ctrl-C or SIGTERM, and nothing else.

    For a process whose login has nothing but the role postmill_scheduler (see postmill migrate --roles): it
    runs the commands of other users, and sends messages without the right to read them.
    """
    from postmill import app
    from postmill.cli.terminal import log_lines, streams

    streams.keep_running()
    streams.print_at_once()
    log_lines.configure(session.settings.log_level, session.settings.log_format, development=False)
    app.run_schedules(session.settings, embedded=embedded, on_database=session.tell_database)


@schedule.command()
@_name
@json_option
@global_options
@click.pass_obj
def run(session: Session, name: str) -> None:
    """Fire a schedule now, beside its ticks; a paused one too."""
    from postmill.client import Client

    with session.database() as connection:
        sent = Client(connection).run_schedule(name)
    said = f"{name} has sent message {sent:d}." if sent is not None else f"{name} has fired."
    session.output.did({"schedule": name, "msg_id": sent and int(sent)}, said)


@schedule.command()
@_name
@json_option
@global_options
@click.pass_obj
def pause(session: Session, name: str) -> None:
    """Let a schedule fire no more until it is resumed; ticks that pass meanwhile are gone."""
    from postmill.client import Client

    with session.database() as connection:
        Client(connection).pause_schedule(name)
    session.output.one({"schedule": name, "paused": True})


@schedule.command()
@_name
@json_option
@global_options
@click.pass_obj
def resume(session: Session, name: str) -> None:
    """Let a paused schedule fire again, from its next tick on."""
    from postmill.client import Client

    with session.database() as connection:
        Client(connection).resume_schedule(name)
    session.output.one({"schedule": name, "paused": False})


@schedule.command()
@_name
@yes_option
@json_option
@global_options
@click.pass_obj
def remove(session: Session, name: str, *, yes: bool) -> None:
    """Remove a schedule and the list of its runs; what it has sent stays."""
    from postmill.client import Client
    from postmill.db.tools import schedules

    with session.database() as connection:
        schedules.one(connection, name)
        session.output.confirm(f"This removes the schedule {name} and the list of its runs.", yes=yes)
        Client(connection).unschedule(name)
    session.output.one({"schedule": name, "removed": True})


@schedule.command("next")
@click.argument("name", metavar="NAME|SCHEDULE", shell_complete=completion.schedules)
@click.option("-n", "count", type=Whole(1, 1000), default=5, show_default=True, help="How many ticks.")
@click.option("--timezone", default="UTC", show_default=True, metavar="ZONE", help="Of a SCHEDULE.")
@json_option
@jsonl_option
@global_options
@click.pass_obj
def next_ticks(session: Session, name: str, count: int, timezone: str) -> None:
    """Show the next ticks of a schedule, in its own time zone and in yours.

    In place of a name an expression may stand, such as '30 2 * * *': nothing is asked of the database then.
    """
    import datetime

    from postmill.db.tools import schedules
    from postmill.model.schedule.recurrence import recurrence, zone_of

    when = name
    if " " not in name and not name.startswith("@"):
        with session.database() as connection:
            found = schedules.one(connection, name)
        when, timezone = found["recurrence"], found["timezone"]
    ticks = _ticks(recurrence(when), zone_of(timezone), datetime.datetime.now(datetime.UTC), count)
    session.output.note(f"{recurrence(when).explain()} ({timezone})")
    shown = [_shown(tick, timezone) for tick in ticks]
    session.output.rows(shown, (timezone, "here"), heading=True, empty="No clock knows when that is.")


for _command in schedule_adding.COMMANDS:
    schedule.add_command(_command)


def _ticks(known: Recurrence, zone: ZoneInfo, after: datetime, count: int) -> list[datetime]:
    from postmill.model.schedule.recurrence import NEVER

    found: list[datetime] = []
    while len(found) < count and (after := known.after(after, zone)) < NEVER:
        found.append(after.astimezone(zone))
    return found


def _shown(tick: datetime, timezone: str) -> dict[str, Any]:
    return {
        "tick": tick,
        timezone: f"{tick:%a %Y-%m-%d %H:%M:%S %z}",
        "here": f"{tick.astimezone():%a %H:%M:%S %z}",
    }

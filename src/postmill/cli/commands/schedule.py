"""``postmill schedule``: what is sent again and again, when it was and when it will be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from postmill.cli import completion
from postmill.cli.call_options import callee_options, check_callee
from postmill.cli.message_options import asked, delay_option, message_options
from postmill.cli.options import (
    AnyCallable,
    Duration,
    Whole,
    embedded_option,
    global_options,
    json_option,
    jsonl_option,
    limit_option,
    yes_option,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
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


def _tick_options(*, overlap: str, catch_up: str) -> Callable[[AnyCallable], AnyCallable]:
    """What a schedule does with its ticks; the two texts say what that is for what it fires."""

    def add(command: AnyCallable) -> AnyCallable:
        command = _rule("--catch-up", ["none", "one", "all"], "one", catch_up)(command)
        command = _rule("--overlap", ["skip", "queue", "allow"], "skip", overlap)(command)
        return click.option(
            "--timezone", default="UTC", show_default=True, metavar="ZONE", help="Of the times of day."
        )(command)

    return add


def _rule(name: str, choices: Sequence[str], default: str, text: str) -> Callable[[AnyCallable], AnyCallable]:
    return click.option(name, type=click.Choice(choices), default=default, show_default=True, help=text)


@click.group(no_args_is_help=True)
def schedule() -> None:
    """Send messages, make calls, start flows and run SQL again and again: list, add, pause, run and remove
    schedules.
    """


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
@click.argument("name")
@click.argument("when", metavar="SCHEDULE")
@click.argument("queue", shell_complete=completion.queues)
@click.argument("payload", metavar="[JSON]", default="{}")
@_tick_options(
    overlap="While the message of the last tick is not done: send none, one that waits for it, or one at "
    "once.",
    catch_up="Of ticks that passed while nothing ran: send none, one for all of them, or all.",
)
@click.option("--jitter", type=Duration(), default="0s", metavar="TIME", help="Deliver up to so much later.")
@delay_option("Deliver each so much after its tick.")
@message_options
@json_option
@global_options
@click.pass_obj
def add(session: Session, /, name: str, when: str, queue: str, payload: str, **options: Any) -> None:
    """Send JSON to QUEUE whenever SCHEDULE says; a schedule of that NAME is changed.

    SCHEDULE is a cron expression of five fields ('0 9 * * mon-fri'), a name (@daily) or '30 seconds'. It
    fires where worker run, dev or serve runs.
    """
    import msgspec

    from postmill.cli.terminal.json_lines import checked
    from postmill.client import Client, scheduling
    from postmill.model.schedule.recurrence import recurrence

    message, how = msgspec.Raw(checked(payload.encode(), "")), asked(options)
    scheduling.making(name, queue, message, when, **how)  # a mistake must not start a database
    words = recurrence(when).explain()
    with session.database() as connection:
        Client(connection).schedule(name, queue, message, when, **how)
    session.output.did({"schedule": name, "queue": queue, "means": words}, f"{name}: {words}, to {queue}.")


@schedule.command("add-sql")
@click.argument("name")
@click.argument("when", metavar="SCHEDULE")
@click.argument("command", metavar="SQL")
@_tick_options(
    overlap="While the last run is not done: run nothing, run it afterwards, or run it beside that one.",
    catch_up="Of ticks that passed while nothing ran: run none, one for all of them, or all.",
)
@json_option
@global_options
@click.pass_obj
def add_sql(session: Session, /, name: str, when: str, command: str, **options: Any) -> None:
    """Run SQL whenever SCHEDULE says; a schedule of that NAME is changed.

    It runs as the user of the database who adds it. A process runs the commands of its own login; those of
    other users need a login with the role postmill_scheduler.
    """
    from postmill.client import Client, scheduling
    from postmill.db.tools import schedules
    from postmill.model.schedule.recurrence import recurrence

    scheduling.commanding(name, command, when, **options)  # a mistake must not start a database
    words = recurrence(when).explain()
    with session.database() as connection:
        Client(connection).schedule_sql(name, command, when, **options)
        run_as = schedules.one(connection, name)["run_as"]
    session.output.did({"schedule": name, "run_as": run_as, "means": words}, f"{name}: {words}, as {run_as}.")


@schedule.command("add-call")
@click.argument("name")
@click.argument("when", metavar="SCHEDULE")
@callee_options
@click.option("--body", metavar="JSON", help="What is sent; by default nothing.")
@click.option("--method", default="POST", show_default=True, metavar="METHOD", help="Of HTTP.")
@click.option("--timeout", type=Duration(), default="5s", show_default=True, help="Of each attempt.")
@click.option("--max-attempts", type=Whole(1, 100), default=1, show_default=True, help="Of each call.")
@_tick_options(
    overlap="While the call of the last tick has not ended: make none, one that waits for it, or one "
    "at once.",
    catch_up="Of ticks that passed while nothing ran: make no call, one for all of them, or all.",
)
@click.option("--jitter", type=Duration(), default="0s", metavar="TIME", help="Call up to so much later.")
@json_option
@global_options
@click.pass_obj
def add_call(session: Session, /, name: str, when: str, body: str | None, **options: Any) -> None:
    """Call a URL or a function whenever SCHEDULE says; a schedule of that NAME is changed.

    Each call is made as the role of the database who adds it, where serve, dev or calls run makes calls.
    """
    import msgspec

    from postmill.cli.terminal.json_lines import checked
    from postmill.client import Client, scheduling
    from postmill.db.tools import schedules
    from postmill.model.schedule.recurrence import recurrence

    check_callee(options["function"], options["url"])
    how = {**options, "body": None if body is None else msgspec.Raw(checked(body.encode(), ""))}
    scheduling.calling(name, when, **how)  # a mistake must not start a database
    words = recurrence(when).explain()
    with session.database() as connection:
        Client(connection).schedule_call(name, when, **how)
        made = schedules.one(connection, name)
    shown = {"schedule": name, "fires": made["fires"], "run_as": made["run_as"], "means": words}
    session.output.did(shown, f"{name}: {words}, {made['fires']}, as {made['run_as']}.")


@schedule.command("add-flow")
@click.argument("name")
@click.argument("when", metavar="SCHEDULE")
@click.argument("flow")
@click.argument("given", metavar="[JSON]", default="{}")
@click.option("--timezone", default="UTC", show_default=True, metavar="ZONE", help="Of the times of day.")
@_rule(
    "--overlap",
    ["skip", "allow"],
    "skip",
    "While the run of a tick before has not ended: start none, or one beside it.",
)
@_rule(
    "--catch-up",
    ["none", "one", "all"],
    "one",
    "Of ticks that passed while nothing ran: start no run, one for all of them, or all.",
)
@click.option("--jitter", type=Duration(), default="0s", metavar="TIME", help="Start up to so much later.")
@json_option
@global_options
@click.pass_obj
def add_flow(session: Session, /, name: str, when: str, flow: str, given: str, **options: Any) -> None:
    """Start a run of FLOW with the input JSON whenever SCHEDULE says; a schedule of that NAME is changed."""
    import msgspec

    from postmill.cli.terminal.json_lines import checked
    from postmill.client import Client, scheduling
    from postmill.model.schedule.recurrence import recurrence

    text = msgspec.Raw(checked(given.encode(), ""))
    scheduling.starting(name, flow, text, when, **options)  # a mistake must not start a database
    words = recurrence(when).explain()
    with session.database() as connection:
        Client(connection).schedule_flow(name, flow, when, text, **options)
    session.output.did({"schedule": name, "flow": flow, "means": words}, f"{name}: {words}, flow {flow}.")


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

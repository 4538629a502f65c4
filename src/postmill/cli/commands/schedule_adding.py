"""The commands of ``postmill schedule`` that add one: of a message, of SQL, of a call, of a flow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from postmill.cli import completion
from postmill.cli.call_options import callee_options, check_callee
from postmill.cli.message_options import asked, delay_option, message_options
from postmill.cli.options import AnyCallable, Duration, Whole, global_options, json_option

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from postmill.cli.session import Session


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


@click.command()
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


@click.command("add-sql")
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
        schedules.check_syntax(connection, command)
        Client(connection).schedule_sql(name, command, when, **options)
        run_as = schedules.one(connection, name)["run_as"]
    session.output.did({"schedule": name, "run_as": run_as, "means": words}, f"{name}: {words}, as {run_as}.")


@click.command("add-call")
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


@click.command("add-flow")
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

    text = msgspec.Raw(checked(given.encode(), "", "input"))
    scheduling.starting(name, flow, text, when, **options)  # a mistake must not start a database
    words = recurrence(when).explain()
    with session.database() as connection:
        Client(connection).schedule_flow(name, flow, when, text, **options)
    session.output.did({"schedule": name, "flow": flow, "means": words}, f"{name}: {words}, flow {flow}.")


COMMANDS = (add, add_call, add_flow, add_sql)

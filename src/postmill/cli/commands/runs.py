"""``postmill run``: start runs of flows, look at them, watch them, and steer them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from postmill.cli import completion
from postmill.cli.options import Duration, Whole, global_options, json_option, jsonl_option, limit_option
from postmill.cli.run_options import run_argument, steering
from postmill.model.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from postmill.cli.session import Session

STATES = ("running", "waiting", "paused", "undoing", "completed", "failed", "cancelled")
COLUMNS = (
    "run_id",
    "flow",
    "version",
    "state",
    "blocked",
    "culprit",
    "reason",
    "key",
    "tags",
    "started_at",
    "ended_at",
)
STEP_COLUMNS = (
    "step",
    "kind",
    "state",
    "tasks_done",
    "tasks_failed",
    "tasks",
    "attempts",
    "took_s",
    "undone_at",
    "reason",
    "output",
)
FAILURE_COLUMNS = ("step", "item", "attempt", "reason", "failed_at")


@click.group(no_args_is_help=True)
@click.pass_obj
def run(session: Session) -> None:
    """Start runs of flows, list, show and watch them, and steer them."""
    session.part = "flows"


@run.command()
@click.argument("flow", shell_complete=completion.flows)
@click.argument("given", metavar="[JSON]", default="{}")
@click.option("--key", metavar="KEY", help="One run of the flow has it: a second start gives that run.")
@click.option("--delay", type=Duration(), metavar="TIME", help="Begin so much later.")
@click.option("--deadline", type=Duration(), metavar="TIME", help="The run fails when it takes longer.")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="To find it by; may be repeated.")
@click.option("--priority", type=Whole(0, 9), help="Of its tasks; higher first.")
@click.option("--version", type=Whole(1), help="Of the flow (default: the newest).")
@click.option("--watch", "watched", is_flag=True, help="Watch it until it has ended, and print its result.")
@json_option
@global_options
@click.pass_obj
def start(
    session: Session, /, flow: str, given: str, *, tags: Sequence[str], watched: bool, **options: Any
) -> None:
    """Start a run of FLOW with JSON as its input, and print the run's id."""
    import msgspec

    from postmill.cli.terminal.json_lines import checked
    from postmill.cli.watching import print_result, watch
    from postmill.client import Client

    its_input = msgspec.Raw(checked(given.encode(), "", "input"))
    with session.database() as connection:
        run_id = Client(connection).runs.start(flow, its_input, tags=list(tags), **options)
        if not watched:
            session.output.rows([{"run_id": run_id, "flow": flow}], ("run_id",), heading=False)
            session.output.note(f"Started run {run_id} of {flow}.")
            return
        watch(session, connection, run_id)
        print_result(session, connection, run_id)


@run.command("list")
@click.option("--flow", metavar="FLOW", help="Only runs of this flow.", shell_complete=completion.flows)
@click.option("--state", type=click.Choice(STATES), help="Only runs in this state.")
@click.option("--tag", metavar="TAG", help="Only runs with this tag.")
@click.option("--blocked", is_flag=True, help="Only runs that do not go on by themselves.")
@limit_option
@json_option
@jsonl_option
@global_options
@click.pass_obj
def list_runs(
    session: Session, flow: str | None, state: str | None, tag: str | None, limit: int, *, blocked: bool
) -> None:
    """List runs, the newest first, with what holds them up."""
    from postmill.db.tools import runs

    with session.database() as connection:
        found = runs.listed(connection, runs.Filter(flow, state, tag), blocked=blocked, limit=limit)
    session.output.rows(found, COLUMNS, empty="No run. To start one: postmill run start FLOW '{}'")


@run.command()
@run_argument
@json_option
@global_options
@click.pass_obj
def show(session: Session, run_id: int) -> None:
    """Show one run with its steps and their outputs, failed items of maps, and attempts to be repeated."""
    from postmill.db.tools import runs

    with session.database() as connection:
        found = runs.one(connection, run_id)
        found["failures"] = runs.failures(connection, run_id)
    if not session.output.is_text:
        session.output.one(found)
        return
    steps, failures = found.pop("steps"), found.pop("failures")
    session.output.one({name: value for name, value in found.items() if value not in (None, [])})
    click.echo()
    session.output.rows(steps, STEP_COLUMNS, empty="No step has begun.")
    if failures:
        click.echo("\nfailures")
        session.output.rows(failures, FAILURE_COLUMNS)


@run.command()
@run_argument
@json_option
@global_options
@click.pass_obj
def watch(session: Session, run_id: int) -> None:
    """Watch a run until it has ended: its steps light up; off a terminal a line tells of each change.

    With --json each change is one line of JSON. Exit code 9 says that the run has failed, 10 that it was
    cancelled.
    """
    from postmill.cli import watching

    with session.database() as connection:
        watching.watch(session, connection, run_id)


@run.command()
@run_argument
@click.option("--wait", "wait_s", type=Duration(), metavar="TIME", help="Wait so long for its end: 90s, 2h.")
@json_option
@global_options
@click.pass_obj
def result(session: Session, run_id: int, wait_s: float | None) -> None:
    """Print the result of a run as JSON: what a workflow returned; of a graph flow, by name, what the steps
    gave that no other step needs.

    Exit code 7 says that it has not ended, 9 that it has failed, 10 that it was cancelled.
    """
    from postmill.cli import watching

    with session.database() as connection:
        watching.print_result(session, connection, run_id, wait_s)


cancel = steering(run, "cancel", "End runs as cancelled. What they have done is not undone.", reasoned=True)
pause = steering(run, "pause", "Let runs start nothing more until they are resumed.", reasoned=True)
resume = steering(run, "resume", "Let paused runs go on.")
retry = steering(run, "retry", "Let failed runs go on: what has succeeded stays.")


@run.command()
@run_argument
@click.argument("step", required=False)
@click.option("--input", "given", metavar="JSON", help="Instead of the run's input.")
@click.option("--outputs", metavar="JSON", help='Of steps that are done: {"step": output}.')
@json_option
@global_options
@click.pass_obj
def fork(session: Session, run_id: int, step: str | None, given: str | None, outputs: str | None) -> None:
    """Start a new run that is as the run outside of STEP and what needs it; without STEP all is done anew."""
    from postmill.cli.terminal.json_lines import checked
    from postmill.db.tools import runs

    edited = [
        None if text is None else checked(text.encode(), "", called).decode()
        for text, called in ((given, "input"), (outputs, "value of --outputs"))
    ]
    with session.database() as connection:
        made = runs.fork(connection, run_id, step, *edited)
    session.output.rows([{"run_id": made, "forked_from": run_id}], ("run_id",), heading=False)
    session.output.note(f"Run {made} goes on from run {run_id}.")


@run.command()
@run_argument
@click.argument("name")
@click.argument("value", metavar="[JSON]", default="null")
@click.option("--many", is_flag=True, help="One of a queue: each wait for it gets the next one.")
@json_option
@global_options
@click.pass_obj
def signal(session: Session, run_id: int, name: str, value: str, *, many: bool) -> None:
    """Send a run the signal NAME with JSON as its value."""
    from postmill.cli.run_options import send_signal

    send_signal(session, run_id, name, value, many=many)


@run.command()
@run_argument
@click.argument("value", metavar="[JSON]", default="true")
@click.option("--step", metavar="STEP", help="Which of several waits (default: the only one).")
@json_option
@global_options
@click.pass_obj
def approve(session: Session, run_id: int, value: str, step: str | None) -> None:
    """Answer the approval that a run waits for with JSON, by default true."""
    from postmill.cli.run_options import send_signal
    from postmill.db.tools import runs

    with session.database() as connection:
        name = runs.awaited_signal(connection, run_id, step)
    send_signal(session, run_id, name, value, many=False)


@run.command("export")
@run_argument
@global_options
@click.pass_obj
def export(session: Session, run_id: int) -> None:
    """Print a run with all that is kept of it as one JSON document."""
    from postmill.cli.terminal.text import json_text
    from postmill.db.tools import runs

    with session.database() as connection:
        click.echo(json_text(runs.exported(connection, run_id)))


@run.command("import")
@click.argument("source", type=click.Path(allow_dash=True), metavar="FILE")
@json_option
@global_options
@click.pass_obj
def import_document(session: Session, source: str) -> None:
    """Make a run of a document that export has printed; - is standard input.

    A run that had not ended is paused: postmill run resume lets it go on.
    """
    from postmill.cli.terminal.json_lines import checked
    from postmill.db.tools import runs

    try:
        with click.open_file(source, "rb") as file:
            document = checked(file.read(), "", "document").decode()
    except OSError as error:
        raise NotFound(f"{source} can't be read.", why=f"{error.strerror}.") from error
    with session.database() as connection:
        made = runs.imported(connection, document)
        state = runs.one(connection, made)["state"]
    session.output.rows([{"run_id": made, "state": state}], ("run_id",), heading=False)
    session.output.note(f"Run {made} is {state}.")

"""``postmill flow``: the flows that programs have registered, their shapes, and how two of these differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from postmill.cli import completion
from postmill.cli.options import Whole, global_options, json_option, jsonl_option, limit_option

if TYPE_CHECKING:
    from postmill.cli.session import Session

COLUMNS = ("flow", "version", "kind", "queue", "steps", "live", "registered_at")
STEP_COLUMNS = ("step", "kind", "needs", "when", "on_unmet", "on_dead", "signal")
_name = click.argument("name", metavar="FLOW", shell_complete=completion.flows)
_version = click.option("--version", type=Whole(1), metavar="N", help="Of the flow (default: the newest).")


@click.group(no_args_is_help=True)
@click.pass_obj
def flow(session: Session) -> None:
    """List, show, compare and draw flows, and run one that a program has."""
    session.part = "flows"


@flow.command("list")
@limit_option
@json_option
@jsonl_option
@global_options
@click.pass_obj
def list_flows(session: Session, limit: int) -> None:
    """List flows with their newest version, and how many of their runs have not ended."""
    from postmill.db.tools import runs

    with session.database() as connection:
        found = runs.flows(connection, limit=limit)
    session.output.rows(
        found, COLUMNS, empty="No flow yet. A worker registers it: postmill worker run MODULE:FLOW"
    )


@flow.command()
@_name
@_version
@json_option
@global_options
@click.pass_obj
def show(session: Session, name: str, version: int | None) -> None:
    """Show a version of a flow with its steps."""
    from postmill.cli import flow_shapes
    from postmill.db.tools import runs

    with session.database() as connection:
        found = runs.flow(connection, name, version)
    if not session.output.is_text:
        session.output.one(found)
        return
    steps = flow_shapes.steps(found.pop("shape"))
    session.output.one(found)
    click.echo()
    session.output.rows(steps, STEP_COLUMNS, empty="Its steps are known by its code only.")


@flow.command()
@_name
@click.argument("before", type=Whole(1), required=False)
@click.argument("after", type=Whole(1), required=False)
@json_option
@jsonl_option
@global_options
@click.pass_obj
def diff(session: Session, name: str, before: int | None, after: int | None) -> None:
    """Compare two versions of a flow, by default the last two; or MODULE:FLOW with what is registered.

    Runs stay on the version that they were started with. What is no part of a shape (retries, time limits,
    windows, queues) is not compared.
    """
    from postmill.cli import flow_shapes
    from postmill.db.tools import runs

    if ":" in name:
        program = flow_shapes.of_program(name)
        with session.database() as connection:
            old = runs.flow(connection, program.name, before)
        new: dict[str, Any] = {"version": "program", "shape": program.shape}
    else:
        with session.database() as connection:
            new = runs.flow(connection, name, after)
            old = runs.flow(connection, name, before or flow_shapes.version_before(new))
    found = flow_shapes.differences(old["shape"], new["shape"])
    session.output.rows(
        found,
        ("change", "step", "what", "before", "after"),
        empty=f"Version {old['version']} has the same shape.",
    )


@flow.command()
@_name
@_version
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "mermaid"]),
    default="text",
    show_default=True,
    help="Of what is drawn.",
)
@global_options
@click.pass_obj
def graph(session: Session, name: str, version: int | None, form: str) -> None:
    """Draw the steps of a flow and what they need; also of MODULE:FLOW, without a database."""
    from postmill.cli import flow_shapes
    from postmill.db.tools import runs

    if ":" in name:
        shape: dict[str, Any] = flow_shapes.of_program(name).shape
    else:
        with session.database() as connection:
            shape = runs.flow(connection, name, version)["shape"]
    if not shape["steps"]:
        session.output.note(f"{name} is a durable function: its code alone knows its steps. It has no graph.")
        return
    for line in flow_shapes.drawn(shape, form):
        click.echo(line)


@flow.command()
@click.argument("target", metavar="MODULE:FLOW", shell_complete=completion.targets)
@click.argument("given", metavar="[JSON]", default="{}")
@click.option("--watch", "watched", is_flag=True, help="Do its steps here, and show them until it has ended.")
@json_option
@global_options
@click.pass_obj
def run(session: Session, target: str, given: str, *, watched: bool) -> None:
    """Register the flow that a program has, and start a run of it with JSON as its input.

    With --watch its steps are done here until the run has ended, beside what workers do; the last line is
    the run's result as JSON. Without it workers do them: postmill worker run MODULE:FLOW.
    """
    import msgspec

    from postmill.cli import flow_shapes
    from postmill.cli.terminal.json_lines import checked
    from postmill.cli.watched_work import work_and_watch
    from postmill.client import Client

    its_input = msgspec.Raw(checked(given.encode(), "", "input"))
    program = flow_shapes.of_program(target)
    with session.database() as connection:
        flow_shapes.register(connection, program)
        run_id = Client(connection).runs.start(program.name, its_input)
    if watched:
        work_and_watch(session, target, run_id)
        return
    session.output.rows([{"run_id": run_id, "flow": program.name}], ("run_id",), heading=False)
    session.output.note(
        f"Started run {run_id} of {program.name}. To do its steps: postmill worker run {target}"
    )

"""What several commands of ``postmill run`` share: how a run is named, and how one or many are steered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from postmill.cli import completion
from postmill.cli.options import (
    ID,
    Duration,
    dry_run_option,
    global_options,
    json_option,
    jsonl_option,
    yes_option,
)

if TYPE_CHECKING:
    from postmill.cli.session import Session
    from postmill.db.tools.connect import Connection
    from postmill.db.tools.runs import Action

run_argument = click.argument("run_id", type=ID, metavar="RUN", shell_complete=completion.runs)
ENDED = {"cancel": "cancelled", "pause": "paused", "resume": "resumed", "retry": "retried"}


def steering(group: click.Group, action: Action, summary: str, *, reasoned: bool = False) -> click.Command:
    """The command ``action`` of ``group``: for the runs that are named, or for all that match a filter."""

    def steer(session: Session, /, run_ids: tuple[int, ...], **options: Any) -> None:
        _steer(session, action, run_ids, **options)

    command = click.pass_obj(steer)
    if reasoned:
        command = click.option("--reason", metavar="TEXT", help="Why, for whoever looks at it later.")(
            command
        )
    for add in reversed((*_FILTERS, yes_option, dry_run_option, json_option, jsonl_option, global_options)):
        command = add(command)
    command = click.argument(
        "run_ids", type=ID, nargs=-1, metavar="[RUN]...", shell_complete=completion.runs
    )(command)
    text = f"{summary}\n\nGive runs, or a filter: then all that match all of it and can be {ENDED[action]}."
    return group.command(action, help=text)(command)


_FILTERS = (
    click.option("--flow", metavar="FLOW", help="All of this flow.", shell_complete=completion.flows),
    click.option("--state", metavar="STATE", help="All in this state."),
    click.option("--tag", metavar="TAG", help="All with this tag."),
    click.option(
        "--older-than",
        "older_than_s",
        type=Duration(needs_unit=True),
        metavar="TIME",
        help="All that were started longer ago: 90s, 12h, 30d.",
    ),
)


def _steer(
    session: Session,
    action: Action,
    run_ids: tuple[int, ...],
    *,
    yes: bool,
    dry_run: bool,
    reason: str | None = None,
    **filters: Any,
) -> None:
    from postmill.db.tools import runs

    wanted = runs.Filter(**filters)
    if bool(run_ids) != wanted.is_empty:
        raise click.UsageError("Give runs, or a filter such as --flow.")
    with session.database() as connection:
        if run_ids:
            found = _each(connection, action, run_ids, reason, dry_run=dry_run)
        else:
            found = runs.steer(connection, action, wanted, reason, dry_run=True)
            if not found and wanted.flow is not None:
                runs.flow(connection, wanted.flow)  # refuses one that is not there
            if found and not dry_run:
                session.output.confirm(f"{len(found)} runs are {ENDED[action]}.", yes=yes)
                seen = None if yes else len(found)
                found = runs.steer(connection, action, wanted, reason, dry_run=False, expected=seen)
    session.output.rows(found, ("run_id", "flow", "state", "done"), empty="No such run.")


def _each(
    connection: Connection, action: Action, run_ids: tuple[int, ...], reason: str | None, *, dry_run: bool
) -> list[dict[str, Any]]:
    """Do it to each; the first that can't is an error, and nothing is done to those after it."""
    from postmill.db.tools import runs

    found = []
    for run_id in dict.fromkeys(run_ids):
        done = False if dry_run else runs.act(connection, action, run_id, reason)
        found.append({**_named(runs.one(connection, run_id)), "done": done})
    return found


def _named(run: dict[str, Any]) -> dict[str, Any]:
    return {name: run[name] for name in ("run_id", "flow", "state")}


def send_signal(session: Session, run_id: int, name: str, value: str, *, many: bool) -> None:
    """Send it. Raises ``Refused`` when the run does not take it."""
    from postmill.cli.terminal.json_lines import checked
    from postmill.db.tools import runs

    text = checked(value.encode(), "", "value").decode()
    with session.database() as connection:
        runs.signal(connection, run_id, name, text, many=many)
    session.output.did({"run_id": run_id, "signal": name}, f"Sent {name} to run {run_id}.")

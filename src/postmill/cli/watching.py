"""Watching a run until it ends: its steps light up on a terminal; elsewhere a line tells of each change."""

from __future__ import annotations

import datetime
import sys
import time
from typing import TYPE_CHECKING, Any

import click

from postmill.cli.terminal import streams
from postmill.cli.terminal import text as terminal_text

if TYPE_CHECKING:
    from postmill.cli.session import Session
    from postmill.db.tools.connect import Connection

LOOK_EVERY_S = 0.2
"""Seconds between two looks: as often as an eye notices, and a thousandth of a server's time."""
ENDS = frozenset({"completed", "failed", "cancelled"})


def watch(session: Session, connection: Connection, run_id: int, *, says_why: bool = True) -> None:
    """Show the run until it has ended. ``says_why``: a remark says what holds it up, each thing once; a
    terminal always shows that. Raises ``RunFailed``, ``RunCancelled`` and ``NotFound``.
    """
    from postmill.db.tools import runs

    found = runs.one(connection, run_id)
    if session.output.is_text and sys.stdout.isatty():
        ended = _on_terminal(connection, found)
    else:
        ended = _line_by_line(session, connection, found, says_why=says_why)
    check_end(ended)


def print_result(session: Session, connection: Connection, run_id: int, wait_s: float | None = None) -> None:
    """Print what the run gives: its JSON as the database has it. ``wait_s``: how long its end is waited for.
    Raises ``RunFailed``, ``RunCancelled``, ``ResultTimedOut`` and ``NotFound``.
    """
    from postmill.client import Client
    from postmill.db.tools import runs
    from postmill.model.errors import ResultTimedOut

    client, until = Client(connection).runs, time.monotonic() + (wait_s or 0)
    while not (found := client.state(run_id)).has_ended and time.monotonic() < until:
        streams.check_reader()
        time.sleep(min(LOOK_EVERY_S, max(0.0, until - time.monotonic())))
    if not found.has_ended:
        raise ResultTimedOut(
            f"Run {run_id} has not ended{f' within {wait_s:g} s' if wait_s else ''}.",
            why=f"It is {found.state}.",
            hint=f"Wait for it: postmill run result {run_id} --wait 1h; or look: postmill run show {run_id}",
            state=found.state,
        )
    if found.state != "completed":
        check_end(runs.one(connection, run_id))
    result = found.output_json or "null"
    click.echo(result if session.output.is_text else f'{{"run_id": {run_id}, "result": {result}}}')


def check_end(run: dict[str, Any]) -> None:
    """Raises ``RunFailed`` or ``RunCancelled`` for a run that was not completed."""
    from postmill.model.errors import RunCancelled, RunFailed

    named = f"Run {run['run_id']} of {run['flow']}"
    if run["state"] == "cancelled":
        raise RunCancelled(f"{named} was cancelled.", why=run["reason"] or "")
    if run["state"] == "failed":
        at = f"Step {run['culprit']}: " if run["culprit"] else ""
        raise RunFailed(
            f"{named} has failed.",
            why=f"{at}{run['reason']}.",
            hint=f"postmill run show {run['run_id']}; when it is mended: postmill run retry {run['run_id']}",
            run_id=run["run_id"],
            culprit=run["culprit"],
            reason=run["reason"],
        )


def _on_terminal(connection: Connection, run: dict[str, Any]) -> dict[str, Any]:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    from postmill.cli.terminal.output import ellipsis_of
    from postmill.cli.terminal.run_view import lines
    from postmill.db.tools import runs

    console, plain = Console(), ellipsis_of(sys.stdout) == "..."
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
        while True:
            now = datetime.datetime.now(datetime.UTC)
            shown = "\n".join(lines(run, now=now, height=console.height, plain=plain))
            live.update(Text.from_ansi(shown, no_wrap=True), refresh=True)
            if run["state"] in ENDS:
                return run
            streams.check_reader()
            time.sleep(LOOK_EVERY_S)
            run = runs.one(connection, run["run_id"])


def _line_by_line(
    session: Session, connection: Connection, run: dict[str, Any], *, says_why: bool
) -> dict[str, Any]:
    from postmill.db.tools import runs

    position, told, whys = None, set[str](), {None}
    while True:
        position, found = runs.changes(connection, run["run_id"], position)
        texts = {terminal_text.encoded(change): change for change in found}
        fresh = [text for text in texts if text not in told]  # a change may be told again and again
        told.update(fresh)
        for text in fresh:
            click.echo(_line(texts[text]) if session.output.is_text else text)
        sys.stdout.flush()
        run = runs.one(connection, run["run_id"])
        if run["state"] in ENDS and not fresh:
            return run
        if says_why and run["blocked"] not in whys:
            whys.add(run["blocked"])
            session.output.note(f"Run {run['run_id']}: {run['blocked']}")
        streams.check_reader()
        time.sleep(0 if run["state"] in ENDS else LOOK_EVERY_S)


def _line(change: dict[str, Any]) -> str:
    match change["what"]:
        case "event":
            parts = [change["step"] or "", change["name"], terminal_text.encoded(change["value"])]
        case "step":
            done = (
                None
                if change["tasks"] is None
                else f"{change['tasks'] - change['tasks_left']}/{change['tasks']}"
            )
            parts = [change["step"], change["state"], *filter(None, (done, change["reason"]))]
        case _:
            parts = [f"run {change['run_id']}", change["state"], *filter(None, [change["reason"]])]
    return terminal_text.one_line(" ".join(filter(None, parts)))

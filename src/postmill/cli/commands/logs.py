"""``postmill logs``: the log of the functions and their host."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from postmill.cli.options import Whole, global_options, jsonl_option

if TYPE_CHECKING:
    from postmill.cli.session import Session


@click.command()
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@click.option("--function", metavar="NAME", help="Only the lines of this function.")
@click.option(
    "-n",
    "--lines",
    type=Whole(0, 1_000_000),
    default=100,
    show_default=True,
    help="The last N lines.",
    metavar="N",
)
@jsonl_option
@global_options
@click.pass_obj
def logs(session: Session, *, follow: bool, function: str | None, lines: int) -> None:
    """Show the log of this project's functions, and follow it with -f."""
    from postmill.cli.terminal import log_file, log_lines
    from postmill.cli.terminal.text import encoded

    text = log_lines.TextLines(colour=log_lines.may_colour(sys.stdout))
    found = log_file.read(session.settings.project_dir, function=function, last=lines, follow=follow)
    line = None
    for line in found:
        click.echo(text.format(_record(line)) if session.output.is_text else encoded(line))
    if line is None and function is not None:
        session.output.note(
            f"The log has no line of {function}. postmill functions list shows the functions."
        )


def _record(line: dict[str, Any]) -> Any:
    """The log record that a line was made from."""
    import logging

    fields = dict(line)
    at, level, event = fields.pop("at", ""), fields.pop("level", "info"), fields.pop("event", "")
    record = logging.makeLogRecord({"msg": event, "fields": fields})
    record.levelno = logging.getLevelNamesMapping().get(str(level).upper(), logging.INFO)
    try:
        record.created = datetime.fromisoformat(at).timestamp()
    except (TypeError, ValueError):
        record.created = 0.0
    return record

"""``postmill calls``: HTTP requests that were asked for in SQL, and queues whose messages are calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from postmill.cli.call_options import callee_options, check_callee
from postmill.cli.options import (
    ID,
    Duration,
    Whole,
    embedded_option,
    global_options,
    json_option,
    jsonl_option,
    limit_option,
    probe_options,
)

if TYPE_CHECKING:
    from postmill.cli.session import Session

COLUMNS = ("call_id", "state", "method", "function", "url", "status_code", "attempts", "at", "error")
STATES = ("waiting", "running", "retrying", "answered", "failed", "unknown")


@click.group(no_args_is_help=True)
def calls() -> None:
    """Make HTTP requests that are asked for in SQL, list and show them."""


@calls.command()
@probe_options
@embedded_option
@global_options
@click.pass_obj
def run(session: Session, *, probe: tuple[str, int] | None, embedded: bool) -> None:
    """Make calls until Ctrl-C or SIGTERM.

    The first signal lets calls that run end, for up to 10 s; a second one cuts them. postmill serve and
    postmill dev make calls too. Call queues of functions run here when calls.functions_url is set.
    """
    from postmill import app
    from postmill.cli import dev_child
    from postmill.cli.terminal import log_lines, streams

    streams.keep_running()
    streams.print_at_once()
    is_child = dev_child.end_with_parent()
    settings = session.settings
    log_lines.configure(settings.log_level, settings.log_format, development=is_child)
    app.check_database_is_named(settings, embedded=embedded)
    with app.database(settings) as where:
        if not app.prepare_once_up(settings, where):
            return
        if not is_child:
            session.tell_database(settings, where)
        app.run_calls(
            settings,
            where,
            lambda running: session.output.note(f"Stopping: {running} calls run."),
            probe,
        )


@calls.command("list")
@click.option("--state", type=click.Choice(STATES), help="Only calls in this state.")
@limit_option
@json_option
@jsonl_option
@global_options
@click.pass_obj
def list_calls(session: Session, *, state: str | None, limit: int) -> None:
    """List calls, those that have not ended first; ended ones are kept for six hours."""
    from postmill.db.tools import calls as tools

    with session.database() as connection:
        found = tools.listed(connection, state=state, limit=limit)
    session.output.rows(found, COLUMNS, empty="No call. In SQL: select postmill.call('https://...')")


@calls.command()
@click.argument("call_id", type=ID, metavar="ID")
@json_option
@global_options
@click.pass_obj
def show(session: Session, call_id: int) -> None:
    """Show one call and its answer."""
    from postmill.db.tools import calls as tools

    with session.database() as connection:
        session.output.one(tools.one(connection, call_id))


@calls.command("create-queue")
@click.argument("name")
@callee_options
@click.option(
    "--workers", type=Whole(1), default=4, show_default=True, help="Calls at once, over all processes."
)
@click.option("--max-attempts", type=Whole(1, 100), default=3, show_default=True, help="Of each message.")
@click.option("--timeout", type=Duration(), default="1min", show_default=True, help="Of each call.")
@json_option
@global_options
@click.pass_obj
def create_queue(
    session: Session,
    name: str,
    *,
    function: str | None,
    url: str | None,
    headers: dict[str, str],
    workers: int,
    max_attempts: int,
    timeout: float,
) -> None:
    """Create a queue whose messages are calls, or change the one of that NAME."""
    from postmill.cli.terminal.text import encoded
    from postmill.db.tools import calls as tools

    check_callee(function, url)
    with session.database() as connection:
        tools.create_queue(connection, name, function, url, encoded(headers), workers, max_attempts, timeout)
    session.output.did(
        {"queue": name, "workers": workers}, f"{name} calls {function or url}, {workers} at once."
    )

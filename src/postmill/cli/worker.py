"""``postmill worker``: run workers in this process, list the ones that run anywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from postmill.cli.options import global_options, json_option, jsonl_option, limit_option

if TYPE_CHECKING:
    from postmill.cli.session import Session

COLUMNS = (
    "worker",
    "queue",
    "state",
    "in_flight",
    "max_concurrent",
    "host",
    "pid",
    "heartbeat_age_s",
    "started_at",
)


@click.group(no_args_is_help=True)
def worker() -> None:
    """Run workers, and list those that run."""


@worker.command()
@click.argument("targets", nargs=-1, required=True, metavar="MODULE:NAME...")
@global_options
@click.pass_obj
def run(session: Session, targets: tuple[str, ...]) -> None:
    """Run one or more workers until Ctrl-C or SIGTERM.

    MODULE:NAME is an importable module and the worker's name in it, such as worker:greet. Several share one
    process and its connections. Ctrl-C drains: what runs is finished, nothing new is taken; twice forces.
    """
    from postmill import app
    from postmill.cli import log_lines

    settings = session.settings
    log_lines.configure(settings.log_level, settings.log_format)
    app.run_workers(settings, targets)


@worker.command("list")
@click.option("--all", "everyone", is_flag=True, help="Also those that stopped or are silent.")
@limit_option
@json_option
@jsonl_option
@global_options
@click.pass_obj
def list_workers(session: Session, *, everyone: bool, limit: int) -> None:
    """List workers that are alive: their heartbeat is at most 6 s old."""
    from postmill.db import reads

    with session.database() as connection:
        rows = reads.workers(connection, everyone=everyone, limit=limit)
        session.output.rows(rows, COLUMNS, empty="No worker is running.")

"""``postmill worker``: run workers in this process; list the ones that run anywhere, and have one stop."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import click

from postmill.cli import completion
from postmill.cli.lifetime_options import lifetime_options, processes_option
from postmill.cli.options import (
    embedded_option,
    global_options,
    json_option,
    jsonl_option,
    limit_option,
    probe_options,
    schedules_option,
)
from postmill.cli.release_options import release_options

if TYPE_CHECKING:
    from collections.abc import Callable

    from postmill.cli.session import Session
    from postmill.fleet.line import Line
    from postmill.model.config.lifetime import Lifetime
    from postmill.model.config.release import Release

COUNT_EVERY_S = 1.0
"""Seconds between two counts of the messages that still run while a worker drains: as often as a person can
read a line.
"""
COLUMNS = (
    "worker_id",
    "worker",
    "queue",
    "state",
    "in_flight",
    "max_concurrent",
    "host",
    "pid",
    "version",
    "heartbeat_age_s",
    "started_at",
)


@click.group(no_args_is_help=True)
def worker() -> None:
    """Run workers, list those that run, and have one stop."""


@worker.command()
@click.argument(
    "targets", nargs=-1, required=True, metavar="MODULE[:NAME]...", shell_complete=completion.targets
)
@processes_option
@lifetime_options
@release_options
@probe_options
@schedules_option
@embedded_option
@global_options
@click.pass_obj
def run(
    session: Session,
    targets: tuple[str, ...],
    *,
    probe: tuple[str, int] | None,
    embedded: bool,
    lifetime: Lifetime,
    release: Release,
    processes: int | None,
) -> int:
    """Run one or more workers until Ctrl-C or SIGTERM.

    MODULE:NAME is an importable module and the worker's name in it, such as worker:greet; without a name all
    workers and flows of it run, in one process. Ctrl-C drains: what runs is finished; twice forces.
    """
    from postmill import app
    from postmill.cli import dev_child
    from postmill.cli.terminal import log_lines, streams
    from postmill.fleet import line

    streams.keep_running()
    streams.print_at_once()
    is_child = dev_child.end_with_parent()
    settings = session.settings
    log_lines.configure(settings.log_level, settings.log_format, development=is_child)
    to_parent = line.to_parent()
    if processes is not None and to_parent is None:
        return _run_several(processes, probe)
    lifetime, probe = _as_child(to_parent, lifetime, probe) if to_parent else (lifetime, probe)
    app.run_workers(
        settings,
        targets,
        embedded=embedded,
        on_drain=Draining(session.output.note),
        on_database=None if is_child or to_parent is not None else session.tell_database,
        probe=probe,
        lifetime=lifetime,
        release=release,
    )
    return 0


def _run_several(processes: int, probe: tuple[str, int] | None) -> int:
    """Be the parent of processes with this command line. Returns the exit code."""
    import asyncio
    import sys

    from postmill.cli.exit_codes import Exit
    from postmill.fleet.parent import Fleet

    status = asyncio.run(Fleet(sys.argv[1:], processes, None if probe is None else probe[1]).run())
    return status if status in tuple(Exit) else Exit.FAILED


def _as_child(
    to_parent: Line, lifetime: Lifetime, probe: tuple[str, int] | None
) -> tuple[Lifetime, tuple[str, int] | None]:
    """What is different for a process that a parent has started."""
    from dataclasses import replace

    told = replace(lifetime, on_started=to_parent.started, on_worn=to_parent.worn)
    return told, None if probe is None else (probe[0], to_parent.port or 0)


class Draining:
    """Says how many messages still run when a stop was asked for, and again whenever that number has
    changed.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._asked = False

    def __call__(self, count: Callable[[], int]) -> None:
        """At each request to stop: the first drains, another one forces."""
        if self._asked:
            self._say("Forcing: what still runs is cancelled and comes back to the queue.")
            return
        self._asked = True
        running = count()
        self._say(f"Draining: {_messages(running)}." + (" Ctrl-C again to force." if running else ""))
        threading.Thread(target=self._follow, args=(count, running), daemon=True).start()

    def _follow(self, count: Callable[[], int], last: int) -> None:
        while last:
            time.sleep(COUNT_EVERY_S)
            if (running := count()) != last:
                last = running
                self._say(f"Draining: {_messages(running)}.")


def _messages(running: int) -> str:
    return f"{running} message{'' if running == 1 else 's'} still running" if running else "nothing runs"


@worker.command("list")
@click.option("--all", "everyone", is_flag=True, help="Also those that stopped or are silent.")
@limit_option
@json_option
@jsonl_option
@global_options
@click.pass_obj
def list_workers(session: Session, *, everyone: bool, limit: int) -> None:
    """List workers that are alive: their heartbeat is at most 6 s old."""
    from postmill.db.reads import workers

    rows = session.gathered(lambda connection: workers.listed(connection, everyone=everyone, limit=limit))
    session.output.rows(rows, session.columns(COLUMNS), empty="No worker is running.")


@worker.command()
@click.argument("worker_id", metavar="[ID]", required=False, shell_complete=completion.worker_ids)
@click.option("--host", metavar="HOST", help="All workers on this machine.")
@click.option("--older-than", metavar="VERSION", help="All workers of an older version of Postmill.")
@json_option
@global_options
@click.pass_obj
def drain(session: Session, worker_id: str | None, *, host: str | None, older_than: str | None) -> None:
    """Have workers finish what they run and stop, as on SIGTERM.

    Either the one with this ID, or the beginning of its id; or all on a host, or all of older versions.
    """
    from postmill.db.tools import operations

    if (worker_id is None) == (host is None and older_than is None):
        raise click.UsageError("Give the ID of one worker, or --host, --older-than or both.")
    if worker_id is None:
        found = session.gathered(
            lambda connection: operations.drain_workers(connection, host=host, older_than=older_than)
        )
        columns = session.columns(("worker_id", "host", "version"))
        session.output.rows(found, columns, empty="No such worker is running.")
        return
    if session.several:
        found = session.gathered(lambda connection: operations.workers_called(connection, worker_id))
        session.choose(operations.the_one(found, worker_id)["database"])
    with session.database() as connection:
        drained = operations.drain_worker(connection, worker_id)
        session.output.one({"worker_id": str(drained), "draining": True})

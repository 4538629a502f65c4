"""``postmill import``: bring over what waits, or was done, in another system. A dry run without ``--run``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from postmill.cli import completion
from postmill.cli.options import Whole, global_options, json_option, jsonl_option

if TYPE_CHECKING:
    from collections.abc import Callable

    from postmill.cli.options import AnyCallable
    from postmill.cli.session import Session
    from postmill.db.tools.imports.report import Line


def _import_options(command: AnyCallable) -> AnyCallable:
    """What every import takes."""
    command = click.option("--run", is_flag=True, help="Do it. Without this nothing is written.")(command)
    return _batch(command)


_batch: Callable[[AnyCallable], AnyCallable] = click.option(
    "--batch",
    type=Whole(1, 10_000),
    default=1000,
    show_default=True,
    metavar="N",
    help="How many in one transaction.",
)


@click.group("import", no_args_is_help=True)
def imports() -> None:
    """Bring over what Supaqueue, Supaworker and archives of pgmq hold.

    Each is a dry run that says what would be done, until --run is given. A run that was killed is gone on
    with by the same command.
    """


@imports.command()
@click.argument("queue", required=False)
@click.option("--target", metavar="NAME", help="The queue of Postmill, where it has another name than QUEUE.")
@click.option("--create", is_flag=True, help="Make queues that are missing.")
@_import_options
@json_option
@jsonl_option
@global_options
@click.pass_obj
def supaworker(
    session: Session, queue: str | None, target: str | None, *, create: bool, run: bool, batch: int
) -> None:
    """Move the jobs that wait in Supaworker's tables into queues: those of QUEUE, or of all."""
    from postmill.db.tools.imports import supaworker

    if target is not None and queue is None:
        raise click.UsageError("--target is for the jobs of one QUEUE: name it.")
    with session.database() as connection:
        if run:
            lines = supaworker.run(connection, queue, target, create=create, batch=batch)
        else:
            lines = supaworker.planned(connection, queue, target, create=create)
    _report(session, lines, run=run)


@imports.command()
@click.argument("table", metavar="TABLE")
@click.argument("queue", shell_complete=completion.queues)
@click.option(
    "--from", "source", metavar="URL", help="The database that has TABLE. It is read, never changed."
)
@_import_options
@json_option
@jsonl_option
@global_options
@click.pass_obj
def pgmq_archive(
    session: Session, table: str, queue: str, source: str | None, *, run: bool, batch: int
) -> None:
    """Bring the finished messages of TABLE, such as pgmq.a_emails, into the archive of QUEUE.

    In the same database they are moved, from another one they are copied.
    """
    from postmill.db.tools.imports import archive

    with session.database() as connection:
        bring = archive.run if run else archive.planned
        lines = bring(connection, table, queue, source, page=batch)
    _report(session, lines, run=run)


@imports.command()
@click.option(
    "--schema", default="supaqueue", show_default=True, metavar="NAME", help="Where its tables are."
)
@click.option("--from", "source", metavar="URL", help="The database that has it. It is read, never changed.")
@_import_options
@json_option
@jsonl_option
@global_options
@click.pass_obj
def supaqueue(session: Session, schema: str, source: str | None, *, run: bool, batch: int) -> None:
    """Bring the queues, workers and jobs of Supaqueue into call queues, pipelines included.

    In the same database the jobs are moved, in one transaction; from another one they are copied.
    """
    from postmill.db.tools.imports import supaqueue

    with session.database() as connection:
        if run:
            lines = supaqueue.run(connection, schema, source, page=batch)
        else:
            lines = supaqueue.planned(connection, schema, source)
    _report(session, lines, run=run)


def _report(session: Session, lines: list[Line], *, run: bool) -> None:
    from dataclasses import asdict

    from postmill.db.tools.imports.report import COLUMNS

    session.output.rows([asdict(line) for line in lines], COLUMNS, empty="There is nothing to import.")
    if not run:
        session.output.note("Nothing was written: add --run to do it.")

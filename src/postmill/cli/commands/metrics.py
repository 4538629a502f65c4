"""``postmill metrics``: the figures of every queue for monitoring, also while no worker runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from postmill.cli.options import Duration, Whole, global_options, json_option
from postmill.model.errors import Refused

if TYPE_CHECKING:
    from postmill.cli.session import Session


@click.command()
@click.option(
    "--slots",
    type=Whole(1, 100_000),
    metavar="NUMBER",
    help="Messages that one worker runs at once (default: as the queue's last one).",
)
@click.option(
    "--target-wait",
    type=Duration(least_s=0.001),
    default="10s",
    show_default=True,
    metavar="TIME",
    help="How long a ready message may wait.",
)
@json_option
@global_options
@click.pass_obj
def metrics(session: Session, *, slots: int | None, target_wait: float) -> None:
    """Print the figures of every queue in Prometheus' text format, with the workers that each wants.

    They are read from the database: no worker has to run. Of several databases all are read.
    """
    from postmill.db.reads import overview

    answers = session.each_answer(
        lambda connection: overview.metrics(connection, slots=slots, target_wait_s=target_wait)
    )
    found = [_named(name, row) for name, rows in answers.items() for row in rows]
    if not session.output.is_text:
        session.output.rows(found, ())
        return
    try:
        from postmill.metrics import queue_metrics
    except ImportError as error:
        raise Refused(
            "The metrics can't be printed.",
            why="prometheus-client is not installed.",
            hint="pip install 'postmill[prometheus]', or print them with --json.",
        ) from error
    is_up = {name: name in answers for name in session.several}
    click.echo(queue_metrics.exposition(found, is_up), nl=False)


def _named(database: str, row: dict[str, Any]) -> dict[str, Any]:
    """``row`` with the name of its queue among those of all databases, where there are several."""
    from postmill.model.databases.naming import queue_in

    return {**row, "queue": queue_in(database, row["queue"])} if database else row

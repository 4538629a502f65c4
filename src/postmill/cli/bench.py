"""``postmill bench``: one command a benchmark; the data is the report, the rounds are notes on stderr."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from postmill.cli.options import global_options, json_option

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from postmill.bench.report import Report
    from postmill.cli.session import Session
    from postmill.model.address import Address

    Bench = Callable[[Address, Callable[[str], None]], Coroutine[Any, Any, Report]]

_messages = click.option(
    "--messages", type=click.IntRange(1), default=200_000, show_default=True, help="Messages a round."
)
_payload_bytes = click.option(
    "--payload-bytes",
    type=click.IntRange(22, 1_000_000),
    default=100,
    show_default=True,
    help="Size of a payload as JSON text.",
)
_rounds = click.option(
    "--rounds",
    type=click.IntRange(1, 1000),
    default=5,
    show_default=True,
    help="Measure both sides so often; medians are compared.",
)


@click.group("bench", no_args_is_help=True)
def bench() -> None:
    """Measure throughput and latency on your database, each beside the raw limit of the same run.

    Works in a queue of its own, postmill_bench_..., which is dropped afterwards.
    """


@bench.command("drain")
@_messages
@_payload_bytes
@click.option("--on-success", type=click.Choice(["delete", "archive"]), default="delete", show_default=True)
@click.option(
    "--batch", type=click.IntRange(1, 10_000), help="Give the handler so many at once (default: one)."
)
@_rounds
@json_option
@global_options
@click.pass_obj
def drain_command(session: Session, /, **options: Any) -> None:
    """A worker whose handler does nothing empties a queue."""
    from postmill.bench.drain import DrainOptions, drain

    _run(session, lambda where, say: drain(where, DrainOptions(**options), say))


@bench.command("enqueue")
@_messages
@_payload_bytes
@_rounds
@json_option
@global_options
@click.pass_obj
def enqueue_command(session: Session, /, **options: Any) -> None:
    """The Python client sends in bulk."""
    from postmill.bench.enqueue import EnqueueOptions, enqueue

    _run(session, lambda where, say: enqueue(where, EnqueueOptions(**options), say))


@bench.command("latency")
@click.option(
    "--messages", type=click.IntRange(2), default=500, show_default=True, help="Messages to send, one by one."
)
@click.option(
    "--rate", type=click.FloatRange(0.1, 1000), default=50, show_default=True, help="Messages a second."
)
@click.option(
    "--poller",
    type=click.Choice(["auto", "notify", "poll"]),
    default="auto",
    show_default=True,
    help="How the worker learns of messages.",
)
@json_option
@global_options
@click.pass_obj
def latency_command(session: Session, /, **options: Any) -> None:
    """From the commit of a send to the start of its handler, on an idle worker."""
    from postmill.bench.latency import LatencyOptions, latency

    _run(session, lambda where, say: latency(where, LatencyOptions(**options), say))


def _run(session: Session, bench: Bench) -> None:
    import asyncio

    import uvloop

    from postmill import app

    with app.database(session.settings) as where:
        app.prepare(session.settings, where)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            report = runner.run(bench(where, session.output.note))
    if session.output.is_text:
        session.output.rows(report.rows(), ("measure", "result"))
    else:
        session.output.one(report.as_dict())

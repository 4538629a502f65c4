"""``postmill bench``: one command a benchmark; the data is the report, the rounds are notes on stderr."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from postmill.cli.benchmarks import messages, payload_bytes, rounds, run
from postmill.cli.commands import bench_features
from postmill.cli.options import Whole, global_options, json_option

if TYPE_CHECKING:
    from postmill.cli.session import Session


@click.group("bench", no_args_is_help=True)
def bench() -> None:
    """Measure throughput and latency on your database, each beside the raw limit of the same run.

    Works in a queue of its own, postmill_bench_..., which is dropped afterwards.
    """


@bench.command("drain")
@messages
@payload_bytes
@click.option("--on-success", type=click.Choice(["delete", "archive"]), default="delete", show_default=True)
@click.option(
    "--batch",
    type=Whole(1, 10_000),
    help="Messages that the handler gets in one call (default: one).",
)
@rounds
@json_option
@global_options
@click.pass_obj
def drain_command(session: Session, /, **options: Any) -> None:
    """A worker whose handler does nothing empties a queue."""
    from postmill.bench.drain import DrainOptions, drain

    run(session, lambda where, say: drain(where, DrainOptions(**options), say))


@bench.command("enqueue")
@messages
@payload_bytes
@rounds
@json_option
@global_options
@click.pass_obj
def enqueue_command(session: Session, /, **options: Any) -> None:
    """The Python client sends in bulk."""
    from postmill.bench.enqueue import EnqueueOptions, enqueue

    run(session, lambda where, say: enqueue(where, EnqueueOptions(**options), say))


@bench.command("latency")
@click.option(
    "--messages", type=Whole(2), default=500, show_default=True, help="Messages to send, one by one."
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
@click.option(
    "--result", is_flag=True, help="Measure from the end of the handler to its result in another process."
)
@json_option
@global_options
@click.pass_obj
def latency_command(session: Session, /, **options: Any) -> None:
    """From the commit of a send to the start of its handler, on an idle worker; or to its result."""
    from postmill.bench.latency import LatencyOptions, latency

    run(session, lambda where, say: latency(where, LatencyOptions(**options), say))


@bench.command("pinned")
@click.option(
    "--case",
    type=click.Choice(["steady", "burst", "dead", "waiting"]),
    default="steady",
    show_default=True,
    help="What the pinned queue has to bear.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(1, 86_400),
    default=120,
    show_default=True,
    help="How long messages are sent.",
)
@click.option(
    "--rate",
    type=click.FloatRange(1, 1_000_000),
    default=5_000,
    show_default=True,
    help="Messages a second.",
)
@click.option(
    "--messages",
    type=Whole(1),
    help="In the burst (default 100000), dead at the start (1000000), delayed (100000).",
)
@payload_bytes
@json_option
@global_options
@click.pass_obj
def pinned_command(session: Session, /, **options: Any) -> None:
    """The worker's pace while an old transaction keeps vacuum from removing any row."""
    from postmill.bench.pinned import PinnedOptions, pinned

    run(session, lambda where, say: pinned(where, PinnedOptions(**options), say))


@bench.command("depth")
@click.option(
    "--depths",
    default="1000,100000,1000000",
    show_default=True,
    callback=lambda _context, _parameter, value: _numbers(value),
    help="Messages that wait, separated by commas.",
)
@click.option("--batch", type=Whole(1, 10_000), default=10, show_default=True, help="Messages a claim.")
@click.option("--claims", type=Whole(1), default=100, show_default=True, help="Claims at each depth.")
@payload_bytes
@click.option(
    "--rounds",
    type=Whole(1, 1000),
    default=3,
    show_default=True,
    help="Times that all depths are measured; medians are compared.",
)
@json_option
@global_options
@click.pass_obj
def depth_command(session: Session, /, **options: Any) -> None:
    """The cost of a claim with few and with many messages waiting."""
    from postmill.bench.depth import DepthOptions, depth

    run(session, lambda where, say: depth(where, DepthOptions(**options), say))


@bench.command("cost")
@click.option("--messages", type=Whole(1), default=50_000, show_default=True, help="Messages a measurement.")
@payload_bytes
@json_option
@global_options
@click.pass_obj
def cost_command(session: Session, /, **options: Any) -> None:
    """Write-ahead log, dead rows and statements of one message."""
    from postmill.bench.cost import CostOptions, cost

    run(session, lambda where, say: cost(where, CostOptions(**options), say))


@bench.command("reads")
@click.option("--queues", type=Whole(1, 10_000), default=100, show_default=True, help="Queues.")
@click.option("--messages", type=Whole(1), default=100_000, show_default=True, help="Messages a queue.")
@click.option("--reads", type=Whole(1), default=20, show_default=True, help="Readings.")
@payload_bytes
@json_option
@global_options
@click.pass_obj
def reads_command(session: Session, /, **options: Any) -> None:
    """What `queue list` and `message list --state running` cost on large queues."""
    from postmill.bench.reads import ReadsOptions, reads

    run(session, lambda where, say: reads(where, ReadsOptions(**options), say))


@bench.command("dashboard")
@click.option("--queues", type=Whole(1, 10_000), default=100, show_default=True, help="Queues.")
@click.option("--messages", type=Whole(1), default=100_000, show_default=True, help="Messages a queue.")
@click.option("--dead", type=Whole(1), default=1_000_000, show_default=True, help="Dead rows.")
@click.option("--reads", type=Whole(1), default=20, show_default=True, help="Readings.")
@click.option(
    "--pairs", type=Whole(1, 1000), default=5, show_default=True, help="Drains with and without viewers."
)
@click.option("--restart", metavar="COMMAND", help="Restarts the server, for the overview when it is cold.")
@payload_bytes
@json_option
@global_options
@click.pass_obj
def dashboard_command(session: Session, /, **options: Any) -> None:
    """What a dashboard costs on large queues: reads, pages, people who watch."""
    from postmill.bench.dashboard import DashboardOptions, dashboard

    run(session, lambda where, say: dashboard(where, DashboardOptions(**options), say))


@bench.command("settle")
@click.option(
    "--messages",
    type=Whole(1),
    default=30_000,
    show_default=True,
    help="Messages to drain with and without results.",
)
@payload_bytes
@rounds
@json_option
@global_options
@click.pass_obj
def settle_command(session: Session, /, **options: Any) -> None:
    """What it costs to write one outcome down, by its kind and the size of the batch."""
    from postmill.bench.settle import SettleOptions, settle

    run(session, lambda where, say: settle(where, SettleOptions(**options), say))


@bench.command("schedules")
@click.option("--schedules", type=Whole(1), default=10_000, show_default=True, help="All due at once.")
@click.option("--processes", type=Whole(1, 100), default=5, show_default=True, help="That fire them.")
@json_option
@global_options
@click.pass_obj
def schedules_command(session: Session, /, **options: Any) -> None:
    """How long it takes until schedules that are due in the same second have fired."""
    from postmill.bench.schedules import SchedulesOptions, schedules

    run(session, lambda where, say: schedules(where, SchedulesOptions(**options), say))


@bench.command("calls")
@click.option("--calls", type=Whole(200), default=20_000, show_default=True, help="Asked for in SQL.")
@json_option
@global_options
@click.pass_obj
def calls_command(session: Session, /, **options: Any) -> None:
    """How many HTTP requests a second are made, from the row of a call to the row of its answer."""
    from postmill import app
    from postmill.bench.calls import CallsOptions, calls

    app.check_calls()
    run(session, lambda where, say: calls(where, CallsOptions(**options), say))


@bench.command("functions")
@click.option(
    "--requests",
    type=Whole(10),
    default=1000,
    show_default=True,
    help="Requests, one by one.",
)
@click.option("--clients", type=Whole(1, 1000), default=16, show_default=True, help="Clients of the load.")
@click.option(
    "--seconds",
    type=click.FloatRange(0.1, 600),
    default=3,
    show_default=True,
    help="Load on each server.",
)
@click.option(
    "--rounds",
    type=Whole(1, 1000),
    default=3,
    show_default=True,
    help="Times that all servers are measured; medians are compared.",
)
@click.option("--cold-starts", type=Whole(1, 1000), default=20, show_default=True, help="Functions to start.")
@json_option
@global_options
@click.pass_obj
def functions_command(session: Session, /, **options: Any) -> None:
    """The function host beside plain uvicorn: cold start, added latency, requests a second, memory."""
    from postmill.bench.functions import FunctionsOptions, functions

    run(session, lambda where, say: functions(where, FunctionsOptions(**options), say))


for _command in bench_features.COMMANDS:
    bench.add_command(_command)


def _numbers(text: str) -> tuple[int, ...]:
    try:
        numbers = tuple(int(part) for part in text.replace("_", "").split(","))
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a list of numbers such as 1000,100000.") from None
    if min(numbers) < 1:
        raise click.BadParameter("Each must be at least 1.")
    return numbers

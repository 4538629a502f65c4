"""The commands of ``postmill bench`` that measure job features."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from postmill.cli.benchmarks import payload_bytes, rounds, run
from postmill.cli.options import Whole, global_options, json_option

if TYPE_CHECKING:
    from postmill.cli.session import Session


@click.command("plain")
@click.option(
    "--messages", type=Whole(1), default=40_000, show_default=True, help="Messages a side and round."
)
@click.option(
    "--batch",
    type=Whole(1, 10_000),
    default=500,
    show_default=True,
    help="Messages of a claim and of its completion.",
)
@payload_bytes
@rounds
@json_option
@global_options
@click.pass_obj
def plain_command(session: Session, /, **options: Any) -> None:
    """Claims and completions of a queue that uses no job feature, beside those of before."""
    from postmill.bench.plain import PlainOptions, plain

    run(session, lambda where, say: plain(where, PlainOptions(**options), say))


@click.command("priority")
@click.option(
    "--messages", type=Whole(1), default=20_000, show_default=True, help="Messages a side and round."
)
@click.option(
    "--batch",
    type=Whole(1, 10_000),
    default=1_000,
    show_default=True,
    help="Messages of a claim and of its completion.",
)
@payload_bytes
@click.option(
    "--backlog",
    type=Whole(0),
    default=20_000,
    show_default=True,
    help="Messages that wait when the urgent ones are sent.",
)
@click.option("--urgent", type=Whole(2), default=300, show_default=True, help="Messages of priority 9.")
@rounds
@json_option
@global_options
@click.pass_obj
def priority_command(session: Session, /, **options: Any) -> None:
    """What serving a queue by priority costs, and how long an urgent message waits on a backlog."""
    from postmill.bench.priority import PriorityOptions, priority

    run(session, lambda where, say: priority(where, PriorityOptions(**options), say))


@click.command("unique")
@click.option(
    "--messages", type=Whole(1), default=20_000, show_default=True, help="Messages a side and round."
)
@payload_bytes
@rounds
@json_option
@global_options
@click.pass_obj
def unique_command(session: Session, /, **options: Any) -> None:
    """What unique keys cost batches of new messages, beside send_batch."""
    from postmill.bench.unique import UniqueOptions, unique

    run(session, lambda where, say: unique(where, UniqueOptions(**options), say))


@click.command("groups")
@click.option("--messages", type=Whole(1), default=40_000, show_default=True, help="Messages of each drain.")
@payload_bytes
@click.option(
    "--rounds",
    type=Whole(1, 1000),
    default=3,
    show_default=True,
    help="Times that each queue is drained; medians are compared.",
)
@click.option("--pinned", is_flag=True, help="Measure claims under a pinned vacuum horizon instead.")
@click.option(
    "--seconds",
    type=click.FloatRange(1, 86_400),
    default=120,
    show_default=True,
    help="Of --pinned: how long.",
)
@click.option(
    "--rate",
    type=click.FloatRange(1, 1_000_000),
    default=2_000,
    show_default=True,
    help="Of --pinned: messages a second.",
)
@json_option
@global_options
@click.pass_obj
def groups_command(session: Session, /, **options: Any) -> None:
    """A worker empties queues of 1, 100 and 10,000 groups, and one without."""
    from postmill.bench.groups import GroupsOptions, groups

    run(session, lambda where, say: groups(where, GroupsOptions(**options), say))


@click.command("dependencies")
@click.option("--pairs", type=Whole(1), default=20_000, show_default=True, help="Of two messages each.")
@payload_bytes
@rounds
@json_option
@global_options
@click.pass_obj
def dependencies_command(session: Session, /, **options: Any) -> None:
    """Messages per second where every second one waits for another, beside plain ones."""
    from postmill.bench.dependencies import DependenciesOptions, dependencies

    run(session, lambda where, say: dependencies(where, DependenciesOptions(**options), say))


@click.command("flows")
@click.option("--runs", type=Whole(1), default=10_000, show_default=True, help="Chains of two steps.")
@click.option("--items", type=Whole(1), default=10_000, show_default=True, help="Items of the maps.")
@click.option("--steps", type=Whole(1), default=1_000, show_default=True, help="Steps of the single runs.")
@click.option(
    "--durable-runs", type=Whole(1), default=2_000, show_default=True, help="Durable functions of ten steps."
)
@json_option
@global_options
@click.pass_obj
def flows_command(session: Session, /, **options: Any) -> None:
    """Steps per second of flows and durable functions, beside plain messages; single runs of many steps."""
    from postmill.bench.flows import FlowsOptions, flows

    run(session, lambda where, say: flows(where, FlowsOptions(**options), say))


COMMANDS = (
    dependencies_command,
    flows_command,
    groups_command,
    plain_command,
    priority_command,
    unique_command,
)
"""All of them."""

"""What all benchmark commands share: their common options, and how one is run and printed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from postmill.cli.options import Whole

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from postmill.bench.report import Report
    from postmill.cli.session import Session
    from postmill.model.config.address import Address

    Bench = Callable[[Address, Callable[[str], None]], Coroutine[Any, Any, Report]]

messages = click.option(
    "--messages", type=Whole(1), default=200_000, show_default=True, help="Messages a round."
)
payload_bytes = click.option(
    "--payload-bytes",
    type=Whole(22, 1_000_000),
    default=100,
    show_default=True,
    help="Size of a payload as JSON text.",
)
rounds = click.option(
    "--rounds",
    type=Whole(1, 1000),
    default=5,
    show_default=True,
    help="Times that both sides are measured; medians are compared.",
)


def run(session: Session, bench: Bench) -> None:
    """Run a benchmark on the configured database, and print its report."""
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

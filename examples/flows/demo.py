"""What every demo of this folder does: start a worker for it, and show a run's steps until it has ended."""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

from psycopg.rows import class_row
from rich.console import Console
from rich.live import Live

from examples.scraper import processes
from postmill import app

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from psycopg import Connection

    from postmill.flows.run import Run

LOOK_EVERY = 0.1
"""Seconds."""
BAR = 24
"""How long a map's bar is, in characters."""
KNOWN = "select count(*) as value from postmill.flow_versions where registered_at > $1"
"""How many flows a worker has told the database of since then: only those can be started."""
GIVE_UP_S = 120.0
"""For a whole run. The slowest takes a quarter of it on a busy machine."""


@dataclass(frozen=True, slots=True)
class Step:
    """How a step of a run stands; ``tasks`` and ``ended`` count the items of a map."""

    step: str
    state: str
    tasks: int | None
    ended: int | None
    came_of_it: str | None


class Demo:
    """A database with a worker on it, and a terminal."""

    def __init__(self, connection: Connection[Any]) -> None:
        self.console = Console(markup=False, highlight=False, soft_wrap=True)
        self.connection = connection

    async def watch(self, run: Run[Any]) -> Any:
        """Show the run's steps until it has ended, and return its result. Raises what has ended it."""
        result = asyncio.ensure_future(run.result(timeout=GIVE_UP_S))
        with Live(console=self.console, transient=True, auto_refresh=False) as live:
            while not result.done():
                if self.console.is_terminal:
                    live.update(drawn(self.steps(run.run_id)), refresh=True)
                await asyncio.wait([result], timeout=LOOK_EVERY)
        self.console.print(drawn(self.steps(run.run_id)))
        return result.result()

    def steps(self, run_id: int) -> list[Step]:
        """The steps of a run that have begun."""
        with self.connection.cursor(row_factory=class_row(Step)) as cursor:
            return cursor.execute(_text("steps.sql"), (run_id,)).fetchall()


@contextmanager
def started(*flows: str) -> Iterator[Demo]:
    """A worker for flows named ``module:name``, on the project's database. It ends with the block."""
    settings = app.load_settings({})
    log = settings.project_dir / ".postmill" / "flows.log"
    with app.connection(settings) as connection:
        began = _value(connection, "select clock_timestamp() as value")
        with processes.worker(log, *flows) as worker:
            while _value(connection, KNOWN, began) < len(flows):
                if worker.poll() is not None:
                    raise SystemExit(f"The worker stopped. {log} says why.")
                time.sleep(LOOK_EVERY)
            demo = Demo(connection)
            demo.console.print(f"The worker's log is {log}.")
            yield demo


def drawn(steps: list[Step]) -> str:
    """A line a step; a map has a bar."""
    width = max((len(step.step) for step in steps), default=0)
    return "\n".join(f"{step.step:{width}}  {step.state:9}  {_came_of(step)}" for step in steps)


def _came_of(step: Step) -> str:
    if step.tasks is None or step.ended is None:
        return step.came_of_it or ""
    full = BAR * step.ended // max(step.tasks, 1)
    return f"{'━' * full}{'╌' * (BAR - full)} {step.ended} of {step.tasks}"


def _value(connection: Connection[Any], statement: str, *values: object) -> Any:
    found = connection.execute(statement.encode(), values).fetchone()
    assert found is not None, "each has one row"
    return found["value"]


def _text(name: str) -> bytes:
    return (files(__package__) / name).read_bytes()

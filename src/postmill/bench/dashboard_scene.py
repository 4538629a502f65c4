"""Where ``bench dashboard`` takes place: large queues, a connection, and the dashboard's process."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from statistics import quantiles
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeAlias

from postmill.bench.arena import made
from postmill.db.tools.connect import connect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from postmill.bench.arena import Arena
    from postmill.db.tools.connect import Connection
    from postmill.model.config.address import Address

PAGE = 50
"""Rows of a page, as a dashboard shows them: what fits on two screens."""
Figures: TypeAlias = dict[str, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class DashboardOptions:
    """``queues`` queues of ``messages`` messages each, ``dead`` dead rows under a pinned horizon; every read
    is made ``reads`` times, and ``pairs`` times a worker drains a queue with and without people who watch.
    ``restart`` is a command that restarts the server, for what is cold.
    """

    queues: int = 100
    messages: int = 100_000
    dead: int = 1_000_000
    reads: int = 20
    pairs: int = 5
    payload_bytes: int = 100
    restart: str | None = None


@dataclass(slots=True)
class Scene:
    """The filled queues, and a connection as the dashboard's reads use it."""

    address: Address
    options: DashboardOptions
    places: list[Arena]
    connection: Connection
    not_measured: dict[str, str] = field(default_factory=dict)
    """Why a figure is None."""

    @property
    def place(self) -> Arena:
        """The queue that is looked at closely."""
        return self.places[0]

    @property
    def names(self) -> list[str]:
        """Of all queues."""
        return [place.shape.name for place in self.places]

    def times_ms(self, read: Callable[[], object]) -> list[float]:
        """How long each of several readings takes, after one that does not count."""
        read()
        taken = []
        for _ in range(self.options.reads):
            began = perf_counter()
            read()
            taken.append((perf_counter() - began) * 1000)
        return taken

    def raw(self, name: str, *arguments: object) -> list[dict[str, Any]]:
        """What a statement of the benchmark finds in the queue that is looked at closely."""
        return self.connection.execute(self.place.sql(name), arguments).fetchall()


@asynccontextmanager
async def filled(
    address: Address, options: DashboardOptions, say: Callable[[str], None]
) -> AsyncIterator[Scene]:
    """The queues are there while the block runs."""
    async with made(address, options.queues) as places:
        for number, place in enumerate(places, start=1):
            await place.fill(options.messages, options.payload_bytes)
            if number % 10 == 0 or number == options.queues:
                say(f"{number} of {options.queues} queues filled")
        with closing(
            await asyncio.to_thread(connect, address, application_name="postmill bench")
        ) as connection:
            yield Scene(address, options, places, connection)


def p95(taken: Sequence[float]) -> float:
    """95 of 100 were faster."""
    return quantiles(taken, n=20, method="inclusive")[-1] if len(taken) > 1 else taken[0]

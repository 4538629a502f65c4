"""``bench dashboard``: what a dashboard reads, on large queues: the overview, also while an old transaction
keeps dead rows, searches, and why a message does not run. Each beside a raw read of the same run.
"""

from __future__ import annotations

from contextlib import asynccontextmanager, closing
from dataclasses import asdict, dataclass
from statistics import median, quantiles
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeAlias

from postmill.bench.arena import made
from postmill.bench.environment import environment
from postmill.bench.pinned import pin
from postmill.bench.report import Report
from postmill.db.reads import messages, overview
from postmill.db.reads.search import search
from postmill.db.tools.connect import connect
from postmill.model.search.language import parse
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from postmill.bench.arena import Arena
    from postmill.db.tools.connect import Connection
    from postmill.model.config.address import Address

PAGE = 50
"""Rows of a page, as a dashboard shows them: what fits on two screens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DashboardOptions:
    """``queues`` queues of ``messages`` messages each, ``dead`` dead rows under a pinned horizon; every read
    is made ``reads`` times.
    """

    queues: int = 100
    messages: int = 100_000
    dead: int = 1_000_000
    reads: int = 20
    payload_bytes: int = 100


@dataclass(frozen=True, slots=True)
class Scene:
    """The filled queues, and a connection as the dashboard's reads use it."""

    address: Address
    options: DashboardOptions
    places: list[Arena]
    connection: Connection

    @property
    def place(self) -> Arena:
        """The queue that is looked at closely."""
        return self.places[0]

    def times_ms(self, read: Callable[[], object]) -> list[float]:
        """How long each of several readings takes, after one that does not count."""
        read()
        taken = []
        for _ in range(self.options.reads):
            began = perf_counter()
            read()
            taken.append((perf_counter() - began) * 1000)
        return taken


Figures: TypeAlias = dict[str, float]


async def dashboard(address: Address, options: DashboardOptions, say: Callable[[str], None]) -> Report:
    """All measures, one after the other; value: the overview, reference: a message read by its id."""
    figures: Figures = {}
    async with _filled(address, options, say) as scene:
        around = await environment(scene.place.connection)
        raw_ms = median(scene.times_ms(lambda: _raw(scene, "bench_raw_read", options.messages // 2)))
        for measure in MEASURES:
            figures |= await measure(scene, raw_ms)
            say(f"{measure.__name__.strip('_')} measured")
    return Report(
        bench="dashboard",
        unit="ms",
        value=figures["overview_sql_p95_ms"],
        reference_name="a message by its id",
        reference=raw_ms,
        figures=figures,
        settings=asdict(options),
        environment=around,
    )


async def _overview(scene: Scene, raw_ms: float) -> Figures:
    """Every queue with its counts; the same with dead rows that no vacuum may remove in one more queue."""
    before_ms = _p95(scene.times_ms(lambda: overview.queues(scene.connection)))
    place = scene.places[-1]
    async with pin(place):
        await place.connection.execute(
            place.sql("bench_fill"), scene.options.dead, scene.options.payload_bytes
        )
        await place.connection.execute(place.sql("bench_clear"))
        await place.connection.execute(statement("bench_flush"))
        await place.connection.execute(place.sql("bench_fill"), PAGE, scene.options.payload_bytes)
        pinned_ms = _p95(scene.times_ms(lambda: overview.queues(scene.connection)))
    return {
        "overview_sql_p95_ms": before_ms,
        "overview_sql_p95_ratio": before_ms / raw_ms,
        "pinned_ratio": pinned_ms / before_ms,
    }


async def _searches(scene: Scene, raw_ms: float) -> Figures:
    """A page of what matches often; and all payloads of a queue for a text that none has."""
    queue = scene.place.shape.name
    often, never = parse(f"queue:{queue} state:ready since:1h"), parse(f"queue:{queue} postmill")
    search_ms = median(scene.times_ms(lambda: search(scene.connection, often, limit=PAGE)))
    payload_ms = median(scene.times_ms(lambda: search(scene.connection, never, limit=PAGE)))
    scan_ms = median(scene.times_ms(lambda: _raw(scene, "bench_raw_scan", "postmill")))
    looked = search(scene.connection, never, limit=PAGE)
    return {
        "search_ms": search_ms,
        "search_ratio": search_ms / raw_ms,
        "payload_search_ms": payload_ms,
        "payload_search_ratio": payload_ms / scan_ms,
        "payload_search_rows_per_s": (looked.high - looked.low + 1) * 1000 / payload_ms,
    }


async def _why(scene: Scene, raw_ms: float) -> Figures:
    """Why the last message of a full queue does not run."""
    queue, last = scene.place.shape.name, scene.options.messages
    why_ms = median(scene.times_ms(lambda: messages.why(scene.connection, queue, last)))
    return {"why_ms": why_ms, "why_ratio": why_ms / raw_ms}


MEASURES: tuple[Callable[[Scene, float], Awaitable[Figures]], ...] = (_why, _searches, _overview)
"""What is measured, in this order: the last leaves dead rows."""


@asynccontextmanager
async def _filled(
    address: Address, options: DashboardOptions, say: Callable[[str], None]
) -> AsyncIterator[Scene]:
    async with made(address, options.queues) as places:
        for number, place in enumerate(places, start=1):
            await place.fill(options.messages, options.payload_bytes)
            if number % 10 == 0 or number == options.queues:
                say(f"{number} of {options.queues} queues filled")
        with closing(connect(address, application_name="postmill bench")) as connection:
            yield Scene(address, options, places, connection)


def _raw(scene: Scene, name: str, *arguments: object) -> list[dict[str, Any]]:
    return scene.connection.execute(scene.place.sql(name), arguments).fetchall()


def _p95(taken: list[float]) -> float:
    return quantiles(taken, n=20, method="inclusive")[-1] if len(taken) > 1 else taken[0]

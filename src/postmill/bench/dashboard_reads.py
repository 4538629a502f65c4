"""What a dashboard reads and does in the database, without its pages, for ``bench dashboard``."""

from __future__ import annotations

from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

from postmill.bench.dashboard_scene import PAGE, p95
from postmill.bench.pinned import pin
from postmill.db.reads import messages, overview, versions
from postmill.db.reads.search import search
from postmill.db.tools import many
from postmill.model.search.language import parse
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from postmill.bench.dashboard_scene import Figures, Scene

BULK = 30_000
"""Messages that are cancelled at once, at most: half a second's work, of which the beginning is no part."""


async def overviews(scene: Scene, raw_ms: float) -> Figures:
    """Every queue with its counts; the same with dead rows that no vacuum may remove in one more queue."""
    before_ms = p95(scene.times_ms(lambda: overview.queues(scene.connection)))
    place = scene.places[-1]
    async with pin(place):
        await place.connection.execute(
            place.sql("bench_fill"), scene.options.dead, scene.options.payload_bytes
        )
        await place.connection.execute(place.sql("bench_clear"))
        await place.connection.execute(statement("bench_flush"))
        await place.connection.execute(place.sql("bench_fill"), PAGE, scene.options.payload_bytes)
        pinned_ms = p95(scene.times_ms(lambda: overview.queues(scene.connection)))
    return {
        "overview_sql_p95_ms": before_ms,
        "overview_sql_p95_ratio": before_ms / raw_ms,
        "pinned_ratio": pinned_ms / before_ms,
    }


async def searches(scene: Scene, raw_ms: float) -> Figures:
    """A page of what matches often; and all payloads of a queue for a text that none has."""
    queue = scene.place.shape.name
    often, never = parse(f"queue:{queue} state:ready since:1h"), parse(f"queue:{queue} postmill")
    search_ms = median(scene.times_ms(lambda: search(scene.connection, often, limit=PAGE)))
    payload_ms = median(scene.times_ms(lambda: search(scene.connection, never, limit=PAGE)))
    scan_ms = median(scene.times_ms(lambda: scene.raw("bench_raw_scan", "postmill")))
    looked = search(scene.connection, never, limit=PAGE)
    return {
        "search_ms": search_ms,
        "search_ratio": search_ms / raw_ms,
        "payload_search_ms": payload_ms,
        "payload_search_ratio": payload_ms / scan_ms,
        "payload_search_rows_per_s": (looked.high - looked.low + 1) * 1000 / payload_ms,
    }


async def why(scene: Scene, raw_ms: float) -> Figures:
    """Why the last message of a full queue does not run."""
    queue, last = scene.place.shape.name, scene.options.messages
    why_ms = median(scene.times_ms(lambda: messages.why(scene.connection, queue, last)))
    return {"why_ms": why_ms, "why_ratio": why_ms / raw_ms}


async def poll(scene: Scene, raw_ms: float) -> Figures:
    """What is read four times a second while a page shows the overview and each of its queues."""
    watched = versions.watched([versions.QUEUES, *(f"queue:{name}" for name in scene.names)])
    poll_ms = median(scene.times_ms(lambda: versions.read(scene.connection, watched)))
    return {"poll_ms": poll_ms, "poll_ratio": poll_ms / raw_ms}


async def bulk(scene: Scene, _: float) -> Figures:
    """Messages cancelled by an operation, from asking for it to its end, by one session."""
    place, count = scene.places[-1], min(BULK, scene.options.messages)
    await place.fill(count, scene.options.payload_bytes)
    planned = many.plan(scene.connection, "cancel", place.shape.name, {})
    began = perf_counter()
    number = many.start(scene.connection, "cancel", place.shape.name, {}, planned, None)
    while many.take_page(scene.connection, number) is not None:
        pass
    took_s = perf_counter() - began
    await place.connection.execute(statement("bench_operation_clear"), number)
    await place.fill(scene.options.messages, scene.options.payload_bytes)
    return {"bulk_rows_per_s": count / took_s}

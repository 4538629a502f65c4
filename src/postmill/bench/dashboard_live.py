"""What it costs to keep open pages up to date, for ``bench dashboard``."""

from __future__ import annotations

import asyncio
import html
import random
import re
from time import perf_counter
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlencode

from postmill.bench.dashboard_process import cpu_s_of, dashboard_process, watching
from postmill.bench.dashboard_scene import p95
from postmill.bench.watcher_process import PARTS, news, open_stream
from postmill.client import AsyncClient
from postmill.db.reads.versions import QUEUES
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from postmill.bench.dashboard_process import RunningDashboard
    from postmill.bench.dashboard_scene import Figures, Scene

VIEWERS = 200
"""People who watch at once, as the promise has it."""
STREAMS = 100
"""Open streams of a dashboard that is told to stop, as the promise has it."""
WATCHED_S = 5.0
"""How long is looked at what the viewers cost, in seconds. Five: twenty polls, and 1 % of it is five ticks of
the processor's clock, by which the system counts.
"""
LOOK_S = 0.05
"""Seconds between two looks at the session that polls. Polls come each 0.25 s, so that none is missed."""
POLL_S = 0.25
"""Seconds between two polls, in which a change may come at any moment."""
_LIVE = re.compile(r'data-live="([^"]*)"')


async def screen(scene: Scene, _: float) -> Figures:
    """From the commit of a message to the answer with the overview's main part, asked for at the word of the
    stream: all but the browser's own work.
    """
    client = AsyncClient(scene.place.connection)
    async with dashboard_process(scene.address) as dashboard:
        page = (await dashboard.get("/", **{"accept-encoding": "identity"})).body.decode()
        topics = [unquote(each) for found in _LIVE.findall(page) for each in html.unescape(found).split()]
        path = "/live?" + urlencode([("topic", each) for each in dict.fromkeys(topics)])
        reader, writer = await open_stream(dashboard.url, path, dashboard.headers)
        try:
            await news(reader)
            taken = []
            for _number in range(scene.options.reads):
                await asyncio.sleep(2 * POLL_S + random.uniform(0, POLL_S))  # noqa: S311 - any moment will do
                await client.send(scene.place.shape.name, {})
                began = perf_counter()
                await _told_of_queues(reader)
                await dashboard.get("/", **{PARTS: "main"})
                taken.append((perf_counter() - began) * 1000)
        finally:
            writer.close()
    return {"screen_p95_ms": p95(taken)}


async def viewers(scene: Scene, _: float) -> Figures:
    """What 200 people cost who watch every queue while nothing happens: the dashboard's process and the
    session of the database that it polls by, as a share of one core; and how many polls a second there are.
    """
    topics = [QUEUES, *(f"queue:{name}" for name in scene.names[:100])]
    async with dashboard_process(scene.address) as dashboard, watching(dashboard, topics, VIEWERS):
        before, began = await _cpu_s(scene, dashboard), perf_counter()
        polls = await _polls(scene)
        after, took_s = await _cpu_s(scene, dashboard), perf_counter() - began
    if before is None or after is None:
        scene.not_measured["viewers_core"] = "needs /proc, and the server on this machine"
    return {
        "viewers_core": None if before is None or after is None else (after - before) / took_s,
        "viewers_polls_per_s": polls / took_s,
    }


async def sigterm(scene: Scene, _: float) -> Figures:
    """From SIGTERM to the end of a dashboard's process with 100 open streams."""
    async with dashboard_process(scene.address) as dashboard, watching(dashboard, [QUEUES], STREAMS):
        return {"sigterm_s": await dashboard.end()}


async def _told_of_queues(reader: asyncio.StreamReader) -> None:
    while QUEUES not in (await news(reader) or {QUEUES: ""}):
        pass


async def _polls(scene: Scene) -> int:
    """How often the session that polls has ended a statement, seen from outside."""
    seen = set()
    until = perf_counter() + WATCHED_S
    while perf_counter() < until:
        seen |= {row["state_change"] for row in await _polling(scene)}
        await asyncio.sleep(LOOK_S)
    return len(seen)


async def _cpu_s(scene: Scene, dashboard: RunningDashboard) -> float | None:
    """Of the dashboard and of the sessions that it polls by, so far."""
    own = cpu_s_of(dashboard.process.pid)
    sessions = [cpu_s_of(row["pid"]) for row in await _polling(scene)]
    known = [each for each in (own, *sessions) if each is not None]
    return sum(known) if sessions and len(known) == 1 + len(sessions) else None


async def _polling(scene: Scene) -> list[dict[str, Any]]:
    rows = await scene.place.connection.fetch(statement("bench_polling"))
    return [dict(row) for row in rows]

"""What the dashboard's pages cost those who look at them, over HTTP, for ``bench dashboard``."""

from __future__ import annotations

import asyncio
import gzip
import html
import json
import re
import shlex
import shutil
import time
from contextlib import asynccontextmanager
from importlib import import_module
from importlib.util import find_spec
from secrets import token_hex
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from postmill.bench.arena import PREFIX
from postmill.bench.dashboard_process import READY_S, dashboard_process
from postmill.bench.dashboard_scene import p95
from postmill.bench.http_load import open_client
from postmill.db.tools.connect import connect
from postmill.model.errors import DatabaseUnavailable
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from postmill.bench.dashboard_process import RunningDashboard
    from postmill.bench.dashboard_scene import Figures, Scene
    from postmill.bench.http_load import Client

AT_ONCE = 8
"""People who open the overview at once, as the promise has it."""
STEPS = 500
"""Steps of the flow that is drawn, as the promise has it."""
ACROSS = 10
"""Steps of the flow side by side: 50 layers of ten, with three lines to each step. Broad and deep."""
COLD_S = 0.05
"""Seconds between two attempts to reach the server after its restart: a twentieth of what it takes."""
_NAMED = re.compile(
    r"""<(?:link\b[^>]*\brel="(?:stylesheet|icon|modulepreload)"|script\b|img\b)[^>]*\b(?:href|src)="([^"]+)\""""
)
_IMPORTED = re.compile(r"""^\s*import\b[^;]*?["'](\.[^"']+)["']""", re.MULTILINE)


async def overview_pages(scene: Scene, raw_ms: float) -> Figures:
    """The first page, asked for by eight people at once, each again and again."""
    async with dashboard_process(scene.address) as dashboard:
        clients = [await open_client(f"{dashboard.url}/", dashboard.headers) for _ in range(AT_ONCE)]
        try:
            await asyncio.gather(*(client.call() for client in clients))
            taken = await asyncio.gather(*(_calls_ms(client, scene.options.reads) for client in clients))
        finally:
            for client in clients:
                client.close()
    taken_ms = p95([each for client in taken for each in client])
    return {"overview_http_p95_ms": taken_ms, "overview_http_p95_ratio": taken_ms / raw_ms}


async def first_page(scene: Scene, _: float) -> Figures:
    """How large the first page is as it is sent, and how many requests it is made of."""
    async with dashboard_process(scene.address) as dashboard:
        answer = await dashboard.get("/")
        is_packed = answer.headers.get("content-encoding") == "gzip"
        packed = answer.body if is_packed else gzip.compress(answer.body)
        text = gzip.decompress(packed).decode()
        return {
            "overview_gzip_kb": len(packed) / 1024,
            "requests": float(1 + len(await _needed(dashboard, text))),
        }


async def graph(scene: Scene, raw_ms: float) -> Figures:
    """The page of a run of 500 steps, as it is shown first; and on the screen of a browser. Each time at an
    address of its own, so that it is drawn each time.
    """
    async with _run(scene) as run_id, dashboard_process(scene.address) as dashboard:
        paths = [f"/runs/{run_id}?reading={number}" for number in range(1 + scene.options.reads)]
        taken = [await _call_ms(dashboard, path) for path in paths]
        graph_ms = median(taken[1:])
        painted_ms = await _painted_ms(scene, dashboard, f"/runs/{run_id}")
    return {"graph_ms": graph_ms, "graph_ratio": graph_ms / raw_ms, "graph_painted_ms": painted_ms}


async def cold(scene: Scene, _: float) -> Figures:
    """The first overview of a dashboard that has just begun, in a server that has just begun."""
    if scene.options.restart is None:
        scene.not_measured["cold_ms"] = "needs --restart, a command that restarts the server"
        return {"cold_ms": None}
    async with dashboard_process(scene.address) as dashboard:
        if not await _is_restarted(scene, scene.options.restart):
            scene.not_measured["cold_ms"] = f"the command {scene.options.restart} has failed"
            return {"cold_ms": None}
        began = perf_counter()
        await dashboard.get("/")
        return {"cold_ms": (perf_counter() - began) * 1000}


async def _call_ms(dashboard: RunningDashboard, path: str) -> float:
    """How long one answer takes, without the way to the server."""
    client = await open_client(dashboard.url + path, dashboard.headers)
    try:
        return (await _calls_ms(client, 1))[0]
    finally:
        client.close()


async def _calls_ms(client: Client, count: int) -> list[float]:
    taken = []
    for _ in range(count):
        began = perf_counter()
        await client.call()
        taken.append((perf_counter() - began) * 1000)
    return taken


async def _needed(dashboard: RunningDashboard, text: str) -> set[str]:
    """What the page names, and what its scripts import."""
    waiting = {urljoin("/", html.unescape(each)) for each in _NAMED.findall(text)}
    found: set[str] = set()
    while waiting:
        path = waiting.pop()
        found.add(path)
        if path.endswith(".js"):
            answer = await dashboard.get(path, **{"accept-encoding": "identity"})
            waiting |= {urljoin(path, each) for each in _IMPORTED.findall(answer.body.decode())} - found
    return found


@asynccontextmanager
async def _run(scene: Scene) -> AsyncIterator[int]:
    """A run of a flow of 500 steps, of which each needs three of those above it."""
    flow, connection = PREFIX + token_hex(6), scene.place.connection
    steps = [
        {"name": f"step{number}", "needs": [f"step{above}" for above in _above(number)]}
        for number in range(STEPS)
    ]
    await connection.fetchrow(
        statement("register_flow"), flow, "graph", flow, json.dumps({"steps": steps}), "{}", None
    )
    try:
        yield await connection.fetchval(statement("bench_run_start"), flow)
    finally:
        await connection.execute(statement("bench_flows_clear"), flow)
        await connection.execute(statement("bench_drop"), flow)


def _above(number: int) -> list[int]:
    """Which steps of the layer above a step needs."""
    layer, place = divmod(number, ACROSS)
    near = {(place + by) % ACROSS for by in (-1, 0, 1)}
    return sorted((layer - 1) * ACROSS + each for each in near) if layer else []


async def _painted_ms(scene: Scene, dashboard: RunningDashboard, path: str) -> float | None:
    """From asking for a page to its second frame, in Chromium; the median. None where there is no browser."""
    chromium = shutil.which("chromium")
    if chromium is None or find_spec("playwright") is None:
        scene.not_measured["graph_painted_ms"] = "needs chromium and the package playwright"
        return None
    async with import_module("playwright.async_api").async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        try:
            headers = {"authorization": dashboard.headers["authorization"]}
            page = await (await browser.new_context(extra_http_headers=headers)).new_page()
            taken: list[float] = []
            for number in range(scene.options.reads):
                await page.goto(f"{dashboard.url}{path}?painting={number}", wait_until="load")
                taken.append(await page.evaluate(_SECOND_FRAME))
        finally:
            await browser.close()
    return median(taken)


_SECOND_FRAME = """
() => new Promise(told => requestAnimationFrame(() => requestAnimationFrame(() => told(performance.now()))))
"""


async def _is_restarted(scene: Scene, command: str) -> bool:
    """Run the command, and wait until the server answers; False when the command fails."""
    process = await asyncio.create_subprocess_exec(*shlex.split(command), stdout=asyncio.subprocess.DEVNULL)
    if await process.wait():
        return False
    await asyncio.to_thread(_wait_for_answer, scene)
    return True


def _wait_for_answer(scene: Scene) -> None:
    until = perf_counter() + READY_S
    while True:
        try:
            connect(scene.address, application_name="postmill bench").close()
        except DatabaseUnavailable:
            if perf_counter() > until:
                raise
            time.sleep(COLD_S)
        else:
            return

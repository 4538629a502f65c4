"""``bench functions``: what the function host costs beside the same application on plain uvicorn.

Every server is a process of its own on this machine, and so are its isolates; the clients are in this one.
With two processors the three of them share what uvicorn alone has nearly to itself: the ratio is that of the
machine too.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from postmill.auth import key_file
from postmill.bench import http_load
from postmill.bench.arena import connect
from postmill.bench.environment import environment
from postmill.bench.report import Report
from postmill.bench.servers import (
    framework_server,
    function_server,
    has_framework,
    idle_unique_mb,
    plain_server,
)
from postmill.model.config.settings import STATE_FOLDER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from postmill.model.config.address import Address

APPLICATION = """
from starlette.responses import JSONResponse


async def app(scope, receive, send):
    if scope["type"] == "http":
        await JSONResponse({"hello": "world"})(scope, receive, send)
"""
COLD = """
import small


async def handler(request):
    return small.answer()
"""
SMALL = """
import dataclasses
import datetime


@dataclasses.dataclass
class Answer:
    hello: str


def answer():
    return dataclasses.asdict(Answer("world"))
"""
BUSY = """
import time

from starlette.responses import JSONResponse


async def app(scope, receive, send):
    if scope["type"] == "http":
        until = time.thread_time() + 0.001
        while time.thread_time() < until:
            pass
        await JSONResponse({"hello": "world"})(scope, receive, send)
"""
FRAMEWORK = """
def hello(request):
    return {"hello": "world"}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionsOptions:
    """``seconds``: of load in each round, on each server; a third of it where functions compute."""

    requests: int = 1000
    clients: int = 16
    seconds: float = 3.0
    rounds: int = 3
    cold_starts: int = 20


@dataclass(frozen=True, slots=True)
class _Side:
    """One server, and what was measured there in each round."""

    name: str
    url: str
    headers: Mapping[str, str]
    p50_ms: list[float]
    per_s: list[float]


async def functions(address: Address, options: FunctionsOptions, say: Callable[[str], None]) -> Report:
    """All servers run at once, and are measured in turn in each round; medians are compared."""
    connection = await connect(address)
    around = await environment(connection)
    await connection.close()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="postmill-bench-")))
        _write(folder, options.cold_starts)
        server = stack.enter_context(function_server(folder, address))
        headers = _credentials(folder)
        cold = await _cold_starts(server.url, headers, options.cold_starts)
        idle_mb = idle_unique_mb(server.process.pid)
        plain = stack.enter_context(plain_server(folder / "functions"))
        sides = [_Side("uvicorn", f"{plain.url}/", {}, [], []), *_ours(("one", "two"), server.url, headers)]
        if has_framework():
            other = stack.enter_context(framework_server(folder))
            sides.append(_Side("functions_framework", f"{other.url}/", {}, [], []))
        busy = _ours(("busy_one", "busy_two"), server.url, headers)
        for number in range(options.rounds):
            for side in sides:
                await _measure(side, options)
                found = f"{side.p50_ms[-1]:.3f} ms, {side.per_s[-1]:,.0f} requests/s"
                say(f"round {number + 1}: {side.name} {found}")
            for side in busy:
                await _measure_busy(side, options)
                say(f"round {number + 1}: {side.name} {side.per_s[-1]:,.0f} requests/s")
    figures = {"cold_start_p50_ms": median(cold), "idle_uss_mb": idle_mb, **_busy_figures(*busy)}
    return _report(options, around, sides, figures)


def _ours(slugs: Sequence[str], url: str, headers: Mapping[str, str]) -> list[_Side]:
    return [_Side(slug, f"{url}/functions/v1/{slug}", headers, [], []) for slug in slugs]


async def _measure(side: _Side, options: FunctionsOptions) -> None:
    await http_load.latencies(side.url, side.headers, options.requests // 10 + 1)
    waits = await http_load.latencies(side.url, side.headers, options.requests)
    side.p50_ms.append(median(waits) * 1000)
    side.per_s.append(await http_load.rate(side.url, side.headers, options.clients, options.seconds))


async def _measure_busy(side: _Side, options: FunctionsOptions) -> None:
    """Requests per second alone; the first ones have every instance started."""
    seconds = options.seconds / 3
    await http_load.rate(side.url, side.headers, options.clients, seconds / 3)
    side.per_s.append(await http_load.rate(side.url, side.headers, options.clients, seconds))


def _busy_figures(one: _Side, two: _Side) -> dict[str, float]:
    """What a second instance brings a function that computes for a millisecond."""
    alone, both = median(one.per_s), median(two.per_s)
    return {
        "rps_two_over_one_busy": both / alone,
        "busy_one_requests_per_s": alone,
        "busy_two_requests_per_s": both,
    }


async def _cold_starts(url: str, headers: Mapping[str, str], count: int) -> list[float]:
    """The first request to each of ``count`` functions that were never started, in milliseconds."""
    found = []
    for number in range(count):
        (wait,) = await http_load.latencies(f"{url}/functions/v1/cold{number}", headers, 1)
        found.append(wait * 1000)
    return found


def _report(
    options: FunctionsOptions,
    around: Mapping[str, object],
    sides: list[_Side],
    figures: dict[str, float],
) -> Report:
    p50 = {side.name: median(side.p50_ms) for side in sides}
    per_s = {side.name: median(side.per_s) for side in sides}
    figures["added_p50_ms"] = p50["one"] - p50["uvicorn"]
    figures["rps_ratio"] = per_s["one"] / per_s["uvicorn"]
    figures["rps_ratio_two_instances"] = per_s["two"] / per_s["uvicorn"]
    for side in sides:
        figures[f"{side.name}_p50_ms"] = p50[side.name]
        figures[f"{side.name}_requests_per_s"] = per_s[side.name]
    return Report(
        bench="functions",
        unit="requests/s",
        value=per_s["one"],
        reference_name="the same application on uvicorn",
        reference=per_s["uvicorn"],
        figures=figures,
        settings=asdict(options),
        environment=around,
    )


def _credentials(project: Path) -> dict[str, str]:
    keys = key_file.load(project / STATE_FOLDER, {})
    return {"apikey": keys.anon} if keys is not None else {}


def _write(project: Path, cold_starts: int) -> None:
    """The project: functions, and the same application for the others."""
    place = project / "functions"
    place.mkdir()
    tables = "".join(f"[functions.{name}]\ninstances = 2\n" for name in ("two", "busy_two"))
    (project / "postmill.toml").write_text(tables, encoding="utf-8")
    (project / "main.py").write_text(FRAMEWORK, encoding="utf-8")
    (place / "small.py").write_text(SMALL, encoding="utf-8")
    sources = {"one": APPLICATION, "two": APPLICATION, "busy_one": BUSY, "busy_two": BUSY}
    for name, source in sources.items():
        (place / f"{name}.py").write_text(source, encoding="utf-8")
    for number in range(cold_starts):
        (place / f"cold{number}.py").write_text(COLD, encoding="utf-8")

"""One worker process on two databases: what they drain together, and what is left when one is away.

``python -m benchmarks.databases [--messages 50000] [--rounds 5]``, on embedded servers of its own. Prints one
JSON object, in messages a second, medians of the rounds:

* ``one``: a backlog in one database, drained by a process that works on that one only;
* ``two``: the same backlog, half of it in each of two databases, drained by a process that works on both;
* ``beside``: the backlog in one database, by a process that works on both, while the other is empty;
* ``away``: the same while the other is stopped;
* ``together``: two / one, and ``rest``: away / beside, each the median of the rounds' own ratios.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from contextlib import ExitStack
from operator import truediv
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import uvloop

from postmill import Databases, Route, worker
from postmill.client import Client
from postmill.databases.engines import Engines
from postmill.db.tools.connect import connect
from postmill.db.tools.migrate import migrate
from postmill.embedded import open_server
from postmill.model.config.address import parse
from postmill.model.events import Event

if TYPE_CHECKING:
    from collections.abc import Sequence

    from postmill.engine.worker import QueueWorker
    from postmill.model.queue.message import Message

AWAY = "postgresql://nobody@127.0.0.1:1/away"
"""An address where nothing listens: refused at once, as by a machine whose server has stopped."""


@worker(queue="bench", max_concurrent=10)
async def nothing(_: Any) -> None: ...


def prepared(url: str, name: str) -> None:
    """A database with the schema, its name and the queue."""
    with connect(parse(url)) as connection:
        migrate(connection)
        connection.execute("select postmill.name_database($1), postmill.create_queue('bench')", [name])


def drained(urls: dict[str, str], backlog: dict[str, int]) -> float:
    """Messages a second until the backlog is gone, by a process that works on all of these databases."""
    for name, many in backlog.items():
        with Client(urls[name]) as client:
            client.send_many("bench", ({"n": number} for number in range(many)))
    return uvloop.run(_drained(urls, sum(backlog.values())))


async def _drained(urls: dict[str, str], many: int) -> float:
    databases = Databases.of(urls, {"bench": Route(tuple(urls))})
    engines = Engines(databases, {name: [nothing] for name in urls}, {})
    left, over, began = many, asyncio.Event(), 0.0

    def count(event: Event, messages: Sequence[Message]) -> None:
        nonlocal left, began
        if event is Event.MESSAGE_CLAIMED and not began:
            began = time.perf_counter()
        if event is Event.MESSAGE_COMPLETED:
            left -= len(messages)
            if left <= 0:
                over.set()

    def hear(made: QueueWorker) -> None:
        made.events.counters.append(count)

    engines.on_worker.append(hear)
    starting = asyncio.create_task(engines.start())
    await over.wait()
    took = time.perf_counter() - began
    await engines.stop()
    starting.cancel()
    return many / took


def run(messages: int, rounds: int) -> dict[str, Any]:
    """All measurements, taking turns."""
    found: dict[str, list[float]] = {name: [] for name in ("one", "two", "beside", "away")}
    with ExitStack() as stack:
        urls = {}
        for name in ("eu1", "eu2"):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            urls[name] = stack.enter_context(open_server(folder)).url
            prepared(urls[name], name)
        half = messages // 2
        scenes: dict[str, tuple[dict[str, str], dict[str, int]]] = {
            "one": ({"eu1": urls["eu1"]}, {"eu1": messages}),
            "two": (urls, {"eu1": half, "eu2": messages - half}),
            "beside": (urls, {"eu1": messages}),
            "away": ({**urls, "eu2": AWAY}, {"eu1": messages}),
        }
        for turn in range(rounds):  # to and fro, so that neither of a pair is always the first
            for name in list(scenes)[:: -1 if turn % 2 else 1]:
                found[name].append(drained(*scenes[name]))
    rates = {name: round(median(each)) for name, each in found.items()}
    ratios = {
        name: median(map(truediv, found[left], found[right]))
        for name, left, right in (("together", "two", "one"), ("rest", "away", "beside"))
    }
    return {
        "messages": messages,
        "rounds": rounds,
        **rates,
        **{name: round(each, 3) for name, each in ratios.items()},
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--messages", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="as always: for the callers of all benchmarks")
    given = parser.parse_args()
    print(json.dumps(run(given.messages, given.rounds), indent=2))

"""What a worker adds to Ray: messages a second, and the time of one task.

    .venv/ray/bin/python -m benchmarks.ray [--messages 1500] [--slots 10] [--json]

Starts one node of Ray on the loopback address and a throw-away database. The same function, which gives back
what it is given and needs no CPU (``num_cpus=0``), runs as a plain task of Ray and as a worker's handler:

- rate: so many messages as there are slots at once, until all are settled; for bare Ray as many tasks at once
- p50: one at a time, from the call of the handler to its result; for bare Ray from the order to the result
- end to end: from the send to the completion in the database, one at a time

It needs what ``make test-ray`` has made.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import asyncpg

from benchmarks.no_op import echo
from postmill.embedded import open_server
from postmill.engine.engine import Engine
from postmill.handlers.decorator import Worker
from postmill.model.config.address import Address
from postmill.model.events import Event
from postmill.model.queue.worker_options import options_from
from postmill.testing.databases import fresh_database
from tests.cluster.ray_node import RayNode

if TYPE_CHECKING:
    from collections.abc import Awaitable

SINGLE = 200
"""Tasks that are measured one at a time: enough for a median that a pause of the machine does not move."""
WARM_UP = 300
"""Tasks before anything is measured: Ray starts processes for the first ones."""
SEND = "select pgmq.send('tasks', '{\"value\": 1}'::jsonb) from generate_series(1, $1)"


class Timed(Worker):
    """A worker that keeps how long each call of its handler took, in milliseconds."""

    def __init__(self, **options: Any) -> None:
        super().__init__(options_from(options), echo)
        self.took_ms: list[float] = []

    def bind(self, message: Any, attempt: Any) -> Awaitable[Any]:
        """See :class:`postmill.engine.handler.Handler`."""
        return self._timed(super().bind(message, attempt))

    async def _timed(self, call: Awaitable[Any]) -> Any:
        began = time.perf_counter()
        try:
            return await call
        finally:
            self.took_ms.append((time.perf_counter() - began) * 1000)


def bare(address: str, messages: int, slots: int) -> dict[str, float]:
    """Ray alone."""
    import ray  # noqa: PLC0415 - it reads the environment that the node has filled when it is imported

    ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    task = ray.remote(echo).options(num_cpus=0, max_retries=0)

    def drain(count: int) -> float:
        began, running = time.perf_counter(), []
        for _ in range(count):
            if len(running) == slots:
                done, running = ray.wait(running)
                ray.get(done)
            running.append(task.remote({"value": 1}))
        ray.get(running)
        return count / (time.perf_counter() - began)

    drain(WARM_UP)
    rate, took_ms = drain(messages), []
    for _ in range(SINGLE):
        began = time.perf_counter()
        ray.get(task.remote({"value": 1}))
        took_ms.append((time.perf_counter() - began) * 1000)
    ray.shutdown()
    return {"rate": rate, "p50_ms": median(took_ms)}


async def through_a_worker(url: str, messages: int, slots: int) -> dict[str, float]:
    """The same as a worker's handler."""
    handler = Timed(queue="tasks", executor="ray", resources={"num_cpus": 0}, max_concurrent=slots)
    engine, db = Engine([handler], Address(url)), await asyncpg.connect(url)
    completed = 0
    news = asyncio.Event()

    def heard(event: Event, _fields: dict[str, Any]) -> None:
        nonlocal completed
        completed += event is Event.MESSAGE_COMPLETED
        news.set()

    engine.on_worker.append(lambda worker: worker.events.listeners.append(heard))
    await engine.start()

    async def drain(count: int) -> float:
        wanted, began = completed + count, time.perf_counter()
        await db.execute(SEND.replace("$1", str(count)))
        while completed < wanted:
            news.clear()
            await news.wait()
        return time.perf_counter() - began

    await drain(WARM_UP)
    took_s = await drain(messages)
    handler.took_ms.clear()
    whole_ms = [await drain(1) * 1000 for _ in range(SINGLE)]
    await engine.stop()
    await db.close()
    return {
        "rate": messages / took_s,
        "p50_ms": median(handler.took_ms),
        "end_to_end_p50_ms": median(whole_ms),
    }


def measured(messages: int, slots: int) -> dict[str, Any]:
    """Both, on one node and one database."""
    with RayNode() as node, tempfile.TemporaryDirectory() as data, open_server(Path(data)) as server:
        os.environ.update(node.environment)
        alone = bare(node.environment["RAY_ADDRESS"], messages, slots)
        with fresh_database(server.url) as url:
            through = asyncio.run(through_a_worker(url, messages, slots))
    return {
        "messages": messages,
        "slots": slots,
        "ray_tasks_s": round(alone["rate"]),
        "messages_s": round(through["rate"]),
        "ray_p50_ms": round(alone["p50_ms"], 2),
        "handler_p50_ms": round(through["p50_ms"], 2),
        "added_p50_ms": round(through["p50_ms"] - alone["p50_ms"], 2),
        "end_to_end_p50_ms": round(through["end_to_end_p50_ms"], 2),
        "load": round(os.getloadavg()[0], 1),
    }


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=1500)
    parser.add_argument("--slots", type=int, default=10, help="tasks at once")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found = measured(given.messages, given.slots)
    if given.json:
        print(json.dumps(found))
    else:
        print("\n".join(f"{name:20} {value}" for name, value in found.items()))


if __name__ == "__main__":
    main()

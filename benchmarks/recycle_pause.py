"""How long a queue under constant load stands still while its worker is replaced, again and again.

    python -m benchmarks.recycle_pause [--recycles 20] [--rate 500]

Sends messages at a steady rate to a worker under the function host, on a throw-away database, and replaces
its isolate each time the one before has ended. Prints the longest time between two messages run, with and
without replacements, and counts the messages that were run twice.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from pathlib import Path
from typing import Any

import asyncpg

from postmill.embedded import open_server
from postmill.host.host import Host
from postmill.model.config.address import Address
from postmill.model.events import Event
from postmill.model.functions.settings import RuntimeSettings
from postmill.testing.databases import fresh_database

WORKER = """
from postmill import Context, worker

@worker(queue="steady", max_concurrent=10)
async def steady(payload: int, ctx: Context) -> None:
    async with ctx.db as connection:
        await connection.execute("insert into runs (msg_id) values ($1)", ctx.message.msg_id)
"""
SEND = "select count(*) from (select pgmq.send('steady', '1'::jsonb) from generate_series(1, $1)) as sent"
WARM_UP_S = 2.0
CALM_S = 5.0


async def measure(url: str, recycles: int, rate: int) -> dict[str, Any]:
    """One run."""
    db, sender = await asyncpg.connect(url), await asyncpg.connect(url)
    await db.execute("create table runs (msg_id bigint, at timestamptz default clock_timestamp())")
    await db.execute("select postmill.create_queue('steady')")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "steady.py").write_text(WORKER, encoding="utf-8")
        host = Host(Path(folder), RuntimeSettings(), {}, {}, Address(url))
        ended = asyncio.Event()
        host.events.listeners.append(
            lambda event, _: ended.set() if event == Event.FUNCTION_SHUTDOWN else None
        )
        await host.start()
        await host.start_workers()
        stop = asyncio.Event()
        sending = asyncio.create_task(send(sender, rate, stop))
        await asyncio.sleep(WARM_UP_S)
        calm = await longest_gap(db, lambda: asyncio.sleep(CALM_S))

        async def recycle() -> None:
            for _ in range(recycles):
                ended.clear()
                await host.recycle("steady")
                await ended.wait()

        pause = await longest_gap(db, recycle)
        stop.set()
        sent = await sending
        while await db.fetchval("select count(*) from pgmq.q_steady"):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        await host.stop()
    runs, messages = await db.fetchrow("select count(*), count(distinct msg_id) from runs")
    await db.close()
    await sender.close()
    return {
        "recycles": recycles,
        "sent": sent,
        "run_twice": runs - messages,
        "lost": sent - messages,
        "longest_gap_ms": round(pause, 1),
        "longest_gap_without_ms": round(calm, 1),
    }


async def send(connection: asyncpg.Connection[Any], rate: int, stop: asyncio.Event) -> int:
    """One message after the other at a steady rate."""
    loop = asyncio.get_running_loop()
    began, sent = loop.time(), 0
    while not stop.is_set():
        due = int((loop.time() - began) * rate) - sent
        if due > 0:
            text = (
                "select count(*) from (select pgmq.send('steady', '1'::jsonb) from generate_series(1, $1)) s"
            )
            await connection.fetchval(text, due)
            sent += due
        await asyncio.sleep(1 / rate)
    return sent


async def longest_gap(db: asyncpg.Connection[Any], during: Any) -> float:
    """The longest time between two runs while ``during`` lasts, in milliseconds."""
    since = await db.fetchval("select clock_timestamp()")
    await during()
    gap: float = await db.fetchval(
        """select max(extract(epoch from gap)) * 1000
             from (select at - lag(at) over (order by at) as gap from runs where at >= $1) as gaps""",
        since,
    )
    return float(gap)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recycles", type=int, default=20)
    parser.add_argument("--rate", type=int, default=500, help="messages a second")
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as data,
        open_server(Path(data)) as server,
        fresh_database(server.url) as url,
    ):
        print(json.dumps(asyncio.run(measure(url, given.recycles, given.rate)), indent=2))


if __name__ == "__main__":
    main()

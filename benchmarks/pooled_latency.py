"""How soon a worker that polls through PgBouncer starts a message: transaction mode, no notifications.

``python -m benchmarks.pooled_latency [--messages 500]``, on an embedded server of its own, with Debian's
PgBouncer in front of it (``make test-deps``). The sender and the worker both go through the pooler; messages
come at 50 a second. Prints one JSON object: milliseconds from the confirmed commit to the handler, the poll
floor, which is the longest that an idle worker rests, and the median as a share of it. A message that comes
at any moment of the rest waits half of it in the middle.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from postmill.bench.arena import arena
from postmill.bench.environment import environment
from postmill.bench.latency import LatencyOptions, percentiles, sends
from postmill.db.tools.connect import connect
from postmill.db.tools.migrate import migrate
from postmill.embedded import open_server
from postmill.model.config.address import Address, parse
from postmill.model.queue.worker_options import WorkerOptions
from tests.faults.pooler import pooler


async def measure(server_url: str, messages: int) -> dict[str, Any]:
    """The worker of ``bench latency``, behind a pooler that its address does not show."""
    options = LatencyOptions(messages=messages)
    async with arena(Address(server_url)) as place:
        around = await environment(place.connection)
        with pooler(server_url) as pool:
            _, committed, started = await sends(replace(place, address=Address(pool.url)), options)
    waited = percentiles([start - commit for commit, start in zip(committed, started, strict=True)])
    floor_ms = WorkerOptions().poll_interval_ms
    return {
        **waited,
        "poll_floor_ms": floor_ms,
        "ratio": waited["p50_ms"] / floor_ms,
        "messages": messages,
        "rate": options.rate,
        "environment": around,
    }


def main() -> None:
    """Measure once, on a new server."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=500)
    messages = parser.parse_args().messages
    with tempfile.TemporaryDirectory() as folder, open_server(Path(folder) / "pg") as server:
        with connect(parse(server.url)) as connection:
            migrate(connection)
        print(json.dumps(asyncio.run(measure(server.url, messages)), indent=1))


if __name__ == "__main__":
    main()

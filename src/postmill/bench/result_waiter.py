"""An application that waits for results, in a process of its own, for ``bench latency --result``.

Reads its task from standard input (the address may hold a password, so it is no argument) as one line of
JSON: an address, a queue, how many messages, and the seconds before each. Prints a line for each message:
when its result was there, by ``perf_counter``, which all processes of a machine share.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

from postmill.client import AsyncClient

LOST_AFTER_S = 60.0
"""How long to wait for one result, in seconds. It takes milliseconds; after a minute the run is broken."""


async def wait_for_results(task: dict[str, Any]) -> None:
    """Send one message after the other, and wait for the result of each."""
    async with AsyncClient(task["url"]) as client:
        for number in range(task["messages"]):
            await asyncio.sleep(task["period_s"])
            sent = await client.send(task["queue"], number)
            await client.result((task["queue"], sent), timeout=LOST_AFTER_S)
            print(json.dumps(time.perf_counter()), flush=True)


if __name__ == "__main__":
    asyncio.run(wait_for_results(json.loads(sys.stdin.readline())))

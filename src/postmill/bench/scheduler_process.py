"""A process that fires schedules and nothing else, for ``bench schedules``.

Reads an address from standard input (it may hold a password, so it is no argument), prints a line when it has
looked once, and ends when its input ends.
"""

from __future__ import annotations

import asyncio
import sys

from postmill.db.hot.outage import is_passing
from postmill.db.hot.shared_connection import SharedConnection
from postmill.model.config.address import parse
from postmill.scheduler.scheduler import Scheduler
from postmill.service.events import Events
from postmill.service.outage import Outage


async def main() -> None:
    """Fire schedules until standard input is closed."""
    events = Events()
    shared = SharedConnection(parse(sys.stdin.readline().strip()), "bench schedules")
    scheduler = Scheduler(shared, events, Outage(events, is_passing))
    await scheduler.run_once()
    print("ready", flush=True)
    scheduler.start()
    await asyncio.to_thread(sys.stdin.readline)
    await scheduler.stop()
    await shared.close()


if __name__ == "__main__":
    asyncio.run(main())

"""A process that only fires schedules, as fast as it can: the clock of the test's database runs faster than
the real one.

``python -m tests.faults.scheduler_process URL [unlocked]``; ``unlocked``: without the lock that makes a tick
fire once. Each schedule is then read when nobody holds the advisory lock :data:`BARRIER`.
"""

from __future__ import annotations

import asyncio
import sys

from postmill.db.hot.outage import is_passing
from postmill.db.hot.shared_connection import SharedConnection
from postmill.model.config.address import Address
from postmill.scheduler import scheduler as scheduler_module
from postmill.scheduler.scheduler import Scheduler
from postmill.service.events import Events
from postmill.service.outage import Outage
from postmill.sql.catalog import statement

BARRIER = 7
LOCK, CLOCK = "for update skip locked", "postmill.now() as now"


class Restless(Scheduler):
    """One that looks all the time."""

    async def rest(self) -> None:
        """See :class:`Scheduler`."""
        await asyncio.sleep(0.001)


def without_the_lock(name: str) -> str:
    return (
        statement(name).replace(LOCK, "").replace(CLOCK, f"{CLOCK}, pg_advisory_xact_lock_shared({BARRIER})")
    )


async def main(url: str, *options: str) -> None:
    if options:
        vars(scheduler_module)["statement"] = without_the_lock
    events = Events()
    scheduler = Restless(SharedConnection(Address(url), "schedules"), events, Outage(events, is_passing))
    scheduler.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

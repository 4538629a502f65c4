"""Schedules in a process without workers: their services on a connection of their own."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from postmill.db.hot.outage import is_passing
from postmill.db.hot.shared_connection import SharedConnection
from postmill.scheduler.scheduler import Scheduler
from postmill.scheduler.sql_runs import SqlRuns
from postmill.service.events import Events
from postmill.service.outage import Outage
from postmill.service.stop_requests import heard

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from postmill.model.config.address import Address
    from postmill.service.service import Service

SERVICES = (Scheduler, SqlRuns)
"""What a process runs that fires schedules."""


@asynccontextmanager
async def firing(where: Address, stop_s: float, events: Events) -> AsyncIterator[Sequence[Service]]:
    """Fire schedules and run their commands for a while. At the end what is in hand may take ``stop_s``."""
    connection = SharedConnection(where, "schedules")
    outage = Outage(events, is_passing)
    services = [make(connection, events, outage) for make in SERVICES]
    for service in services:
        service.start()
    try:
        yield services
    finally:
        await asyncio.gather(*(service.stop_within(stop_s) for service in services))
        await connection.close()


async def until_stopped(where: Address, stop_s: float) -> None:
    """The same until a signal asks for the end. Raises what has ended a service for good."""
    over = asyncio.get_running_loop().create_future()

    def end(error: BaseException | None = None) -> None:
        if not over.done():
            over.set_result(error)

    with heard(end, over.done):
        async with firing(where, stop_s, Events(function="postmill", queue="*")) as services:
            for service in services:
                service.on_giving_up.append(lambda failed: end(failed.failure))
            error = await over
    if error is not None:
        raise error

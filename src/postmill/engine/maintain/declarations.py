"""Tells the database, once, at a worker's start, what the worker's code says of itself: the statements of its
handler, and its schedule. A schedule that the code has dropped is removed.

A schedule that can't be made is said, and keeps no worker from working.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg

from postmill.client.failures import said_by_postmill
from postmill.db.hot.outage import is_passing
from postmill.model.events import Event
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from postmill.db.hot.shared_connection import SharedConnection
    from postmill.engine.handler import Handler
    from postmill.engine.worker import QueueWorker


async def declare(handler: Handler, shared: SharedConnection) -> None:
    """Tell the database what the code of ``handler`` says; what that makes may be the queue of its worker.
    Raises temporary errors, and what refuses one of the statements.
    """
    for said in handler.declarations:
        with said_by_postmill(said.queue):
            await shared.fetchrow(said.text, *said.arguments)


async def declare_schedule(worker: QueueWorker, shared: SharedConnection) -> None:
    """Tell the database what the code of ``worker`` says of its schedule. Raises temporary errors only."""
    options, name = worker.handler.options, worker.handler.name
    arguments = (options.queue, name, options.schedule, options.timezone)
    try:
        row = await shared.fetchrow(statement("schedule_declare"), *arguments)
    except asyncpg.PostgresError as error:
        if is_passing(error):
            raise
        if options.schedule is not None:
            worker.events.emit(Event.SCHEDULE_FAILED, schedule=f"{options.queue}.{name}", reason=str(error))
        return
    if row["changed"] is not None:
        worker.events.emit(Event.SCHEDULE_DECLARED, schedule=f"{options.queue}.{name}", change=row["changed"])

"""Gives back the messages of a dead isolate's workers at once, and counts the attempt."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from uuid import UUID

from postmill.db.hot.shared_connection import SharedConnection
from postmill.model.events import Event
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from postmill.model.config.address import Address
    from postmill.service.events import Events

LOOKS_S = (0.0, 0.2, 0.5)
"""Seconds between the looks. There are several, because a claim that the server was running when its worker
died is committed a moment later.
"""


class Claims:
    """One connection, opened when the first isolate dies."""

    def __init__(self, address: Address, events: Events) -> None:
        self._shared = SharedConnection(address, "host")
        self._events = events

    async def give_back(self, function: str, worker_ids: Sequence[str], reason: str) -> None:
        """Mark the workers as gone and give back their messages.

        When the database can't be reached, another worker's rescue does the same a little later.
        """
        for pause_s in LOOKS_S:
            await asyncio.sleep(pause_s)
            try:
                for worker_id in worker_ids:
                    await self._give_back_once(function, UUID(worker_id), reason)
            except Exception as error:
                self._events.emit(
                    Event.DATABASE_LOST, function=function, reason=f"{type(error).__name__}: {error}"
                )
                return

    async def close(self) -> None:
        """Close the connection."""
        await self._shared.close()

    async def _give_back_once(self, function: str, worker_id: UUID, reason: str) -> None:
        await self._shared.execute(statement("worker_stop"), worker_id, reason)
        text = f"the worker's process ended: {reason}"
        rows = await self._shared.fetch(statement("give_back"), worker_id, [], 0.0, "crash", text)
        messages = sum(len(row["msg_ids"]) for row in rows)
        if messages:
            dead = str(worker_id)[:8]
            self._events.emit(Event.CLAIMS_RESCUED, function=function, dead_worker=dead, messages=messages)

"""When the rescuer looks: what it is told while it is at work is not lost."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from postmill.db.hot.shared_connection import SharedConnection
from postmill.engine.maintain.rescuer import Rescuer
from postmill.model.config.address import Address
from postmill.service.events import Events
from tests.service.running import GIVE_UP_S

if TYPE_CHECKING:
    import asyncpg


async def test_a_doubt_during_a_rescue_is_followed_by_another(
    database_url: str, adb: asyncpg.Connection
) -> None:
    """The rescue's end had put it off by a whole look, and each later doubt was taken for the one before."""
    shared = SharedConnection(Address(database_url), "test")
    rescuer = Rescuer(shared, [], Events())
    rescuer.doubt()
    async with adb.transaction():
        await adb.execute("lock table postmill.claims")
        rescue = asyncio.create_task(rescuer.run_once())
        locked = "select from pg_locks where not granted and relation = 'postmill.claims'::regclass"
        async with asyncio.timeout(GIVE_UP_S):
            while not await adb.fetch(locked):  # noqa: ASYNC110 - only the database shows it
                await asyncio.sleep(0.01)
        rescuer.doubt()
    await rescue
    assert rescuer.due_at <= time.monotonic()
    await shared.close()

"""Whether the database answers. Monitoring asks this often; the database is asked at most once a second, on
one connection.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from postmill.db.hot.shared_connection import SharedConnection
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from postmill.model.config.address import Address

TIMEOUT_S = 2.0
"""How long an answer of the database may take, in seconds. 2 s: a database that is slower is not ready for
work, and the systems that ask give up after 1 to 10 s.
"""
FRESH_S = 1.0
"""How long an answer is used again, in seconds. 1 s: however many ask, the database gets one question a
second.
"""


class DatabaseProbe:
    """Opens its connection at the first question."""

    def __init__(self, address: Address) -> None:
        self._shared = SharedConnection(address, "probe")
        self._order = asyncio.Lock()
        self._good_until = 0.0
        self._answered = False

    async def answers(self) -> bool:
        """Whether it answers, or did within the last second. Raises nothing."""
        async with self._order:
            if time.monotonic() >= self._good_until:
                self._answered = await self._ask()
                self._good_until = time.monotonic() + FRESH_S
            return self._answered

    async def close(self) -> None:
        """Close the connection."""
        await self._shared.close()

    async def _ask(self) -> bool:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await self._shared.fetchrow(statement("check_clock"))
        except Exception:  # any error means that the database did not answer
            return False
        return True

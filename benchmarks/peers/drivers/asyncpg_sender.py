"""A sender on one asyncpg connection, for the drivers of systems that send on the caller's connection.

A module of its own because ``protocol`` may import nothing but the standard library.
"""

import time
from contextlib import asynccontextmanager

import asyncpg


class AsyncpgSender:
    """What ``protocol.drive`` wants of a sender; a driver adds ``batch``, ``many`` and ``send``."""

    def __init__(self, connection, url):
        self.connection = connection
        self.url = url

    async def one(self, payload):
        """Send one message in a transaction; returns the time just before its commit."""
        transaction = self.connection.transaction()
        await transaction.start()
        await self.send(payload)
        at = time.monotonic()
        await transaction.commit()
        return at

    @classmethod
    @asynccontextmanager
    async def at(cls, url):
        """One that is open for a while."""
        connection = await asyncpg.connect(url)
        try:
            yield cls(connection, url)
        finally:
            await connection.close()

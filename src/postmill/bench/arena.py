"""Where a benchmark takes place: a queue of its own, dropped afterwards, also on Ctrl-C."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from secrets import token_hex
from typing import TYPE_CHECKING, Any, TypeAlias

from postmill.client import AsyncClient
from postmill.client.asyncpg_connection import open_connection
from postmill.model.queue.queue_name import QueueShape
from postmill.sql.catalog import queue_statement, statement

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

    from postmill.model.config.address import Address

    Connection: TypeAlias = asyncpg.Connection[Any]

PREFIX = "postmill_bench_"


@dataclass(frozen=True, slots=True)
class Arena:
    """The queue, and a connection of the benchmark's own to it."""

    address: Address
    shape: QueueShape
    connection: Connection

    def sql(self, name: str) -> str:
        """The named statement for this queue."""
        return queue_statement(name, self.shape)

    async def empty(self) -> None:
        """Make the queue and its archive as new."""
        await self.connection.execute(self.sql("bench_empty"))

    async def fill(self, messages: int, payload_bytes: int) -> None:
        """Fill the queue with this number of messages, and set statistics and hint bits."""
        await self.empty()
        await self.connection.execute(self.sql("bench_fill"), messages, payload_bytes)
        await self.connection.execute(self.sql("bench_vacuum"))


@asynccontextmanager
async def arena(address: Address) -> AsyncIterator[Arena]:
    """A throw-away queue. Its name starts with ``postmill_bench_``, should a ``kill -9`` leave one behind."""
    async with made(address, 1) as places:
        yield places[0]


@asynccontextmanager
async def made(address: Address, queues: int) -> AsyncIterator[list[Arena]]:
    """Several throw-away queues, on one connection."""
    names = [PREFIX + token_hex(6) for _ in range(queues)]
    connection = await connect(address)
    try:
        yield [Arena(address, await _create(connection, name), connection) for name in names]
    finally:
        # What was interrupted may have left the connection in the middle of something.
        connection.terminate()
        await _drop(address, names)


async def _create(connection: Connection, queue: str) -> QueueShape:
    await AsyncClient(connection).create_queue(queue)
    [row] = await connection.fetch(statement("queue_shape"), queue)
    return QueueShape.of(row)


async def connect(address: Address) -> Connection:
    """A plain asyncpg connection."""
    return await open_connection(address, "postmill bench")


async def _drop(address: Address, queues: list[str]) -> None:
    connection = await connect(address)
    try:
        for queue in queues:
            await connection.execute(statement("bench_drop"), queue)
    finally:
        await connection.close()

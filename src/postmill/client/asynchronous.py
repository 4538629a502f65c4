"""The client for asyncio: ``sending`` builds the statements, and the executor runs them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from postmill.client import sending
from postmill.client.targets import async_executor
from postmill.client.tracing import tracing

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from postmill.client.sending import Delay, Headers


class AsyncClient:
    """Sends messages to queues.

    ``target`` is a database address, which opens a small pool at the first use, or the caller's own
    connection: asyncpg connection or pool, psycopg ``AsyncConnection``, SQLAlchemy ``AsyncSession`` or
    ``AsyncConnection``. On the caller's connection everything happens inside the caller's transaction: what
    is rolled back was never sent.

    Raises :class:`~postmill.model.errors.InvalidOption` for any other target.
    """

    def __init__(self, target: object) -> None:
        self._executor = async_executor(target)

    async def send(
        self,
        queue: str,
        payload: object,
        *,
        delay: Delay = None,
        run_at: datetime | None = None,
        headers: Headers = None,
    ) -> int:
        """Send one message and return its id.

        ``delay`` in seconds, or ``run_at``, an aware datetime: not delivered before. ``headers``: a JSON
        object.

        Raises ``QueueNotFound``, ``InvalidPayload``, ``PayloadTooLarge``, ``InvalidOption``,
        ``DatabaseUnavailable``.
        """
        with tracing(queue, headers) as send:
            statement = sending.one(queue, payload, delay=delay, run_at=run_at, headers=send.headers)
            ids = await self._executor.run(iter([statement]))
            send.sent(ids)
        return ids[0]

    async def send_many(
        self,
        queue: str,
        payloads: Iterable[object],
        *,
        delay: Delay = None,
        run_at: datetime | None = None,
        headers: Headers = None,
    ) -> list[int]:
        """Send a message for each payload, all in one transaction, and return the ids in the same order.

        ``payloads`` may be a generator: it is read in batches. Options and errors as for :meth:`send`.
        """
        with tracing(queue, headers) as send:
            statements = sending.many(queue, payloads, delay=delay, run_at=run_at, headers=send.headers)
            ids = await self._executor.run(statements)
            send.sent(ids, batch=True)
        return ids

    async def create_queue(self, queue: str) -> None:
        """Create the queue if it is missing.

        Raises ``InvalidQueueName``, ``SchemaMissing``, ``DatabaseUnavailable``.
        """
        statement = sending.creation(queue)
        await self._executor.run(iter([statement]))

    async def close(self) -> None:
        """Close the connections this client opened itself, never the caller's. May be called twice."""
        await self._executor.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

"""The client for synchronous code: the statements of :class:`AsyncClient`, run by a synchronous executor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from postmill.client import sending
from postmill.client.targets import sync_executor
from postmill.client.tracing import tracing

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from postmill.client.sending import Delay, Headers


class Client:
    """Sends messages to queues.

    ``target`` is a database address, which opens one connection at the first use (threads may share it), or
    the caller's own: psycopg ``Connection``, SQLAlchemy ``Session`` or ``Connection``. On the caller's
    connection everything happens inside the caller's transaction: what is rolled back was never sent.

    Raises :class:`~postmill.model.errors.InvalidOption` for any other target.
    """

    def __init__(self, target: object) -> None:
        self._executor = sync_executor(target)

    def send(
        self,
        queue: str,
        payload: object,
        *,
        delay: Delay = None,
        run_at: datetime | None = None,
        headers: Headers = None,
    ) -> int:
        """As :meth:`AsyncClient.send`."""
        with tracing(queue, headers) as send:
            statement = sending.one(queue, payload, delay=delay, run_at=run_at, headers=send.headers)
            ids = self._executor.run(iter([statement]))
            send.sent(ids)
        return ids[0]

    def send_many(
        self,
        queue: str,
        payloads: Iterable[object],
        *,
        delay: Delay = None,
        run_at: datetime | None = None,
        headers: Headers = None,
    ) -> list[int]:
        """As :meth:`AsyncClient.send_many`."""
        with tracing(queue, headers) as send:
            statements = sending.many(queue, payloads, delay=delay, run_at=run_at, headers=send.headers)
            ids = self._executor.run(statements)
            send.sent(ids, batch=True)
        return ids

    def create_queue(self, queue: str) -> None:
        """As :meth:`AsyncClient.create_queue`."""
        statement = sending.creation(queue)
        self._executor.run(iter([statement]))

    def close(self) -> None:
        """As :meth:`AsyncClient.close`."""
        self._executor.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

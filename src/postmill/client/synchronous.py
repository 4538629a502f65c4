"""The client for synchronous code: the statements of :class:`AsyncClient`, run by a synchronous executor."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any, Self

from postmill.client import awaited, sending
from postmill.client.awaited import UNSET
from postmill.client.targets import async_executor, sync_executor
from postmill.client.tracing import tracing
from postmill.client.waiting_per_loop import WaitingThread, poll
from postmill.model.errors import QueueNotFound

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime, timedelta

    from postmill.client.awaited import Outcome, Ref, Reference, Unset
    from postmill.client.sending import Delay, Headers
    from postmill.model.queue.addressee import Addressee


class Client:
    """Sends messages to queues.

    ``target`` is a database address, which opens one connection at the first use (threads may share it), or
    the caller's own: psycopg ``Connection``, SQLAlchemy ``Session`` or ``Connection``. On the caller's
    connection everything happens inside the caller's transaction: what is rolled back was never sent.

    Raises :class:`~postmill.model.errors.InvalidOption` for any other target.
    """

    def __init__(self, target: object) -> None:
        self._target = target
        self._executor = sync_executor(target)
        self._waiting: WaitingThread | None = None
        self._starting = Lock()

    def send(
        self,
        queue: str | Addressee,
        payload: object,
        *,
        delay: Delay = None,
        run_at: datetime | None = None,
        headers: Headers = None,
    ) -> int:
        """As :meth:`AsyncClient.send`."""
        name, headers = sending.addressed(queue, headers)
        with tracing(name, headers) as send:
            payload = sending.checked(queue, payload)
            statement = sending.one(name, payload, delay=delay, run_at=run_at, headers=send.headers)
            try:
                ids = self._executor.run(iter([statement]))
            except QueueNotFound:
                if not self._may_create(queue):
                    raise
                self.create_queue(name)
                ids = self._executor.run(iter([statement]))
            send.sent(ids)
        return int(ids[0])

    def send_many(
        self,
        queue: str | Addressee,
        payloads: Iterable[object],
        *,
        delay: Delay = None,
        run_at: datetime | None = None,
        headers: Headers = None,
    ) -> list[int]:
        """As :meth:`AsyncClient.send_many`."""
        name, headers = sending.addressed(queue, headers)
        with tracing(name, headers) as send:
            options: Any = {"delay": delay, "run_at": run_at, "headers": send.headers}
            encoded = sending.all_checked(queue, payloads)
            try:
                ids = self._executor.run(sending.many(name, encoded, **options))
            except QueueNotFound:
                if not (self._may_create(queue) and isinstance(payloads, Sequence)):
                    raise
                self.create_queue(name)
                encoded = sending.all_checked(queue, payloads)
                ids = self._executor.run(sending.many(name, encoded, **options))
            send.sent(ids, batch=True)
        return ids

    def _may_create(self, queue: str | Addressee) -> bool:
        """Whether a missing queue is created: a worker's, for a mere name may be mistyped, and not as part of
        the caller's transaction, which would hold locks until it ends.
        """
        return not isinstance(queue, str) and self._executor.commits

    def create_queue(self, queue: str) -> None:
        """As :meth:`AsyncClient.create_queue`."""
        statement = sending.creation(queue)
        self._executor.run(iter([statement]))

    def cancel(self, queue: str, msg_id: int) -> str:
        """As :meth:`AsyncClient.cancel`."""
        found = self._executor.run(iter([sending.cancelling(queue, msg_id)]))
        return str(found[0])

    def replay(
        self, queue: str, letter_ids: Sequence[int] | None = None, *, payload: object = None
    ) -> list[int]:
        """As :meth:`AsyncClient.replay`."""
        return self._executor.run(iter([sending.replaying(queue, letter_ids, payload)]))

    def result(
        self,
        ref: Reference,
        msg_id: int | None = None,
        *,
        timeout: float | timedelta | Unset | None = UNSET,
    ) -> Any:
        """As :meth:`AsyncClient.result`. On the caller's connection it polls."""
        if awaited.is_one_look(msg_id, timeout):
            asked = awaited.reference(ref, msg_id)
            return sending.the_result(self._executor.run(iter([sending.asking_result(*asked)])), *asked)
        return awaited.value(self._outcome(awaited.reference(ref, msg_id), awaited.timeout_s(timeout)))

    def _outcome(self, ref: Ref, limit_s: float | None) -> Outcome:
        if not isinstance(self._target, str):
            return poll(self._executor, ref, limit_s)
        with self._starting:
            self._waiting = self._waiting or WaitingThread(async_executor(self._target))
        return self._waiting.outcome(ref, limit_s)

    def close(self) -> None:
        """As :meth:`AsyncClient.close`."""
        with self._starting:
            waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.close()
        self._executor.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

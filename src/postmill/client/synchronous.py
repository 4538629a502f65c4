"""The client for synchronous code: the statements of :class:`AsyncClient`, run by a synchronous executor."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any, Self

from postmill.client import awaited, placing, scheduling, sending
from postmill.client.addressing import addressed, checked
from postmill.client.awaited import UNSET
from postmill.client.runs import Runs
from postmill.client.targets import async_executor, sync_executor
from postmill.client.tracing import tracing
from postmill.client.waiting_per_loop import WaitingThread, poll
from postmill.model.errors import QueueNotFound

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import timedelta
    from typing import Unpack

    from postmill.client.awaited import Outcome, Ref, Reference, Unset
    from postmill.client.options import ManyOptions, SendOptions
    from postmill.client.scheduling import CallOptions, FlowOptions, ScheduleOptions, TickOptions
    from postmill.model.queue.addressee import Addressee
    from postmill.model.queue.sent import Sent


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
        self.runs = Runs(self._executor)
        """Runs of flows."""
        self._waiting: WaitingThread | None = None
        self._starting = Lock()

    def send(self, queue: str | Addressee, payload: object, **options: Unpack[SendOptions]) -> Sent:
        """As :meth:`AsyncClient.send`."""
        name, headers = addressed(queue, options.get("headers"))
        with tracing(name, headers) as send:
            options["headers"] = send.headers
            statement = sending.one(name, checked(queue, payload), **options)
            try:
                returned = self._executor.run(iter([statement]))
            except QueueNotFound:
                if not self._may_create(queue):
                    raise
                self.create_queue(name)
                returned = self._executor.run(iter([statement]))
            return send.sent(sending.sent(returned, name))[0]

    def send_many(
        self, queue: str | Addressee, payloads: Iterable[object], **options: Unpack[ManyOptions]
    ) -> list[Sent]:
        """As :meth:`AsyncClient.send_many`."""
        name, headers = addressed(queue, options.get("headers"))
        with tracing(name, headers) as send:
            options["headers"] = send.headers
            try:
                returned = self._executor.run(sending.many(name, payloads, to=queue, **options))
            except QueueNotFound:
                if not (self._may_create(queue) and isinstance(payloads, Sequence)):
                    raise
                self.create_queue(name)
                returned = self._executor.run(sending.many(name, payloads, to=queue, **options))
            return send.sent(sending.sent(returned, name), batch=True)

    def _may_create(self, queue: str | Addressee) -> bool:
        """Whether a missing queue is created: a worker's, for a mere name may be mistyped, and not as part of
        the caller's transaction, which would hold locks until it ends.
        """
        return not isinstance(queue, str) and self._executor.commits

    def create_queue(self, queue: str | Addressee) -> None:
        """As :meth:`AsyncClient.create_queue`."""
        statement = sending.creation(queue)
        self._executor.run(iter([statement]))

    def cancel(self, queue: str | Addressee, msg_id: int) -> str:
        """As :meth:`AsyncClient.cancel`."""
        found = self._executor.run(iter([sending.cancelling(queue, msg_id)]))
        return str(found[0])

    def replay(
        self, queue: str | Addressee, letter_ids: Sequence[int] | None = None, *, payload: object = None
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

    def limit_queue(
        self,
        queue: str | Addressee,
        *,
        max_running: int | None = None,
        starts: int | None = None,
        per: float | timedelta | None = None,
    ) -> None:
        """As :meth:`AsyncClient.limit_queue`."""
        self._executor.run(iter([sending.limiting(queue, max_running, starts, per)]))

    def limit_groups(
        self,
        queue: str | Addressee,
        *,
        max_running: int | None = None,
        starts: int | None = None,
        per: float | timedelta | None = None,
        group_key: str | None = None,
    ) -> None:
        """As :meth:`AsyncClient.limit_groups`."""
        statement = sending.limiting_groups(queue, max_running, starts, per, group_key)
        self._executor.run(iter([statement]))

    def enable_priority(self, queue: str | Addressee, *, aging: float | timedelta | None = None) -> None:
        """As :meth:`AsyncClient.enable_priority`."""
        self._executor.run(iter([sending.prioritizing(queue, aging)]))

    def disable_priority(self, queue: str | Addressee) -> None:
        """As :meth:`AsyncClient.disable_priority`."""
        self._executor.run(iter([sending.unprioritizing(queue)]))

    def schedule(
        self,
        name: str,
        queue: str | Addressee,
        payload: object,
        when: str,
        **options: Unpack[ScheduleOptions],
    ) -> None:
        """As :meth:`AsyncClient.schedule`."""
        statement = scheduling.making(name, queue, payload, when, **options)
        try:
            self._executor.run(iter([statement]))
        except QueueNotFound:
            if not self._may_create(queue):
                raise
            self.create_queue(queue)
            self._executor.run(iter([statement]))

    def schedule_sql(self, name: str, command: str, when: str, **options: Unpack[TickOptions]) -> None:
        """As :meth:`AsyncClient.schedule_sql`."""
        self._executor.run(iter([scheduling.commanding(name, command, when, **options)]))

    def schedule_call(self, name: str, when: str, **options: Unpack[CallOptions]) -> None:
        """As :meth:`AsyncClient.schedule_call`."""
        self._executor.run(iter([scheduling.calling(name, when, **options)]))

    def schedule_flow(
        self,
        name: str,
        flow: str,
        when: str,
        input: object = None,  # noqa: A002 - the word of flows
        **options: Unpack[FlowOptions],
    ) -> None:
        """See :meth:`AsyncClient.schedule_flow`."""
        given = {} if input is None else input
        self._executor.run(iter([scheduling.starting(name, flow, given, when, **options)]))

    def unschedule(self, name: str) -> None:
        """As :meth:`AsyncClient.unschedule`."""
        self._executor.run(iter([scheduling.removing(name)]))

    def pause_schedule(self, name: str) -> None:
        """As :meth:`AsyncClient.pause_schedule`."""
        self._executor.run(iter([scheduling.pausing(name)]))

    def resume_schedule(self, name: str) -> None:
        """As :meth:`AsyncClient.resume_schedule`."""
        self._executor.run(iter([scheduling.resuming(name)]))

    def run_schedule(self, name: str) -> Sent | None:
        """As :meth:`AsyncClient.run_schedule`."""
        return scheduling.fired(self._executor.run(iter([scheduling.running(name)])))

    def database_name(self) -> str | None:
        """As :meth:`AsyncClient.database_name`."""
        found = self._executor.look(placing.NAME)
        return found[0] if found else None

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

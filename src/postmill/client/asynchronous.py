"""The client for asyncio: ``sending`` builds the statements, and the executor runs them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

from postmill.client import awaited, placing, scheduling, sending
from postmill.client.addressing import addressed, checked
from postmill.client.awaited import UNSET
from postmill.client.runs import AsyncRuns
from postmill.client.targets import async_executor
from postmill.client.tracing import tracing
from postmill.client.waiting_per_loop import WaitingPerLoop
from postmill.model.errors import QueueNotFound

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import timedelta
    from typing import Unpack

    from postmill.client.awaited import Reference, Unset
    from postmill.client.options import ManyOptions, SendOptions
    from postmill.client.scheduling import CallOptions, FlowOptions, ScheduleOptions, TickOptions
    from postmill.model.queue.addressee import Addressee
    from postmill.model.queue.sent import Sent


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
        self.runs = AsyncRuns(self._executor)
        """Runs of flows."""
        self._waiting = WaitingPerLoop(self._executor)

    async def send(self, queue: str | Addressee, payload: object, **options: Unpack[SendOptions]) -> Sent:
        """Send one message and return its id.

        ``queue`` is the name of a queue, or a worker or task: then the payload is checked against the
        handler's annotation before it is sent, the message reaches that task, and a missing queue is created
        unless the caller's transaction is open.

        ``delay`` in seconds, or ``run_at``, an aware datetime: not delivered before. ``headers``: a JSON
        object. ``unique_key``, ``unique_for``, ``on_conflict``: sent once; ``existed`` of what is returned
        tells whether it was there. ``priority``, ``group_key``, ``after``, ``on_source_dead``, ``then_send``,
        ``else_send``: see ``docs/reference/client.md``.

        Raises ``QueueNotFound``, ``DuplicateMessage``, ``InvalidPayload``, ``PayloadTooLarge``,
        ``InvalidOption``, ``SchemaMissing``, ``DatabaseUnavailable``.
        """
        name, headers = addressed(queue, options.get("headers"))
        with tracing(name, headers) as send:
            options["headers"] = send.headers
            statement = sending.one(name, checked(queue, payload), **options)
            try:
                returned = await self._executor.run(iter([statement]))
            except QueueNotFound:
                if not self._may_create(queue):
                    raise
                await self.create_queue(name)
                returned = await self._executor.run(iter([statement]))
            return send.sent(sending.sent(returned, name))[0]

    async def send_many(
        self, queue: str | Addressee, payloads: Iterable[object], **options: Unpack[ManyOptions]
    ) -> list[Sent]:
        """Send a message for each payload, all in one transaction, and return the ids in the same order.

        ``payloads`` may be a generator: it is read in batches, once, so that a worker's queue is created only
        for a list or tuple. Options and errors as for :meth:`send`; each option is one value for all, or a
        function of the payload.
        """
        name, headers = addressed(queue, options.get("headers"))
        with tracing(name, headers) as send:
            options["headers"] = send.headers
            try:
                returned = await self._executor.run(sending.many(name, payloads, to=queue, **options))
            except QueueNotFound:
                if not (self._may_create(queue) and isinstance(payloads, Sequence)):
                    raise
                await self.create_queue(name)
                returned = await self._executor.run(sending.many(name, payloads, to=queue, **options))
            return send.sent(sending.sent(returned, name), batch=True)

    def _may_create(self, queue: str | Addressee) -> bool:
        """Whether a missing queue is created: a worker's, for a mere name may be mistyped, and not as part of
        the caller's transaction, which would hold locks until it ends.
        """
        return not isinstance(queue, str) and self._executor.commits

    async def create_queue(self, queue: str | Addressee) -> None:
        """Create the queue if it is missing.

        Raises ``InvalidQueueName``, ``SchemaMissing``, ``DatabaseUnavailable``.
        """
        statement = sending.creation(queue)
        await self._executor.run(iter([statement]))

    async def cancel(self, queue: str | Addressee, msg_id: int) -> str:
        """Cancel a message: ``cancelled`` (it was waiting), ``requested`` (its worker is told) or
        ``not found``. Raises ``QueueNotFound``, ``SchemaMissing``, ``DatabaseUnavailable``.
        """
        found = await self._executor.run(iter([sending.cancelling(queue, msg_id)]))
        return str(found[0])

    async def replay(
        self, queue: str | Addressee, letter_ids: Sequence[int] | None = None, *, payload: object = None
    ) -> list[int]:
        """Put dead letters back as new messages, all of the queue's or those named, and return the new ids in
        the order of the letters. ``payload`` replaces that of exactly one letter; None keeps it. Letters that
        were replayed before are skipped. Raises as :meth:`cancel`, and ``InvalidOption``.
        """
        return await self._executor.run(iter([sending.replaying(queue, letter_ids, payload)]))

    async def result(
        self,
        ref: Reference,
        msg_id: int | None = None,
        *,
        timeout: float | timedelta | Unset | None = UNSET,
    ) -> Any:
        """Wait until a message has completed, and return what its handler returned, on a queue whose worker
        has ``keep_results``.

        ``ref``: what :meth:`send` returned, ``(queue, msg_id)`` or ``"queue:id"``. ``timeout``: how long to
        wait, in seconds or as a timedelta; 0 to look once, None for no limit, which is also the default. As
        ``result(queue, msg_id)``, without a timeout, it looks once and waits for nothing.

        Raises ``MessageDead`` with the letter, ``MessageCancelled``, ``ResultNotKept`` (it has completed),
        ``NotFound`` (nothing is known about the message), ``ResultTimedOut`` with the message's state,
        ``Refused`` on a connection that is in a transaction, and as :meth:`cancel`.
        """
        if awaited.is_one_look(msg_id, timeout):
            asked = awaited.reference(ref, msg_id)
            found = await self._executor.run(iter([sending.asking_result(*asked)]))
            return sending.the_result(found, *asked)
        return awaited.value(
            await self._waiting.outcome(awaited.reference(ref, msg_id), awaited.timeout_s(timeout))
        )

    async def limit_queue(
        self,
        queue: str | Addressee,
        *,
        max_running: int | None = None,
        starts: int | None = None,
        per: float | timedelta | None = None,
    ) -> None:
        """Limit a queue over all its workers: how many messages run at once, and how many start within
        ``per`` (seconds or a timedelta). What is left out has no limit; without any, both are removed.
        Raises ``InvalidOption`` and as :meth:`cancel`.
        """
        await self._executor.run(iter([sending.limiting(queue, max_running, starts, per)]))

    async def limit_groups(
        self,
        queue: str | Addressee,
        *,
        max_running: int | None = None,
        starts: int | None = None,
        per: float | timedelta | None = None,
        group_key: str | None = None,
    ) -> None:
        """Limit each group of a queue by itself, or only the group ``group_key``. Otherwise as
        :meth:`limit_queue`.
        """
        statement = sending.limiting_groups(queue, max_running, starts, per, group_key)
        await self._executor.run(iter([statement]))

    async def enable_priority(
        self, queue: str | Addressee, *, aging: float | timedelta | None = None
    ) -> None:
        """Let workers take messages of a higher priority first: makes an index on the queue's table. A step
        of priority counts as much as having waited for ``aging``, in seconds or as a timedelta; None: as it
        is, at first a minute. Raises ``InvalidOption``, ``Refused`` and as :meth:`cancel`.
        """
        await self._executor.run(iter([sending.prioritizing(queue, aging)]))

    async def disable_priority(self, queue: str | Addressee) -> None:
        """Take messages in the order of their ids again; drops the index. Raises as :meth:`cancel`."""
        await self._executor.run(iter([sending.unprioritizing(queue)]))

    async def schedule(
        self,
        name: str,
        queue: str | Addressee,
        payload: object,
        when: str,
        **options: Unpack[ScheduleOptions],
    ) -> None:
        """Send ``payload`` to ``queue`` whenever ``when`` says: ``'*/5 * * * *'``, ``'@daily'`` or
        ``'30 seconds'``. A schedule of that name is changed.

        ``queue`` as for :meth:`send`. ``timezone`` of the times of day. ``overlap``: what a tick does while
        the message of the last one is not done. ``catch_up``: which ticks fire that were missed. ``jitter``
        in seconds or as a timedelta: each message is delivered up to so much later. ``delay``, ``headers``,
        ``unique_key``, ``unique_for``, ``on_conflict``, ``priority``, ``group_key``, ``then_send`` and
        ``else_send`` are those of each message.

        Raises ``InvalidOption``, ``InvalidPayload``, and as :meth:`cancel`.
        """
        statement = scheduling.making(name, queue, payload, when, **options)
        try:
            await self._executor.run(iter([statement]))
        except QueueNotFound:
            if not self._may_create(queue):
                raise
            await self.create_queue(queue)
            await self._executor.run(iter([statement]))

    async def schedule_sql(self, name: str, command: str, when: str, **options: Unpack[TickOptions]) -> None:
        """Run a SQL command in this database whenever ``when`` says, as the user of this connection. A
        schedule of that name is changed. ``timezone``, ``overlap`` and ``catch_up`` as for :meth:`schedule`,
        with the run in place of the message.

        Raises ``InvalidOption``, ``PostmillError`` where the user may not schedule commands or the schedule
        is another user's, and as :meth:`cancel`.
        """
        await self._executor.run(iter([scheduling.commanding(name, command, when, **options)]))

    async def schedule_call(self, name: str, when: str, **options: Unpack[CallOptions]) -> None:
        """Call ``url``, or a ``function`` of the project, whenever ``when`` says. A schedule of that name is
        changed.

        ``body``: what is sent as JSON; None sends none. ``method``, ``params`` of the URL, ``headers``,
        ``timeout`` in seconds or as a timedelta, ``max_attempts``: those of each call, as in SQL.
        ``timezone``, ``overlap``, ``catch_up`` and ``jitter`` as for :meth:`schedule`, with the call in place
        of the message.

        Raises ``InvalidOption``, ``InvalidPayload``, ``PostmillError`` for a secret that the role was not
        granted, and as :meth:`cancel`.
        """
        await self._executor.run(iter([scheduling.calling(name, when, **options)]))

    async def schedule_flow(
        self,
        name: str,
        flow: str,
        when: str,
        input: object = None,  # noqa: A002 - the word of flows
        **options: Unpack[FlowOptions],
    ) -> None:
        """Start a run of ``flow`` with this input whenever ``when`` says. A schedule of that name is changed.

        ``input``: None is the empty object. ``timezone``, ``catch_up`` and ``jitter`` as for
        :meth:`schedule`. ``overlap``: what a tick does while the run of a tick before has not ended, ``skip``
        or ``allow``.

        Raises ``InvalidOption``, ``InvalidPayload``, ``NotFound`` for a flow that no program has told this
        database of, and as :meth:`cancel`.
        """
        given = {} if input is None else input
        await self._executor.run(iter([scheduling.starting(name, flow, given, when, **options)]))

    async def unschedule(self, name: str) -> None:
        """Remove a schedule and the list of its runs; what it has sent stays. Raises ``NotFound``,
        ``SchemaMissing``, ``DatabaseUnavailable``.
        """
        await self._executor.run(iter([scheduling.removing(name)]))

    async def pause_schedule(self, name: str) -> None:
        """Let a schedule fire no more until it is resumed; ticks that pass meanwhile are gone. Raises as
        :meth:`unschedule`.
        """
        await self._executor.run(iter([scheduling.pausing(name)]))

    async def resume_schedule(self, name: str) -> None:
        """Let a paused schedule fire again, from its next tick on. Raises as :meth:`unschedule`."""
        await self._executor.run(iter([scheduling.resuming(name)]))

    async def run_schedule(self, name: str) -> Sent | None:
        """Fire a schedule now, beside its ticks, a paused one too; returns its message, None for a SQL
        command or a call. Raises as :meth:`unschedule`, and what :meth:`send` raises.
        """
        return scheduling.fired(await self._executor.run(iter([scheduling.running(name)])))

    async def database_name(self) -> str | None:
        """The name of this database among several; None: it has none."""
        found = await self._executor.look(placing.NAME)
        return found[0] if found else None

    async def close(self) -> None:
        """Close the connections this client opened itself, never the caller's. May be called twice."""
        await self._waiting.close()
        await self._executor.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

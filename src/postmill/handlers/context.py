"""What a handler can ask for beside its payload."""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from postmill.client import home, sending
from postmill.client.addressing import addressed, checked
from postmill.client.failures import said_by_postmill
from postmill.client.tracing import tracing
from postmill.model.errors import Refused
from postmill.model.events import Event
from postmill.model.option_rules import out_of_range

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
    from contextlib import AbstractAsyncContextManager
    from datetime import datetime
    from typing import Unpack
    from uuid import UUID

    from postmill.client.home import Home
    from postmill.client.options import ManyOptions, SendOptions
    from postmill.client.placing import ShardKey
    from postmill.client.sending import Statement
    from postmill.db.hot.handler_connections import HandlerConnection
    from postmill.engine.run.attempt import Attempt, Stopping
    from postmill.model.queue.addressee import Addressee
    from postmill.model.queue.message import Message
    from postmill.model.queue.sent import Sent


class Context:
    """One attempt at one message. Valid until the handler returns."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._loop = asyncio.get_running_loop()

    @property
    def message(self) -> Message:
        """The message: ``msg_id``, ``read_ct``, ``enqueued_at``, ``vt``, ``headers``, ``payload``."""
        return self._attempt.message

    @property
    def attempt(self) -> int:
        """1 for the first."""
        return self._attempt.message.attempt

    @property
    def queue(self) -> str:
        """The queue's name."""
        return self._attempt.message.queue

    @property
    def worker_id(self) -> UUID:
        """The worker's row in ``postmill.workers``."""
        return self._attempt.services.worker_id

    @property
    def stopping(self) -> Stopping:
        """Set, with its reason, when the attempt should come to an end: shutdown, timeout, lease_lost or
        cancelled.
        """
        return self._attempt.stopping

    @property
    def deadline(self) -> float | None:
        """Seconds until the attempt is cancelled; None without a time limit."""
        limit = self._attempt.time_limit
        return None if limit is None else limit.deadline - self._loop.time()

    @property
    def tick(self) -> datetime | None:
        """The tick of the schedule that has sent the message, in UTC; None when no schedule has."""
        return self.message.tick

    @property
    def env(self) -> Mapping[str, str]:
        """The process's environment."""
        return os.environ

    @property
    def log(self) -> logging.LoggerAdapter[logging.Logger]:
        """A logger whose lines name the message."""
        fields = self._attempt.services.events.fields
        return _BoundLog(
            logging.getLogger("postmill.handler"),
            {"fields": {**fields, "msg_id": self.message.msg_id, "attempt": self.attempt}},
        )

    @property
    def db(self) -> AbstractAsyncContextManager[HandlerConnection]:
        """A connection for a while: ``async with ctx.db as connection``. What is done on it is not tied to
        the message. It is taken back when the block ends: a later call on it raises.
        """
        self._check_running("db")
        return self._attempt.services.connections.acquire(self._attempt.lost_connection)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """A transaction in which the handler's writes and the completion of its message commit together, or
        not at all.

        Raises ``LeaseLost`` (after rolling back) when another client has got the message meanwhile, and
        ``Refused`` when the transaction was ended inside the block, or the handler ended before it.
        """
        self._check_running("transaction")
        async with self._attempt.services.transaction(self._attempt) as connection:
            yield Transaction(connection, self._attempt.services.home)
            self._check_running("transaction")

    def send(
        self,
        queue: str | Addressee,
        payload: object,
        *,
        shard_key: ShardKey = None,
        **options: Unpack[SendOptions],
    ) -> None:
        """Send a message in the transaction that completes this one: if this attempt fails, it was never
        sent. Options as for ``AsyncClient.send``, ``shard_key`` as for ``AsyncRoutedClient.send``.

        Raises ``InvalidPayload`` and ``InvalidOption`` at once, and ``Refused`` for a message that lives in
        another database than this one; a missing queue, and a unique key that is taken where ``on_conflict``
        is ``raise``, fail the attempt.
        """
        self._check_running("send")
        placed = dict(home.placed(self._attempt.services.home, queue, payload, shard_key, options))
        name, headers = addressed(queue, placed.get("headers"))
        if self._attempt.sends is None:
            self._attempt.sends = []
        with tracing(name, headers) as send:
            placed["headers"] = send.headers
            self._attempt.sends.append(sending.one(name, checked(queue, payload), **placed))

    def progress(self, fraction: float, note: str = "") -> None:
        """Write a log line that says how far the work is. ``fraction`` runs from 0 to 1."""
        self._check_running("progress")
        if not 0 <= fraction <= 1:
            raise out_of_range("fraction", fraction, "It runs from 0 to 1.")
        self._attempt.services.events.emit(
            Event.PROGRESS,
            msg_id=self.message.msg_id,
            attempt=self.attempt,
            percent=round(fraction * 100),
            note=note,
        )

    def extend(self, seconds: float) -> None:
        """Extend the attempt's time limit by ``seconds``. The lease needs no extending: the worker
        renews it.
        """
        self._check_running("extend")
        self._attempt.extend(seconds)

    def wait_for(self, work: Coroutine[Any, Any, Any]) -> Any:
        """For a plain ``def`` handler, which runs in a thread: run ``work`` on the event loop and return its
        result.
        """
        try:
            self._check_running("wait_for")
            self._check_in_thread()
        except Refused:
            work.close()
            raise
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _check_in_thread(self) -> None:
        try:
            here = asyncio.get_running_loop()
        except RuntimeError:
            return
        if here is self._loop:
            raise Refused(
                "ctx.wait_for() was called on the event loop.",
                why="It would wait for work that can only run when it has returned.",
                hint="Write `await` here; wait_for is for a plain def.",
            )

    def _check_running(self, name: str) -> None:
        if self._attempt.ended:
            raise Refused(
                f"ctx.{name} was used after the handler had ended.",
                why=f"The outcome of message {self.message.msg_id} is decided: nothing can be added to it.",
                hint="Await what the handler starts before it returns; elsewhere use a client of your own.",
            )


class Transaction:
    """A transaction of the handler's own, in asyncpg's manner (``$1`` parameters)."""

    def __init__(self, connection: HandlerConnection, database: Home | None = None) -> None:
        self._home = database
        self.connection = connection
        """The asyncpg connection itself, for methods that are not offered here."""

    async def execute(self, sql: str, *args: object) -> str:
        """Run a statement; returns its status."""
        status: str = await self.connection.execute(sql, *args)
        return status

    async def executemany(self, sql: str, rows: Any) -> None:
        """Run a statement for each of ``rows``."""
        await self.connection.executemany(sql, rows)

    async def fetch(self, sql: str, *args: object) -> list[Any]:
        """All rows."""
        return list(await self.connection.fetch(sql, *args))

    async def fetchrow(self, sql: str, *args: object) -> Any:
        """The first row, or None."""
        return await self.connection.fetchrow(sql, *args)

    async def fetchval(self, sql: str, *args: object) -> Any:
        """The first column of the first row, or None."""
        return await self.connection.fetchval(sql, *args)

    async def send_many(
        self,
        queue: str | Addressee,
        payloads: Iterable[object],
        *,
        shard_key: ShardKey | Callable[[Any], ShardKey] = None,
        **options: Unpack[ManyOptions],
    ) -> list[Sent]:
        """Send a message for each payload in this transaction; returns their ids in the same order. Options
        as for ``AsyncRoutedClient.send_many``.
        """
        placed: dict[str, Any] = {**options}
        if self._home is None:
            home.check_no_key(shard_key)
        else:
            payloads, placed = self._home.placed_many(queue, payloads, shard_key, options)
        name, placed["headers"] = addressed(queue, placed.get("headers"))
        found: list[Sent] = []
        for statement in sending.many(name, payloads, to=queue, **placed):
            found += await self._sent(statement)
        return found

    async def send(
        self,
        queue: str | Addressee,
        payload: object,
        *,
        shard_key: ShardKey = None,
        **options: Unpack[SendOptions],
    ) -> Sent:
        """Send a message in this transaction; returns its id. Options as for ``AsyncRoutedClient.send``."""
        placed = dict(home.placed(self._home, queue, payload, shard_key, options))
        name, headers = addressed(queue, placed.get("headers"))
        with tracing(name, headers) as send:
            placed["headers"] = send.headers
            statement = sending.one(name, checked(queue, payload), **placed)
            return send.sent(await self._sent(statement))[0]

    async def _sent(self, statement: Statement) -> list[Sent]:
        with said_by_postmill(statement.queue):
            rows = await self.connection.fetch(statement.text, *statement.arguments)
        return sending.sent([row[0] for row in rows], statement.queue)


class _BoundLog(logging.LoggerAdapter[logging.Logger]):
    def process(self, msg: Any, kwargs: Any) -> tuple[Any, Any]:
        given = kwargs.get("extra") or {}
        fields = {**(self.extra or {}).get("fields", {}), **given.get("fields", {})}  # type: ignore[dict-item]
        kwargs["extra"] = {**given, "fields": fields}
        return msg, kwargs

"""A client for several databases: each message is sent to the one in which its key lives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from postmill.client import placing
from postmill.client.addressing import queue_of
from postmill.client.asynchronous import AsyncClient
from postmill.client.batching import Batches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import timedelta
    from typing import Unpack

    from postmill.client.awaited import Unset
    from postmill.client.options import ManyOptions, SendOptions
    from postmill.client.placing import ShardKey
    from postmill.model.databases.databases import Databases
    from postmill.model.queue.addressee import Addressee
    from postmill.model.queue.sent import Sent


class AsyncRoutedClient:
    """Sends messages to the databases in which they live.

    Without ``connection`` it opens a small pool for each database at its first use. ``connection`` is the
    caller's own, as for :class:`AsyncClient`: everything happens inside the caller's transaction, and a
    message that lives in another database is refused.
    """

    def __init__(self, databases: Databases, connection: object | None = None) -> None:
        self._databases = databases
        self._clients: dict[str, AsyncClient] = {}
        self._checked: set[str] = set()
        """Those whose address leads where their name says."""
        self._here = None if connection is None else AsyncClient(connection)
        self._here_is: str | None = None

    async def send(
        self,
        queue: str | Addressee,
        payload: object,
        *,
        shard_key: ShardKey = None,
        **options: Unpack[SendOptions],
    ) -> Sent:
        """Send one message to the database of its key; ``database`` of what is returned says which.

        ``shard_key`` is text, a whole number or a UUID; None: it stands in the payload, in the field that the
        route's ``shard_by`` names. A queue without a route lives in the main database, and takes no key.
        Otherwise as :meth:`AsyncClient.send`. Raises what that raises, ``InvalidOption`` for a key that is
        missing or says nothing, and ``Refused`` on a connection to another database.
        """
        name, key = placing.home(self._databases, queue, payload, shard_key)
        placing.check_neighbours(self._databases, name, key, options)
        client = await self._of(name, queue, key)
        options["headers"] = placing.kept(key, options.get("headers"))
        return (await client.send(queue, payload, **options)).of(name)

    async def send_many(
        self,
        queue: str | Addressee,
        payloads: Iterable[object],
        *,
        shard_key: ShardKey | Callable[[Any], ShardKey] = None,
        **options: Unpack[ManyOptions],
    ) -> list[Sent]:
        """Send a message for each payload, and return the ids in the same order: in one transaction for each
        database, one after the other. An error after the first one has a note that says what was sent.
        ``shard_key`` may be a function of the payload. Otherwise as :meth:`send`.
        """
        batches = Batches(self._databases, queue, payloads, shard_key, options)
        clients = {name: await self._of(name, queue, batches.key_of(name)) for name in batches}
        for name, client in clients.items():
            with batches.noting(name):
                ids = await client.send_many(queue, batches.payloads(name), **batches.options(name))
            batches.sent(name, ids)
        return batches.in_order()

    async def create_queue(self, queue: str | Addressee) -> None:
        """Create the queue, where it is missing, in each database of its route."""
        for name in self._databases.over(queue_of(queue)):
            await self.at(name).create_queue(queue)

    async def cancel(self, sent: Sent) -> str:
        """As :meth:`AsyncClient.cancel`, for what :meth:`send` returned."""
        return await self.at(placing.database_of(sent, self._databases)).cancel(sent.queue, int(sent))

    async def result(self, sent: Sent, *, timeout: float | timedelta | Unset | None = None) -> Any:
        """As :meth:`AsyncClient.result`, for what :meth:`send` returned."""
        return await self.at(placing.database_of(sent, self._databases)).result(sent, timeout=timeout)

    def at(self, database: str) -> AsyncClient:
        """The client for one database, for all that is done there: dead letters, limits, schedules, runs.
        Raises ``InvalidOption`` for a name that there is not.
        """
        name = self._databases.check(database)
        if name not in self._clients:
            self._clients[name] = AsyncClient(self._databases.addresses[name].url)
        return self._clients[name]

    async def _of(self, name: str, queue: str | Addressee, key: str | None) -> AsyncClient:
        """The client that sends to the database ``name``, which is asked once whether it is that one."""
        if self._here is not None:
            self._here_is = self._here_is or await self._here.database_name()
            placing.check_here(name, self._here_is, queue_of(queue), key)
            return self._here
        client = self.at(name)
        if name not in self._checked:
            placing.check_name(name, await client.database_name())
            self._checked.add(name)
        return client

    async def close(self) -> None:
        """Close the connections this client opened itself, never the caller's. May be called twice."""
        for client in (*self._clients.values(), *filter(None, (self._here,))):
            await client.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

"""The client for several databases in synchronous code; see :mod:`postmill.client.routed`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from postmill.client import placing
from postmill.client.addressing import queue_of
from postmill.client.batching import Batches
from postmill.client.synchronous import Client

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


class RoutedClient:
    """As :class:`AsyncRoutedClient`, on synchronous connections; threads may share it."""

    def __init__(self, databases: Databases, connection: object | None = None) -> None:
        self._databases = databases
        self._clients: dict[str, Client] = {}
        self._checked: set[str] = set()
        """Those whose address leads where their name says."""
        self._here = None if connection is None else Client(connection)
        self._here_is: str | None = None

    def send(
        self,
        queue: str | Addressee,
        payload: object,
        *,
        shard_key: ShardKey = None,
        **options: Unpack[SendOptions],
    ) -> Sent:
        """As :meth:`AsyncRoutedClient.send`."""
        name, key = placing.home(self._databases, queue, payload, shard_key)
        placing.check_neighbours(self._databases, name, key, options)
        client = self._of(name, queue, key)
        options["headers"] = placing.kept(key, options.get("headers"))
        return (client.send(queue, payload, **options)).of(name)

    def send_many(
        self,
        queue: str | Addressee,
        payloads: Iterable[object],
        *,
        shard_key: ShardKey | Callable[[Any], ShardKey] = None,
        **options: Unpack[ManyOptions],
    ) -> list[Sent]:
        """As :meth:`AsyncRoutedClient.send_many`."""
        batches = Batches(self._databases, queue, payloads, shard_key, options)
        clients = {name: self._of(name, queue, batches.key_of(name)) for name in batches}
        for name, client in clients.items():
            with batches.noting(name):
                ids = client.send_many(queue, batches.payloads(name), **batches.options(name))
            batches.sent(name, ids)
        return batches.in_order()

    def create_queue(self, queue: str | Addressee) -> None:
        """As :meth:`AsyncRoutedClient.create_queue`."""
        for name in self._databases.over(queue_of(queue)):
            self.at(name).create_queue(queue)

    def cancel(self, sent: Sent) -> str:
        """As :meth:`AsyncClient.cancel`, for what :meth:`send` returned."""
        return self.at(placing.database_of(sent, self._databases)).cancel(sent.queue, int(sent))

    def result(self, sent: Sent, *, timeout: float | timedelta | Unset | None = None) -> Any:
        """As :meth:`AsyncClient.result`, for what :meth:`send` returned."""
        return self.at(placing.database_of(sent, self._databases)).result(sent, timeout=timeout)

    def at(self, database: str) -> Client:
        """As :meth:`AsyncRoutedClient.at`."""
        name = self._databases.check(database)
        if name not in self._clients:
            self._clients[name] = Client(self._databases.addresses[name].url)
        return self._clients[name]

    def _of(self, name: str, queue: str | Addressee, key: str | None) -> Client:
        """The client that sends to the database ``name``, which is asked once whether it is that one."""
        if self._here is not None:
            self._here_is = self._here_is or self._here.database_name()
            placing.check_here(name, self._here_is, queue_of(queue), key)
            return self._here
        client = self.at(name)
        if name not in self._checked:
            placing.check_name(name, client.database_name())
            self._checked.add(name)
        return client

    def close(self) -> None:
        """As :meth:`AsyncRoutedClient.close`."""
        for client in (*self._clients.values(), *filter(None, (self._here,))):
            client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

"""Runs a client's statements on psycopg 3: on a connection of its own, or on the caller's."""

from __future__ import annotations

from contextlib import nullcontext
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeAlias

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import scalar_row

from postmill.client.failures import translated
from postmill.client.psycopg_connection import open_connection, with_known_pooler
from postmill.client.sending import is_atomic
from postmill.model.config.address import parse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from postmill.client.sending import Statement

    Connection: TypeAlias = psycopg.Connection[Any]
    AsyncConnection: TypeAlias = psycopg.AsyncConnection[Any]


class CallersConnection:
    """One connection that belongs to the caller; a transaction of the caller stays the caller's."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def run(self, statements: Iterator[Statement]) -> list[Any]:
        return _run(self._connection, statements)

    @property
    def commits(self) -> bool:
        return _is_alone(self._connection)

    @property
    def in_transaction(self) -> bool:
        return _in_transaction(self._connection)

    def look(self, statement: Statement) -> list[Any]:
        with nullcontext() if self._connection.autocommit else self._connection.transaction():
            return _run(self._connection, iter([statement]))

    def close(self) -> None:
        """Closes nothing: the connection is the caller's."""


class OwnConnection:
    """A connection for one address: opened at the first use, and again when it broke. Threads take turns."""

    commits = True
    in_transaction = False

    def __init__(self, url: str) -> None:
        self._address = parse(url)
        self._connection: Connection | None = None
        self._turn = Lock()

    def run(self, statements: Iterator[Statement]) -> list[Any]:
        with self._turn:
            return _run(self._opened(), statements)

    def look(self, statement: Statement) -> list[Any]:
        return self.run(iter([statement]))

    def close(self) -> None:
        with self._turn:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _opened(self) -> Connection:
        if self._connection is None or self._connection.closed:
            with translated():
                self._connection = open_connection(self._address, "postmill")
                self._address = with_known_pooler(self._connection, self._address)
                if self._address.pooled:  # it would mix up prepared statements
                    self._connection.prepare_threshold = None
        return self._connection


class CallersAsyncConnection:
    """As :class:`CallersConnection`, for psycopg's ``AsyncConnection``. Results are polled for: who reads
    notifications on the connection would take those of the caller's own.
    """

    reopens = False

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def run(self, statements: Iterator[Statement]) -> list[Any]:
        atomic, statements = is_atomic(statements)
        results: list[Any] = []
        cursor = psycopg.AsyncRawCursor(self._connection, row_factory=scalar_row)
        if not atomic and _would_commit(self._connection):
            await cursor.execute("")
        async with nullcontext() if atomic else self._connection.transaction():
            for text, arguments, queue in statements:
                with translated(queue):
                    await cursor.execute(text.encode(), arguments)
                    results += await cursor.fetchall()
        return results

    @property
    def commits(self) -> bool:
        return _is_alone(self._connection)

    @property
    def in_transaction(self) -> bool:
        return _in_transaction(self._connection)

    async def look(self, statement: Statement) -> list[Any]:
        async with nullcontext() if self._connection.autocommit else self._connection.transaction():
            return await self.run(iter([statement]))

    async def listen(self, *_: object) -> None:
        """Not here: see the class."""

    async def close(self) -> None:
        """Nothing here is ours."""


def _run(connection: Connection, statements: Iterator[Statement]) -> list[Any]:
    atomic, statements = is_atomic(statements)
    results: list[Any] = []
    cursor = psycopg.RawCursor(connection, row_factory=scalar_row)
    if not atomic and _would_commit(connection):
        cursor.execute("")
    with nullcontext() if atomic else connection.transaction():
        for text, arguments, queue in statements:
            with translated(queue):
                cursor.execute(text.encode(), arguments)
                results += cursor.fetchall()
    return results


def _would_commit(connection: Connection | AsyncConnection) -> bool:
    """Whether ``connection.transaction()`` would commit the caller's own transaction.

    It does when it opens the transaction itself. On a connection without autocommit an empty statement opens
    the caller's transaction first, and the client's becomes a savepoint in it.
    """
    return not connection.autocommit and connection.info.transaction_status == TransactionStatus.IDLE


def _is_alone(connection: Connection | AsyncConnection) -> bool:
    """Whether a statement on the connection commits by itself."""
    return connection.autocommit and connection.info.transaction_status == TransactionStatus.IDLE


def _in_transaction(connection: Connection | AsyncConnection) -> bool:
    """Whether a transaction of the caller's is open."""
    return connection.info.transaction_status in {TransactionStatus.INTRANS, TransactionStatus.INERROR}

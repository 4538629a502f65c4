"""Runs a client's statements on asyncpg: on a pool of its own, or on the caller's connection or pool."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, Any, TypeAlias

from postmill.client.asyncpg_connection import is_behind_pooler, open_connection, open_pool
from postmill.client.failures import raise_translated, translated
from postmill.client.sending import is_atomic
from postmill.model.config.address import parse
from postmill.model.config.asyncpg_address import CONNECT_TIMEOUT_S
from postmill.model.errors import DatabaseUnavailable
from postmill.model.sqlstates import Condition, condition, state_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    import asyncpg
    from asyncpg.pool import PoolConnectionProxy

    from postmill.client.sending import Statement

    Connection: TypeAlias = asyncpg.Connection[Any] | PoolConnectionProxy[Any]

MAX_CONNECTIONS = 4
"""The most connections of an ``AsyncClient`` that was given an address. They are opened when sends overlap,
never in advance. 4: as many as one worker process has by default, so that a client does not need more of the
server than a worker.
"""


class CallersConnection:
    """One connection that belongs to the caller; a transaction of the caller stays the caller's."""

    reopens = False

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._turn = asyncio.Lock()
        """The connection does one thing at a time: a send and a wait for results take turns."""
        self._pooled: bool | None = None

    async def run(self, statements: Iterator[Statement]) -> list[Any]:
        async with self._turn:
            return await _run(self._connection, statements)

    @property
    def commits(self) -> bool:
        return not self.in_transaction

    @property
    def in_transaction(self) -> bool:
        return bool(self._connection.is_in_transaction())

    async def look(self, statement: Statement) -> list[Any]:
        return await self.run(iter([statement]))

    async def listen(
        self, channel: str, on_payload: Callable[[str], None], on_cut: Callable[[], None]
    ) -> Listening | None:
        async with self._turn:
            if self._pooled is None:
                self._pooled = await is_behind_pooler(self._connection)
            if self._pooled:
                return None
            line = Listening(self._connection, channel, on_payload, on_cut, lock=self._turn)
            return await line.open()

    async def close(self) -> None:
        """Closes nothing: the connection is the caller's."""


class CallersPool:
    """The caller's pool: a connection is taken for each call."""

    commits = True
    reopens = True
    in_transaction = False

    def __init__(self, pool: asyncpg.Pool[Any]) -> None:
        self._pool = pool

    async def run(self, statements: Iterator[Statement]) -> list[Any]:
        async with self._pool.acquire() as connection:
            return await _run(connection, statements)

    async def look(self, statement: Statement) -> list[Any]:
        return await self.run(iter([statement]))

    async def listen(
        self, channel: str, on_payload: Callable[[str], None], on_cut: Callable[[], None]
    ) -> Listening | None:
        """On one connection of the pool, while something is waited for; not on its only one."""
        if self._pool.get_max_size() == 1:
            return None
        with translated():
            connection = await self._pool.acquire()
        try:
            if await is_behind_pooler(connection):
                await self._pool.release(connection)
                return None
            line = Listening(
                connection, channel, on_payload, on_cut, leave=lambda: self._pool.release(connection)
            )
            return await line.open()
        except BaseException:
            await self._pool.release(connection)
            raise

    async def close(self) -> None:
        """Nothing here is ours."""


class OwnPool:
    """A pool for one address, opened at the first use; in each event loop another one, for a connection
    belongs to the loop that has opened it.
    """

    commits = True
    reopens = True
    in_transaction = False

    def __init__(self, url: str) -> None:
        self._address = parse(url)
        self._pools: dict[asyncio.AbstractEventLoop, asyncpg.Pool[Any]] = {}
        self._opening: dict[asyncio.AbstractEventLoop, asyncio.Lock] = {}

    async def run(self, statements: Iterator[Statement]) -> list[Any]:
        pool = await self._opened()
        try:
            connection = await pool.acquire(timeout=CONNECT_TIMEOUT_S)
        except Exception as error:
            raise_translated(error)
        try:
            return await _run(connection, statements)
        except DatabaseUnavailable:
            with suppress(Exception):  # it may be closed already, and then the pool has it back
                connection.terminate()  # its server has ended, or takes no writes any more: not asked again
            raise
        finally:
            await pool.release(connection)

    async def look(self, statement: Statement) -> list[Any]:
        return await self.run(iter([statement]))

    async def listen(
        self, channel: str, on_payload: Callable[[str], None], on_cut: Callable[[], None]
    ) -> Listening | None:
        """On a connection beside the pool."""
        await self._opened()
        if self._address.pooled:
            return None
        with translated():
            connection = await open_connection(self._address, "postmill results")
        line = Listening(
            connection, channel, on_payload, on_cut, leave=lambda: connection.close(timeout=2), lingers=True
        )
        try:
            return await line.open()
        except BaseException:
            connection.terminate()
            raise

    async def close(self) -> None:
        """Each event loop ends its own pool: the running loop at once, another loop at its next turn."""
        here = asyncio.get_running_loop()
        for loop in list(self._pools):
            if loop is not here and loop.is_running():
                with suppress(RuntimeError):  # it was closed meanwhile
                    loop.call_soon_threadsafe(self._terminate, loop)
        self._opening.pop(here, None)
        pool = self._pools.pop(here, None)
        if pool is not None:
            await pool.close()

    def _terminate(self, loop: asyncio.AbstractEventLoop) -> None:
        self._opening.pop(loop, None)
        pool = self._pools.pop(loop, None)
        if pool is not None:
            pool.terminate()

    async def _opened(self) -> asyncpg.Pool[Any]:
        loop = asyncio.get_running_loop()
        if loop not in self._opening:
            self._forget_ended_loops()
        async with self._opening.setdefault(loop, asyncio.Lock()):
            if loop not in self._pools:
                pool = await self._open()
                if not self._address.pooler_is_known:
                    self._address = self._address.with_pooler(await _is_pooled(pool))
                    if self._address.pooled:
                        await pool.close()
                        pool = await self._open()
                self._pools[loop] = pool
            return self._pools[loop]

    def _forget_ended_loops(self) -> None:
        """The connections of a closed event loop can't say good-bye to the server any more: their sockets are
        closed.
        """
        for loop in [loop for loop in self._opening if loop.is_closed()]:
            self._opening.pop(loop, None)
            self._pools.pop(loop, None)

    async def _open(self) -> asyncpg.Pool[Any]:
        return await open_pool(self._address, "postmill", size=MAX_CONNECTIONS, reset=_keep)


class Listening:
    """A connection that listens to one channel: see :class:`postmill.client.waiting.Line`."""

    def __init__(
        self,
        connection: Connection,
        channel: str,
        on_payload: Callable[[str], None],
        on_cut: Callable[[], None],
        *,
        leave: Callable[[], Awaitable[object]] | None = None,
        lock: asyncio.Lock | None = None,
        lingers: bool = False,
    ) -> None:
        """``leave`` gives the connection back or closes it. ``lock``: who has it may use the connection."""
        self.lingers = lingers
        self._connection = connection
        self._channel = channel
        self._on_payload = on_payload
        self._on_cut = on_cut
        self._leave = leave
        self._lock = lock or asyncio.Lock()

    async def open(self) -> Listening | None:
        """Listen; None on a standby, which sends no notifications."""
        try:
            with translated():
                await self._connection.add_listener(self._channel, self._heard)
        except DatabaseUnavailable as error:
            if condition(state_of(error.__cause__ or error)) is not Condition.READ_ONLY:
                raise
            if self._leave is not None:
                await self._leave()
            return None
        self._connection.add_termination_listener(self._cut)
        return self

    async def run(self, statement: Statement) -> list[Any]:
        async with self._lock:
            return await _run(self._connection, iter([statement]))

    async def close(self) -> None:
        async with self._lock:
            self._connection.remove_termination_listener(self._cut)
            with suppress(Exception):
                await self._connection.remove_listener(self._channel, self._heard)
            if self._leave is not None:
                await self._leave()

    def _heard(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        self._on_payload(str(payload))

    def _cut(self, _connection: object) -> None:
        self._on_cut()


async def _is_pooled(pool: asyncpg.Pool[Any]) -> bool:
    """The address, with a pooler that it does not show found out: that one would mix up prepared
    statements.
    """
    with translated():
        async with pool.acquire(timeout=CONNECT_TIMEOUT_S) as connection:
            return await is_behind_pooler(connection)


async def _keep(_: object) -> None:
    """In place of asyncpg's reset, which would cost a round trip a send: the client's statements leave
    nothing in a session.
    """


async def _run(connection: Connection, statements: Iterator[Statement]) -> list[Any]:
    atomic, statements = is_atomic(statements)
    results: list[Any] = []
    async with nullcontext() if atomic else connection.transaction():
        for text, arguments, queue in statements:
            try:
                results += [row[0] for row in await connection.fetch(text, *arguments)]
            except Exception as error:
                raise_translated(error, queue)
    return results

"""Connections that handlers borrow: a pool of what the worker has left, or, when nothing is left, the
settlements' own connection.

A handler gets one that works. While there is none (an outage, a server or a pooler that is full) the handler
waits, and the message does not fail. The connection is taken back when the handler's block ends, and reset.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol, TypeAlias, cast

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from postmill.client.asyncpg_connection import open_pool
from postmill.db.hot.handler_session import HandlerSession
from postmill.db.hot.outage import is_passing
from postmill.db.hot.shared_connection import CONNECT_TIMEOUT_S, SETTLING, own_settings
from postmill.model.errors import Refused
from postmill.service.backoff import Backoff
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from postmill.db.hot.shared_connection import SharedConnection
    from postmill.model.config.address import Address

    OnLost = Callable[[BaseException], None]
    Prepare = Callable[[HandlerSession], Awaitable[None]]
    Landed = Callable[[PoolConnectionProxy], Awaitable[bool]]

AS_THE_ROLE_HAS_IT = "reset default_transaction_isolation; reset lock_timeout"
"""Gives a handler on the settlements' session the settings that it would have on a session of its own."""

UNUSED_S = 60.0
"""A connection that no handler has used for this long, in seconds, is closed. A minute: other clients may
need its place on the server, and opening another one takes milliseconds.
"""

HandlerConnection: TypeAlias = PoolConnectionProxy
"""asyncpg's own stand-in for a connection: after the loan every call on it raises."""

_borrowing: ContextVar[bool] = ContextVar("postmill_borrowing", default=False)


class Outage(Protocol):
    """Logs once that no connection can be had, and once that one can be had again."""

    def began(self, error: BaseException) -> None: ...

    def over(self) -> None: ...


class HandlerConnections:
    """At most ``size`` connections, opened when needed. With ``size`` 0 handlers take turns on ``shared``."""

    def __init__(self, address: Address, size: int, shared: SharedConnection, outage: Outage) -> None:
        self._address = address
        self._size = size
        self._shared = shared
        self._outage = outage
        self._pool: asyncpg.Pool | None = None
        self._opening = asyncio.Lock()
        self._closed = False
        self._lent = 0
        flags = () if size else ("listening",)
        settling = own_settings("session") + "\n" + statement(SETTLING, "session")
        own = statement("session_own", "lent") if size else settling
        # A pooler's sessions are shared with other clients: they are neither set nor reset.
        self._own_text = "" if address.pooled else own
        self._reset_text = "" if address.pooled else statement("session_reset", *flags) + "\n" + own

    @property
    def shared(self) -> SharedConnection:
        """The worker's own connection for what it writes down: for short statements, never inside a loan,
        since handlers may take turns on it.
        """
        return self._shared

    @asynccontextmanager
    async def acquire(self, on_lost: OnLost) -> AsyncIterator[HandlerConnection]:
        """A connection for a while; waits until one can be had. ``on_lost`` is told the error with which the
        block ends when the connection was lost meanwhile.

        Raises :class:`Refused` for a second one inside the first when that could wait for ever, and what
        asyncpg raises for what waiting won't mend.
        """
        async with self._borrowed(on_lost, HandlerSession.check) as lent:
            yield lent

    @asynccontextmanager
    async def transaction(self, on_lost: OnLost, landed: Landed) -> AsyncIterator[HandlerConnection]:
        """The same in a transaction, which commits when the block ends and rolls back when it raises.

        ``landed`` finds out whether the commit was done when the server's answer leaves that open.
        """
        async with self._borrowed(on_lost, HandlerSession.begin) as lent:
            session = _session(lent)
            try:
                yield lent
                await session.commit(self._reset_text, lambda: landed(lent))
            except GeneratorExit:
                session.terminate()  # a coroutine that is closed can't wait any more: the server rolls back
                raise
            except BaseException:
                if not session.is_closed():
                    await session.roll_back(self._reset_text)
                raise

    async def close(self) -> None:
        """Close all of them; what a handler still holds is cut."""
        self._closed = True
        if self._pool is not None:
            self._pool.terminate()
            self._pool = None

    @asynccontextmanager
    async def _borrowed(self, on_lost: OnLost, prepare: Prepare) -> AsyncIterator[HandlerConnection]:
        if _borrowing.get() and self._lent >= self._size:
            raise Refused(
                "This handler holds a connection already, and there is no other left for handlers.",
                why="ctx.db and ctx.transaction() inside one another need two: handlers that hold one each"
                " could wait for each other for ever.",
                hint="Raise max_pg_connections, or use the connection you have.",
            )
        token = _borrowing.set(True)
        self._lent += 1
        try:
            async with AsyncExitStack() as stack:
                lent = await self._once_available(stack, prepare)
                session = _session(lent)
                try:
                    yield lent
                except Exception as error:
                    if session.lost(error):
                        on_lost(error)
                    raise
        finally:
            self._lent -= 1
            _borrowing.reset(token)

    async def _once_available(self, stack: AsyncExitStack, prepare: Prepare) -> HandlerConnection:
        """Borrow a connection as soon as the database has one. ``stack`` gives it back."""
        backoff = Backoff(random.random)
        while True:
            source = self._from_pool(prepare) if self._size else self._from_shared(prepare)
            try:
                lent = await stack.enter_async_context(source)
            except Exception as error:
                if self._closed or not is_passing(error):
                    raise
                self._outage.began(error)
                await asyncio.sleep(backoff.next_delay_s())
            else:
                if backoff.failures:
                    self._outage.over()
                return lent

    @asynccontextmanager
    async def _from_shared(self, prepare: Prepare) -> AsyncIterator[HandlerConnection]:
        """The settlements' session for a while. It is closed after an error or a cancellation, and reset
        otherwise: what a handler leaves in it must not reach claims and settlements.
        """
        async with self._shared.connection(pinned=False) as connection:
            session = cast("HandlerSession", connection)
            if self._reset_text:  # it has the settlements' level and waits
                await session.execute(AS_THE_ROLE_HAS_IT, timeout=CONNECT_TIMEOUT_S)
            session.lend()
            lent = PoolConnectionProxy(_NoPool(session), session)  # type: ignore[arg-type]
            try:
                await prepare(session)
                yield lent
                _revoke(lent)
                await self._restore(session)
            except BaseException:
                session.terminate()
                raise
            finally:
                _revoke(lent)

    async def _restore(self, session: HandlerSession) -> None:
        """Reset the session. One that can't be reset is closed, and the next statement opens another one."""
        if session.is_closed():
            return
        if not session.can_be_reset or session.is_in_transaction():
            session.terminate()
            return
        try:
            await session.reset_session(self._reset_text)
        except Exception:
            session.terminate()

    @asynccontextmanager
    async def _from_pool(self, prepare: Prepare) -> AsyncIterator[HandlerConnection]:
        pool = await self._opened()
        lent = await self._prepared(pool, prepare)
        session = _session(lent)
        try:
            yield lent
        except GeneratorExit:
            session.terminate()  # its place in the pool is free with that, and nothing has to be waited for
            raise
        except BaseException:
            await self._give_back(pool, lent, session)
            raise
        else:
            await self._give_back(pool, lent, session)

    async def _prepared(self, pool: asyncpg.Pool, prepare: Prepare) -> HandlerConnection:
        """A connection that works. A dead one is replaced at once: the next one may work."""
        while True:
            lent = await pool.acquire()
            session = _session(lent)
            session.lend()
            try:
                await prepare(session)
            except BaseException as error:
                session.terminate()  # its place in the pool is free with that
                if session.loans == 1 or not isinstance(error, Exception) or not is_passing(error):
                    raise
            else:
                return lent

    async def _give_back(self, pool: asyncpg.Pool, lent: HandlerConnection, session: HandlerSession) -> None:
        """Give the connection back. An error of the reset is not raised: the handler's own work is done."""
        if not session.can_be_reset:
            session.terminate()
        try:
            await pool.release(lent, timeout=CONNECT_TIMEOUT_S)
        except Exception as error:
            session.terminate()
            if not is_passing(error) and not isinstance(error, asyncpg.PostgresError):
                raise

    async def _opened(self) -> asyncpg.Pool:
        async with self._opening:
            if self._pool is None:
                self._pool = await open_pool(
                    self._address,
                    "postmill handlers",
                    size=self._size,
                    timeout_s=CONNECT_TIMEOUT_S,
                    connection_class=HandlerSession,
                    init=self._init,
                    reset=self._reset,
                    max_inactive_connection_lifetime=UNUSED_S,
                )
            return self._pool

    async def _init(self, connection: asyncpg.Connection) -> None:
        """Turn the server's idle limit off, so that a rest between two handlers does not end the session."""
        if self._own_text:
            await connection.execute(self._own_text, timeout=CONNECT_TIMEOUT_S)

    async def _reset(self, connection: asyncpg.Connection) -> None:
        """Resets the session, so that nothing of one handler's reaches the next."""
        await cast("HandlerSession", connection).reset_session(self._reset_text)


async def take_own_role(lent: HandlerConnection) -> None:
    """What follows in the transaction is done as the worker's own user."""
    await _session(lent).take_own_role()


class _NoPool:
    """Stands for the pool of a lent connection where there is none: what asyncpg asks of one."""

    def __init__(self, session: HandlerSession) -> None:
        self._session = session

    @property
    def _pool(self) -> _NoPool:
        return self

    def _drop_statement_cache(self) -> None:
        self._session._drop_local_statement_cache()  # type: ignore[attr-defined]

    def _drop_type_cache(self) -> None:
        self._session._drop_local_type_cache()  # type: ignore[attr-defined]


def _session(lent: HandlerConnection) -> HandlerSession:
    """The connection behind asyncpg's stand-in. It can be ended also when the pool has the stand-in back."""
    return cast("HandlerSession", lent._con)  # type: ignore[attr-defined]


def _revoke(lent: HandlerConnection) -> None:
    """Every later call on the stand-in, and on transactions, cursors and statements made with it, raises."""
    session = lent._detach()  # type: ignore[attr-defined]
    if session is not None:
        session._pool_release_ctr += 1

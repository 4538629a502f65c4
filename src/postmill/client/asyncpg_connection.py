"""Opens every asyncpg connection of the product, and every pool: as libpq would, host by host, with libpq's
parameters, a time limit, TCP keepalive and a name; and finds out a pooler that the address does not show.

Knows none of Postmill's statements: the caller that opens a connection decides what it is for.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections import deque
from typing import TYPE_CHECKING, Any, TypeAlias

import asyncpg

from postmill.model.config.asyncpg_address import CONNECT_TIMEOUT_S, TcpKeepalive, arguments, silence

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from asyncpg.pool import PoolConnectionProxy

    from postmill.model.config.address import Address

    Connection: TypeAlias = asyncpg.Connection[Any] | PoolConnectionProxy[Any]
    Opened: TypeAlias = asyncpg.Connection[Any]

_TRY_NEXT = (OSError, asyncpg.CannotConnectNowError, asyncpg.TargetServerAttributeNotMatched)
"""Errors after which the next host is tried. A refused login is final, as in libpq."""

STAGGER_S = 0.25
"""When a host has not answered for this long, in seconds, the next one is tried beside it. 0.25 s is the
connection attempt delay of RFC 8305, section 5: long enough that a host in reach is not asked in vain, short
enough for a failover.
"""

STATEMENTS_KEPT = 100
"""Prepared statements that a connection keeps, asyncpg's own number; none behind a pooler, which would hand
them to a server process that does not know them.
"""
ASK_TIMEOUT_S = 5.0
"""Seconds for the question whether a pooler is there: a login and one statement."""

_last_good: dict[str, int] = {}
"""The address -> the place of the host that last let this process in. A process has few addresses."""


async def open_connection(
    address: Address, name: str, *, timeout_s: float = CONNECT_TIMEOUT_S, **options: Any
) -> asyncpg.Connection[Any]:
    """A connection to ``address`` that the server shows under ``name``. ``options`` are asyncpg's. Raises as
    :func:`connect`.
    """
    return await connect(address.url, **_given(address, name, timeout_s), **options)


async def open_unprepared(address: Address, name: str) -> Opened:
    """A connection that keeps no prepared statement: DISCARD ALL would drop it behind asyncpg's back. Raises
    as :func:`connect`.
    """
    return await connect(
        address.url, **{**_given(address, name, CONNECT_TIMEOUT_S), "statement_cache_size": 0}
    )


def session_id(connection: Connection) -> int:
    """The id by which the server knows the session: that of its process."""
    return connection.get_server_pid()


async def open_pool(
    address: Address, name: str, *, size: int, timeout_s: float = CONNECT_TIMEOUT_S, **options: Any
) -> asyncpg.Pool[Any]:
    """A pool of at most ``size`` such connections. It opens none before one is needed."""
    return await asyncpg.create_pool(
        address.url,
        connect=connect,
        min_size=0,
        max_size=size,
        **_given(address, name, timeout_s),
        **options,
    )


async def with_known_pooler(address: Address) -> Address:
    """The address, and whether a pooler stands before the server, whatever the address looks like. Asks on a
    connection of its own when that is not known yet: behind a pooler, what a session is told stays with a
    server session that other clients get.
    """
    if address.pooler_is_known:
        return address
    connection = await connect(address.url, timeout=ASK_TIMEOUT_S, statement_cache_size=0)
    try:
        async with asyncio.timeout(ASK_TIMEOUT_S):
            found = await is_behind_pooler(connection)
        await connection.close(timeout=2)
    except BaseException:
        connection.terminate()
        raise
    return address.with_pooler(found)


def _given(address: Address, name: str, timeout_s: float) -> dict[str, Any]:
    """The options that a single connection and a pool's connections have in common."""
    return {
        "timeout": timeout_s,
        "statement_cache_size": 0 if address.pooled else STATEMENTS_KEPT,
        "server_settings": {"application_name": name},
    }


async def connect(
    dsn: str | None = None,
    *,
    timeout: float = 60.0,
    server_settings: Mapping[str, str] | None = None,
    **options: Any,
) -> asyncpg.Connection[Any]:
    """Like ``asyncpg.connect``, for an address as ``address.parse`` gives it; also a pool's ``connect``.

    ``timeout``: seconds for each host, unless the address says ``connect_timeout``. Of several hosts the one
    that last let this process in is tried first, and the others follow ``STAGGER_S`` apart. What the address
    itself says wins over ``server_settings``. TCP itself notices a peer that is gone; a statement on which
    the server works may take as long as it likes. Raises what asyncpg raises for the last host, and
    ``InvalidAddress``.
    """
    dsn = dsn or ""
    attempts, limit = arguments(dsn), silence(dsn)
    order = sorted(range(len(attempts)), key=lambda place: place != _last_good.get(dsn))

    async def open_at(place: int) -> asyncpg.Connection[Any]:
        given = attempts[place]
        settings = {**(server_settings or {}), **given["server_settings"]}
        opened: asyncpg.Connection[Any] = await asyncpg.connect(
            **{"timeout": timeout, **options, **given, "server_settings": settings}
        )
        _last_good[dsn] = place
        return opened

    opened = await (open_at(order[0]) if len(order) == 1 else _first_to_open(open_at, order, timeout))
    _watch(opened, limit)
    return opened


async def _first_to_open(
    open_at: Callable[[int], Awaitable[Opened]], order: list[int], again_s: float
) -> Opened:
    """The first connection of attempts that start one after the other; the others are given up.

    While one host hangs, those that refused are asked again, for ``again_s`` at most: a standby may have been
    promoted meanwhile.
    """
    waiting, refused = deque(order), deque[int]()
    running: dict[asyncio.Task[Opened], int] = {}
    again_until = time.monotonic() + again_s
    failure: BaseException | None = None
    try:
        while waiting or running:
            if waiting:
                place = waiting.popleft()
                running[asyncio.ensure_future(open_at(place))] = place
            pause_s = STAGGER_S if waiting or refused else None
            done, _ = await asyncio.wait(running, timeout=pause_s, return_when=asyncio.FIRST_COMPLETED)
            for ended in done:
                place, failure = running.pop(ended), ended.exception()
                if failure is None:
                    return ended.result()
                if not isinstance(failure, _TRY_NEXT):
                    raise failure
                refused.append(place)
            if not done and refused and time.monotonic() < again_until:
                waiting.append(refused.popleft())
    finally:
        await _give_up(running)
    assert failure is not None, "an address has at least one host"  # noqa: S101
    raise failure


async def _give_up(attempts: Iterable[asyncio.Task[Opened]]) -> None:
    """End attempts that are not needed any more, and close the connections that they have opened
    meanwhile.
    """
    for attempt in attempts:
        attempt.cancel()
    for late in await asyncio.gather(*attempts, return_exceptions=True):
        if not isinstance(late, BaseException):
            late.terminate()


def _watch(connection: asyncpg.Connection[Any], limit: TcpKeepalive) -> None:
    """Turn TCP keepalive on, as libpq does. asyncpg has no option for it, and the system's default is two
    hours.
    """
    wire = connection._transport.get_extra_info("socket")  # type: ignore[attr-defined]
    if wire is None or wire.family not in {socket.AF_INET, socket.AF_INET6} or not limit.keepalive:
        return
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    wanted = {
        "TCP_KEEPIDLE": limit.idle_s,
        "TCP_KEEPINTVL": limit.interval_s,
        "TCP_KEEPCNT": limit.count,
        "TCP_USER_TIMEOUT": limit.user_timeout_ms,
    }
    for name, value in wanted.items():
        if hasattr(socket, name):  # not every system has all of them
            wire.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


async def is_behind_pooler(connection: Connection) -> bool:
    """Whether a pooler stands before the server: at login it gives another process id than the server's own.

    The question is a COPY, which is no prepared statement, so it is safe on every connection.
    """
    answer = bytearray()

    async def take(data: bytes) -> None:
        answer.extend(data)

    await connection.copy_from_query("select pg_backend_pid()", output=take)
    return int(answer) != connection.get_server_pid()

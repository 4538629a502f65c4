"""Opens asyncpg connections as libpq would: host by host, with libpq's parameters; and finds out a pooler
that the address does not show.

Knows no statement of ours: whoever opens a connection decides what it is for.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, TypeAlias

import asyncpg

from postmill.model.asyncpg_address import Silence, arguments, silence

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asyncpg.pool import PoolConnectionProxy

    Connection: TypeAlias = asyncpg.Connection[Any] | PoolConnectionProxy[Any]

_TRY_NEXT = (OSError, asyncpg.CannotConnectNowError, asyncpg.TargetServerAttributeNotMatched)
"""Another host may be better. A refused login is final, as in libpq."""


async def connect(
    dsn: str | None = None,
    *,
    timeout: float = 60.0,
    server_settings: Mapping[str, str] | None = None,
    **options: Any,
) -> asyncpg.Connection[Any]:
    """Like ``asyncpg.connect``, for an address as ``address.parse`` gives it; also a pool's ``connect``.

    ``timeout``: seconds for each host, unless the address says ``connect_timeout``. What the address itself
    says wins over ``server_settings``. TCP itself notices a peer that is gone; a statement on which the
    server works may take as long as it likes. Raises what asyncpg raises for the last host, and
    ``InvalidAddress``.
    """
    attempts, limit = arguments(dsn or ""), silence(dsn or "")
    for number, given in enumerate(attempts, start=1):
        settings = {**(server_settings or {}), **given["server_settings"]}
        try:
            opened: asyncpg.Connection[Any] = await asyncpg.connect(
                **{"timeout": timeout, **options, **given, "server_settings": settings}
            )
        except _TRY_NEXT:
            if number == len(attempts):
                raise
        else:
            _watch(opened, limit)
            return opened
    raise AssertionError("an address has at least one host")


def _watch(connection: asyncpg.Connection[Any], limit: Silence) -> None:
    """As libpq does. asyncpg has no option for it, and leaves the system's two hours."""
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
    """Whether something stands between us and the server: at login it gives another process id than the
    server's own.

    Asked by COPY, which is no prepared statement, so it is safe on every connection.
    """
    answer = bytearray()

    async def take(data: bytes) -> None:
        answer.extend(data)

    await connection.copy_from_query("select pg_backend_pid()", output=take)
    return int(answer) != connection.get_server_pid()

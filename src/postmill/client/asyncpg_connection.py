"""Opens asyncpg connections as libpq would: host by host, with libpq's parameters; and finds out a pooler
that the address does not show.

Knows no statement of ours: whoever opens a connection decides what it is for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import asyncpg

from postmill.model.asyncpg_address import arguments

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
    says wins over ``server_settings``. Raises what asyncpg raises for the last host, and ``InvalidAddress``.
    """
    attempts = arguments(dsn or "")
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
            return opened
    raise AssertionError("an address has at least one host")


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

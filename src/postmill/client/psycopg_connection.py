"""Opens every psycopg connection of the product: with a time limit for each host, TCP keepalive, a name, and
without variables of the environment that are meant for other servers; and finds out a pooler that the address
does not show.

Knows none of Postmill's statements: the caller that opens a connection decides what it is for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import psycopg
from psycopg.rows import scalar_row

from postmill.client import libpq_environment
from postmill.model.config.asyncpg_address import connect_timeout_s, silence

if TYPE_CHECKING:
    from postmill.model.config.address import Address

    Connection: TypeAlias = psycopg.Connection[Any]

_FORMS = {"DateStyle": "ISO", "IntervalStyle": "postgres"}
"""How the server writes times where the driver reads them as text. A database or a role may have another
default; results are asked for in binary there, which is the same everywhere. The session is not set to
another form: behind a pooler the next statement may run in another session, and that one in other hands.
"""


def open_connection(address: Address, name: str, **options: Any) -> Connection:
    """A connection to ``address`` in autocommit mode that the server shows under ``name``, unless the address
    names another one. ``options`` are psycopg's and libpq's. Raises what psycopg raises, and
    ``InvalidAddress``.
    """
    with libpq_environment.ignored(address.url):
        connection = psycopg.connect(
            address.url,
            autocommit=True,
            client_encoding="UTF8",  # in an SQL_ASCII database texts would come as bytes
            connect_timeout=connect_timeout_s(address.url),
            fallback_application_name=name,
            **_keepalive(address.url),
            **options,
        )
    if not _is_text_known(connection):
        connection.cursor_factory = _binary(connection.cursor_factory)
    return connection


def _is_text_known(connection: Connection) -> bool:
    """Whether the server writes times and intervals in the form that the driver reads. It has said so at
    login: nothing is asked.
    """
    reported = {name: connection.info.parameter_status(name) for name in _FORMS}
    return all(
        value is None or value.split(",")[0] == _FORMS[name]  # behind the comma: how dates are read
        for name, value in reported.items()
    )


def _binary(factory: type[psycopg.Cursor[Any]]) -> type[psycopg.Cursor[Any]]:
    """The same cursors, which ask for binary results."""

    class Binary(factory):  # type: ignore[valid-type,misc]
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self.format = psycopg.pq.Format.BINARY

    return Binary


def with_known_pooler(connection: Connection, address: Address) -> Address:
    """The address, and whether a pooler stands before the server, whatever the address looks like: at login a
    pooler gives another process id than the server's own.
    """
    if address.pooler_is_known:
        return address
    cursor = connection.cursor(row_factory=scalar_row)
    answer = cursor.execute("select pg_backend_pid()").fetchone()
    return address.with_pooler(answer != connection.info.backend_pid)


def _keepalive(url: str) -> dict[str, Any]:
    """The bounds by which a peer that no longer answers is noticed, as libpq's parameters: the same as on
    asyncpg's connections.
    """
    limit = silence(url)
    return {
        "keepalives": int(limit.keepalive),
        "keepalives_idle": limit.idle_s,
        "keepalives_interval": limit.interval_s,
        "keepalives_count": limit.count,
        "tcp_user_timeout": limit.user_timeout_ms,
    }

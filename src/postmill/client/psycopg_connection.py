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

_FORMS = {"DateStyle": "ISO", "IntervalStyle": "postgres", "standard_conforming_strings": "on"}
"""How the server writes and reads values and statements, where the driver, and statements that pass times
from one database to another, know one form only. A database or a role may have other defaults.
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
    _take_forms(connection)
    return connection


def _take_forms(connection: Connection) -> None:
    """The server has reported these settings at login, so that nothing is asked where they are as they should
    be. PgBouncer reports them too, and keeps what a client has set for that client.
    """
    try:
        for name, form in _FORMS.items():
            reported = connection.info.parameter_status(name)
            if (
                reported is not None and reported.split(",")[0] != form
            ):  # behind the comma: how dates are read
                connection.execute(f"set {name} = {form}".encode())
    except BaseException:
        connection.close()
        raise


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

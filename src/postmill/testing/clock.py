"""Moves the clock by which schedules and retention are judged. Leases and delays of messages never use it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from psycopg import sql

from postmill.client.psycopg_connection import open_connection
from postmill.model.config.address import parse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta


@contextmanager
def shifted_clock(database: str, by: timedelta) -> Iterator[None]:
    """``postmill.now()`` is ``by`` ahead in every connection that is opened meanwhile, by any process.

    A setting of the whole database: for throw-away ones only. Connections that are open already keep their
    time.
    """
    with open_connection(parse(database), "postmill testing") as connection:
        name = sql.Identifier(connection.info.dbname)
        shift = sql.Literal(f"{by.total_seconds()} seconds")
        connection.execute(sql.SQL("alter database {} set postmill.clock_shift = {}").format(name, shift))
        try:
            yield
        finally:
            connection.execute(sql.SQL("alter database {} reset postmill.clock_shift").format(name))

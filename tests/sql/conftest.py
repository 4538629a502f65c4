"""Fixtures for tests of single SQL functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg.rows import dict_row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from psycopg.rows import DictRow, TupleRow


@pytest.fixture
def queue(db: psycopg.Connection[DictRow]) -> str:
    """A queue of ours, with a name that needs quoting."""
    db.execute(b"select postmill.create_queue('re-size')")
    return "re-size"


@pytest.fixture
def foreign(db: psycopg.Connection[DictRow]) -> str:
    """A queue that another pgmq client made."""
    db.execute(b"select pgmq.create('theirs')")
    return "theirs"


@pytest.fixture
def connect(database_url: str) -> Iterator[Callable[[], psycopg.Connection[DictRow]]]:
    """More connections to the test's database."""
    opened: list[psycopg.Connection[DictRow]] = []

    def more() -> psycopg.Connection[DictRow]:
        opened.append(
            psycopg.connect(
                database_url, autocommit=True, row_factory=dict_row, cursor_factory=psycopg.RawCursor
            )
        )
        return opened[-1]

    yield more
    for each in opened:
        each.close()


LEAVES_ROLES = b"""
do $$
declare
    joined regrole;
begin
    for joined in select roleid from pg_auth_members where member = 'stranger'::regrole loop
        execute format('revoke %s from stranger', joined);
    end loop;
end $$
"""
"""The role is the whole server's: what one test has made it a member of, the next one would have too."""


@pytest.fixture
def stranger(
    db: psycopg.Connection[DictRow],
    connect: Callable[[], psycopg.Connection[DictRow]],
    administrator: psycopg.Connection[TupleRow],
) -> Iterator[psycopg.Connection[DictRow]]:
    """A session of the role ``stranger``, who owns nothing. One test at a time: roles are shared. The lock is
    in the administrator's database: one in the test's own would keep no other test away.
    """
    administrator.execute("select pg_advisory_lock(hashtext('role stranger'))")
    keeper = connect()
    try:
        keeper.execute(b"do $$ begin create role stranger; exception when duplicate_object then null; end $$")
        session = connect()
        session.execute(b"set session authorization stranger")
        yield session
        session.close()
        keeper.execute(b"drop owned by stranger")
        keeper.execute(LEAVES_ROLES)
    finally:
        administrator.execute("select pg_advisory_unlock(hashtext('role stranger'))")

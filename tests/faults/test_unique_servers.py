"""Unique keys where the server is in between: prepared transactions, a standby that takes over, a pooler."""

from __future__ import annotations

import asyncio
from contextlib import closing
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from postmill import AsyncClient
from tests.faults.pooler import Pooler
from tests.servers import PrivateServer, session

if TYPE_CHECKING:
    from postmill.embedded.binaries import Binaries

SEND = b"select msg_id from postmill.send_jobs('tasks', array['1']::jsonb[], unique_keys => array['k'])"
CONNECTIONS = 20
KEYS = [f"k{number}" for number in range(40)]


def sent(connection: psycopg.Connection[Any]) -> int:
    """The id of the message that has the key."""
    row = connection.execute(SEND).fetchone()
    assert row is not None
    return int(row["msg_id"])


def alive(connection: psycopg.Connection[Any]) -> int:
    """The messages in the queue."""
    row = connection.execute(b"select count(*) as alive from pgmq.q_tasks").fetchone()
    assert row is not None
    return int(row["alive"])


def test_prepared_transactions_and_a_standby_that_takes_over(postgres_binaries: Binaries) -> None:
    """A prepared transaction holds its key without a session; a key is on the standby with its message."""
    settings = {"max_prepared_transactions": "2", "wal_level": "replica"}
    with closing(PrivateServer(postgres_binaries, settings)) as server:
        server.start()
        server.migrate()
        with session(server.url) as db:
            db.execute(b"select postmill.create_queue('tasks')")
            db.execute(b"begin")
            first = sent(db)
            db.execute(b"prepare transaction 'one'")
            db.execute(b"set lock_timeout = '50ms'")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                sent(db)
            db.execute(b"rollback prepared 'one'")
            second = sent(db)
            assert second > first
            db.execute(b"select pgmq.delete('tasks', $1::bigint)", [second])
            db.execute(b"begin")
            third = sent(db)
            db.execute(b"prepare transaction 'two'")
        server.save()
        server.fail_over()
        with session(server.url) as db:
            db.execute(b"set lock_timeout = '50ms'")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                sent(db)
            db.execute(b"commit prepared 'two'")
            assert (sent(db), alive(db)) == (third, 1)


async def test_behind_a_pooler_in_transaction_mode(database_url: str, db: psycopg.Connection[Any]) -> None:
    """Twenty clients share five sessions: each sends each key, and one message of each is there."""
    db.execute(b"select postmill.create_queue('tasks')")

    async def send_all(url: str) -> list[bool]:
        async with AsyncClient(url) as client:
            return [(await client.send("tasks", key, unique_key=key)).existed for key in KEYS]

    with closing(Pooler(database_url)) as pooler:
        found = await asyncio.gather(*(send_all(pooler.url) for _ in range(CONNECTIONS)))
    assert sum(existed is False for each in found for existed in each) == len(KEYS)
    assert alive(db) == len(KEYS)

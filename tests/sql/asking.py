"""Short ways to ask the database something, and to bring a message into a state without a worker."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import psycopg
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from psycopg.rows import DictRow

Database = psycopg.Connection[dict[str, Any]]


def rows(db: Database, sql: str, *values: object) -> list[DictRow]:
    """All rows."""
    return db.execute(sql.encode(), values or None).fetchall()


def row(db: Database, sql: str, *values: object) -> DictRow:
    """The only row."""
    (found,) = rows(db, sql, *values)
    return found


def column(db: Database, sql: str, *values: object) -> list[Any]:
    """The first column of all rows."""
    return [next(iter(found.values())) for found in rows(db, sql, *values)]


def value(db: Database, sql: str, *values: object) -> Any:
    """The only column of the only row."""
    (found,) = column(db, sql, *values)
    return found


def claim(db: Database, queue: str, *msg_ids: int) -> UUID:
    """Make messages running, as a worker's claim does, and return that worker's id."""
    worker_id = uuid4()
    claimed = rows(
        db,
        f"update pgmq.\"q_{queue}\" set read_ct = read_ct + 1, vt = clock_timestamp() + interval '1 hour' "
        "where msg_id = any ($1) returning msg_id, read_ct",
        list(msg_ids),
    )
    db.execute(
        b"insert into postmill.claims (worker_id, queue_name, msg_ids, read_cts) values ($1, $2, $3, $4)",
        [worker_id, queue, [each["msg_id"] for each in claimed], [each["read_ct"] for each in claimed]],
    )
    return worker_id


def fail(db: Database, queue: str, msg_id: int, message: str, kind: str = "error") -> None:
    """Record a failed attempt."""
    db.execute(
        b"insert into postmill.failures (queue_name, msg_id, attempt, kind, error_type, error_message) "
        b"values ($1, $2, 1, $3, 'ValueError', $4)",
        [queue, msg_id, kind, message],
    )


def bury(db: Database, queue: str, msg_id: int, payload: str = '{"n": 1}', headers: str | None = None) -> int:
    """Record a dead letter and return its id."""
    letter: int = value(
        db,
        "insert into postmill.dead_letters "
        "(queue_name, msg_id, read_ct, enqueued_at, message, headers, attempts, kind, reason) "
        "values ($1, $2, 3, clock_timestamp(), $3::jsonb, $4::jsonb, 3, 'error', 'it broke') "
        "returning letter_id",
        queue,
        msg_id,
        payload,
        headers,
    )
    return letter


@contextmanager
def refused(code: str, says: str) -> Iterator[None]:
    """Expect an error of ours: its SQLSTATE, a part of its message, and advice or a reason beside it."""
    with pytest.raises(psycopg.Error, match=says) as caught:
        yield
    assert caught.value.sqlstate == code
    assert caught.value.diag.message_hint or caught.value.diag.message_detail


def heard(listening: Database, queue: str) -> list[str]:
    """Payloads that arrived on the queue's channel; sends one itself, so that silence needs no waiting."""
    listening.execute(f"notify \"postmill.{queue}\", 'end'".encode())
    payloads = []
    for notice in listening.notifies():
        if notice.payload == "end":
            break
        payloads.append(notice.payload)
    return payloads

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from tests.sql.asking import Database, column, row, rows, value

if TYPE_CHECKING:
    from collections.abc import Callable

WORKER = UUID(int=7)
LONG_AGO = "2000-01-01 00:00+00"
CALL = (
    "select * from postmill.claim_gated('re-size', $1, '30 seconds', $2, $3, $4, $5, $6::timestamptz, $7, $8,"
    " left_out => $9::bigint[], unread => $10, front => $11)"
)


def claim_gated(
    db: Database,
    wanted: int = 100,
    *,
    after: str = "",
    max_bytes: int = 1_000_000,
    known: bool = True,
    since: str = LONG_AGO,
    oldest: int = 0,
    unseen: int = 0,
    left_out: tuple[int, ...] = (),
    unread: bool = False,
    front: bool = False,
) -> dict[str, Any]:
    """One claim; its ids in order."""
    claimed = row(
        db, CALL, wanted, WORKER, max_bytes, known, after, since, oldest, unseen, list(left_out), unread, front
    )  # fmt: skip
    return {**claimed, "msg_ids": sorted(claimed["msg_ids"] or ())}


def send(db: Database, *keys: str | None, queue: str = "re-size") -> list[int]:
    """One message for each key."""
    return column(
        db,
        "select postmill.send_batch($1, array_fill('1'::jsonb, array[cardinality($2::text[])]), group_keys => $2)",
        queue,
        list(keys),
    )


def test_messages_of_groups_are_parked_and_claimed_from_their_gates(db: Database, queue: str) -> None:
    ids = send(db, "a", "b", "a")
    assert value(db, 'select count(*) from pgmq."q_re-size" where vt = postmill._parked_until()') == 3
    claimed = claim_gated(db)
    assert claimed["msg_ids"] == ids
    assert claimed["complete"]
    assert claimed["failures"] is None
    assert rows(db, "select queue_name, worker_id, msg_ids, read_cts from postmill.claims") == [
        {"queue_name": "re-size", "worker_id": WORKER, "msg_ids": [1, 2, 3], "read_cts": [1, 1, 1]}
    ]
    assert column(db, "select distinct claim_id from postmill.gates") == [claimed["claim_id"]]
    assert claim_gated(db)["claim_id"] is None

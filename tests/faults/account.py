"""The account of every message: where it is, what ran it, which failures were recorded."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncpg

_PLACES = {
    "queued": "select msg_id from pgmq.q_tasks",
    "completed": "select msg_id from pgmq.a_tasks",
    "dead": "select msg_id from postmill.dead_letters",
    "cancelled": "select msg_id from postmill.cancellations where cancelled_at is not null",
}


@dataclass(frozen=True)
class Account:
    """Compared whole with what a test expects."""

    completed: int = 0
    dead: int = 0
    queued: int = 0
    cancelled: int = 0
    claims: int = 0
    lost: int = 0
    """Messages that are nowhere."""
    doubled: int = 0
    """Messages that are in two places, or twice in one."""
    failures: dict[str, int] = field(default_factory=dict)
    """Recorded failures, by kind."""


async def account(db: asyncpg.Connection, sent: list[int]) -> Account:
    """What has become of the messages ``sent`` to the queue ``tasks``; no others may be there."""
    places = {place: [row[0] for row in await db.fetch(text)] for place, text in _PLACES.items()}
    found = Counter(msg_id for ids in places.values() for msg_id in ids)
    assert not set(found) - set(sent), "messages that nobody sent"
    failures = await db.fetch("select kind, count(*) from postmill.failures group by kind")
    return Account(
        **{place: len(ids) for place, ids in places.items()},
        claims=await db.fetchval("select count(*) from postmill.claims"),
        lost=len(set(sent) - set(found)),
        doubled=sum(1 for times in found.values() if times > 1),
        failures={row["kind"]: row["count"] for row in failures},
    )


async def runs(db: asyncpg.Connection) -> dict[int, int]:
    """How often each message's handler began."""
    rows = await db.fetch("select msg_id, count(*) from runs group by msg_id order by msg_id")
    return {row["msg_id"]: row["count"] for row in rows}

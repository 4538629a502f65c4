"""A queue in the conditions that lead planners astray: empty, never analysed, full, full of dead rows, and
full again after an analyse that found nothing but dead rows.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg

from postmill.model.queue.queue_name import QueueShape
from postmill.sql.catalog import queue_statement
from tests.servers import session

if TYPE_CHECKING:
    from collections.abc import Iterator

Database = psycopg.Connection[dict[str, Any]]

CONDITIONS = ("empty", "never_analysed", "full", "bloated", "misjudged")
LIVE = 50_000
DEAD = 50_000
OTHERS = 500
WORKER = "00000000-0000-0000-0000-00000000000a"

_FILL = """
insert into pgmq.q_hot (vt, read_ct, message, headers)
select case when n % 10 = 0 then $2::timestamptz + interval '1 hour'
            when n % 10 = 1 then $2 + n % 1000 * interval '1 ms'
            else $2 - interval '1 hour' end,
       (n % 10 = 1)::integer, '{"n": 1}',
       case when n % 20 = 18 then jsonb '{"postmill-priority": 8}'
            when n % 2 = 0 then jsonb '{"postmill-priority": 5}' end
  from generate_series(1, $1::integer) as n
"""
_USE_UP = """
update pgmq.q_hot
   set read_ct = read_ct + 1, vt = $2::timestamptz + (msg_id / $1::float - 0.5) * interval '100 s'
"""
_OTHERS = f"""
insert into postmill.claims (worker_id, queue_name, msg_ids, read_cts)
select '{WORKER}', 'hot', array[n], array[1] from generate_series(1, {OTHERS}) as n;
insert into postmill.workers (worker_id, queue_name, function_name, hostname, pid, version, max_concurrent)
select case when n = 1 then '{WORKER}' else gen_random_uuid() end, 'hot', '', '', n, '', 1
  from generate_series(1, {OTHERS}) as n
    on conflict do nothing;
insert into postmill.failures (queue_name, msg_id, attempt, kind)
select 'hot', n, 1, 'error' from generate_series(1, {OTHERS} * 10) as n;
insert into postmill.cancellations (queue_name, msg_id)
select 'hot', n from generate_series(1, {OTHERS}) as n
    on conflict do nothing;
"""


@dataclass(frozen=True)
class HotQueue:
    """One queue and a connection to it. A tenth of its messages are delayed, a tenth retries that are due."""

    db: Database
    shape: QueueShape
    condition: str
    behind: int
    """Messages up to this id are dead rows."""
    history: str
    """What a cursor of this queue belongs to."""
    due_after: datetime
    """The retries fell due in the second after it; leases of dead rows in the 100 s around it."""

    def tokens(self, count: int) -> tuple[list[int], list[int], list[int]]:
        """Ids, read_cts and vts in µs of ``count`` messages; on an empty queue, of messages that are gone."""
        rows = self.db.execute(
            b"select msg_id, read_ct, (extract(epoch from vt) * 1000000)::bigint as vt_us "
            b"from pgmq.q_hot where msg_id > $1 order by msg_id limit $2",
            [self.behind, count],
        ).fetchall() or [{"msg_id": n, "read_ct": 1, "vt_us": 0} for n in range(1, count + 1)]
        return (
            [row["msg_id"] for row in rows],
            [row["read_ct"] for row in rows],
            [row["vt_us"] for row in rows],
        )


@contextmanager
def hot_queue(url: str, condition: str) -> Iterator[HotQueue]:
    """A queue named hot in the given condition."""
    due_after = datetime.now(UTC) - timedelta(seconds=10)
    with session(url) as db, session(url) as old:
        db.execute(b"select postmill.create_queue('hot')")
        db.execute(b"select postmill.enable_priority('hot')")
        if condition != "empty":
            db.execute(_OTHERS.encode())
            if condition in {"bloated", "misjudged"}:
                _make_dead_rows(db, old, due_after)
            if condition == "misjudged":
                db.execute(_FILL.encode(), [2, due_after])
                db.execute(b"analyze")
            db.execute(_FILL.encode(), [LIVE, due_after])
        if condition in {"full", "bloated"}:
            db.execute(b"analyze")
        relation = db.execute(b"select 'pgmq.q_hot'::regclass::oid::bigint as oid").fetchone()
        assert relation is not None
        behind = DEAD if condition in {"bloated", "misjudged"} else 0
        shape = QueueShape("hot", relation["oid"])
        hint = db.execute(queue_statement("cursor_hint_read", shape).encode(), ["hot"]).fetchone()
        assert hint is not None
        yield HotQueue(db, shape, condition, behind, hint["history"], due_after)


def _make_dead_rows(db: Database, old: Database, due_after: datetime) -> None:
    """Rows that were claimed and settled, and that no vacuum may remove: an old transaction may see them."""
    db.execute(_FILL.encode(), [DEAD, due_after])
    old.execute(b"begin isolation level repeatable read")
    old.execute(b"select pg_current_xact_id()")
    db.execute(_USE_UP.encode(), [DEAD, due_after])
    db.execute(b"delete from pgmq.q_hot")
    db.execute(b"delete from postmill.claims")
    db.execute(_OTHERS.encode())
    db.execute(b"vacuum")

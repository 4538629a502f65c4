"""Claims from gates, and what ends or parks such messages, cost the same in whatever condition the tables
are: a few pages a message, by index, and dead rows are passed by.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from postmill.engine.settle.settlement import array_literal
from postmill.model.queue.gate_horizon import LONG_AGO
from postmill.model.queue.queue_name import QueueShape
from postmill.sql.catalog import queue_statement
from tests import servers
from tests.plans.explaining import pages_of
from tests.servers import session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from postmill.embedded import Server
    from tests.plans.tables import Database

BATCH = 100
GROUPS = 200
CLAIMS = ["claim of many", "claim of one", "idle_snapshot", "busy_snapshot"]
NAMES = [*CLAIMS, "complete", "reschedule", "dead_letter", "cancel_running", "park"]
LIVE = 20_000
DEAD = 20_000
WORKER = UUID(int=7)
LEASE = timedelta(seconds=60)
CONDITIONS = ("never_analysed", "full", "bloated", "misjudged")
FILL = f"""
insert into pgmq.q_hot (vt, message, headers)
select postmill._parked_until(), '1', jsonb_build_object('postmill-group', 'g' || n % {GROUPS})
  from generate_series(1, $1::integer) as n
"""
PARK = """
select postmill._park('hot', array_agg(msg_id order by msg_id),
                      array_agg(headers ->> 'postmill-group' order by msg_id),
                      array_agg(now() order by msg_id))
  from pgmq.q_hot where msg_id > $1
"""


class HotGates:
    """A queue of 20,000 messages in 200 groups, half of which run already."""

    def __init__(self, db: Database, condition: str) -> None:
        self.db = db
        relation = self.value("select 'pgmq.q_hot'::regclass::oid::bigint")
        self.shape = QueueShape("hot", relation)
        [hint] = db.execute(queue_statement("cursor_hint_read", self.shape).encode(), ["hot"]).fetchall()
        self.history = hint["history"]
        self.since = self.value(
            "select min(rank) - interval '1 microsecond' from postmill.gates where claim_id is null"
        )
        self.oldest = self.value("select coalesce(min(claim_id), 0) from postmill.claims")
        self.seen = self.value("select max(msg_id) from postmill.gates")
        self.has_dead = condition == "bloated"

    def value(self, text: str) -> Any:
        [found] = self.db.execute(text.encode()).fetchall()
        return next(iter(found.values()))

    def claim(self, wanted: int = BATCH) -> tuple[str, tuple[object, ...]]:
        bounds = (self.since, self.oldest, self.seen)
        return queue_statement("claim_gated", self.shape), (
            "g1", wanted, LEASE, WORKER, "hot", 1_000_000, self.history, *bounds,
        )  # fmt: skip

    def snapshot(self, name: str, *more: object) -> tuple[str, tuple[object, ...]]:
        text = queue_statement(name, self.shape, "gated")
        return text, ("hot", datetime.now(UTC), self.seen, self.seen, self.seen, *more)

    def settle(self, name: str, *more: object) -> tuple[str, tuple[object, ...]]:
        rows = self.db.execute(
            b"select msg_id, read_ct, (extract(epoch from vt) * 1000000)::bigint as vt_us from pgmq.q_hot"
            b" where vt < postmill._parked_until() order by msg_id limit $1",
            [BATCH],
        ).fetchall()
        columns = (array_literal([row[name] for row in rows]) for name in ("msg_id", "read_ct", "vt_us"))
        return queue_statement(name, self.shape, "gated"), (*columns, [1], *more)


@pytest.fixture(scope="module", params=CONDITIONS)
def gates(request: pytest.FixtureRequest, shared_server: Server) -> Iterator[HotGates]:
    condition = request.param
    with servers.cloned_database(shared_server.url) as url, session(url) as db, session(url) as old:
        db.execute(b"select postmill.create_queue('hot')")
        if condition == "bloated":
            old.execute(b"begin isolation level repeatable read")
            old.execute(b"select pg_current_xact_id()")
            db.execute(FILL.encode(), [DEAD])
            db.execute(PARK.encode(), [0])
            db.execute(b"update postmill.gates set claim_id = msg_id")
            db.execute(b"delete from postmill.gates; delete from pgmq.q_hot")
        if condition in {"bloated", "misjudged"}:
            db.execute(b"analyze")
        first = db.execute(b"select last_value from pgmq.q_hot_msg_id_seq").fetchall()[0]["last_value"]
        db.execute(FILL.encode(), [LIVE])
        db.execute(PARK.encode(), [first if condition == "bloated" else 0])
        claim = b"select postmill.claim_gated('hot', 1000, '1 hour', $1, 10000000, true, '', $2, 0, 0)"
        for _ in range(10):
            db.execute(claim, [WORKER, LONG_AGO])
        if condition == "full":
            db.execute(b"analyze")
        yield HotGates(db, condition)


def calls(gates: HotGates) -> dict[str, tuple[tuple[str, tuple[object, ...]], int]]:
    """Each statement, and the pages that it may look at."""
    failures = [[column] * BATCH for column in (1, None, None, None, None, None)]
    return {
        "claim of many": (gates.claim(), 60 * BATCH),
        "claim of one": (gates.claim(1), 400),
        "idle_snapshot": (gates.snapshot("idle_snapshot", gates.since, gates.seen, gates.oldest), 6 * GROUPS),
        "busy_snapshot": (gates.snapshot("busy_snapshot", 0, WORKER, gates.oldest), 300),
        "complete": (gates.settle("complete", "hot"), 30 * BATCH),
        "reschedule": (gates.settle("reschedule", [2], "hot", WORKER, [5.0] * BATCH, *failures), 70 * BATCH),
        "dead_letter": (
            gates.settle("dead_letter", [2], "hot", WORKER, ["x"] * BATCH, *failures), 70 * BATCH,
        ),
        "cancel_running": (gates.settle("cancel_running", [2], "hot"), 60 * BATCH),
        "park": (gates.settle("park", [2], "hot"), 90 * BATCH),
    }  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_cost(gates: HotGates, name: str) -> None:
    (text, arguments), most = calls(gates)[name]
    pages, whole_reads = pages_of(gates.db, text, arguments)
    print(name, pages)
    assert whole_reads == 0
    assert pages <= most


def test_without_what_a_worker_knows_dead_rows_cost(gates: HotGates) -> None:
    """The control: while an old transaction is open, a claim that looks at all ranks walks over dead rows."""
    gates.since, gates.oldest = LONG_AGO, 0
    text, arguments = gates.claim(1)
    pages, _ = pages_of(gates.db, text, arguments)
    assert (pages > 2_000) == gates.has_dead

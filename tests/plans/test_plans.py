"""The hot statements use the intended index and look at a bounded number of pages, whatever a queue is like.

Each runs as on a worker's own connection (prepared, plans pinned for the session) and as behind a pooler
(planned each time, plans pinned for the transaction).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import md5
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from postmill.engine.settle.settlement import array_literal
from postmill.sql.catalog import queue_statement, statement
from tests import servers
from tests.faults.protocol import Protocol
from tests.plans.explaining import explained, pages_of
from tests.plans.tables import CONDITIONS, LIVE, OTHERS, WORKER, hot_queue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from postmill.embedded import Server
    from tests.plans.tables import HotQueue

BATCH = 100
LEASE = timedelta(seconds=60)
WORKER_ID = UUID(WORKER)
GONE = UUID(int=0xDEAD)
CLAIM = b"""
insert into postmill.claims (worker_id, queue_name, msg_ids, read_cts)
values ($1, 'hot', $2::bigint[], $3::integer[])
"""
IDS = list(range(1, BATCH + 1))
PKEY, VT = "q_hot_pkey", "q_hot_vt_idx"
BANDS = "postmill_priority_" + md5(b"q_hot", usedforsecurity=False).hexdigest()
Call = tuple[str, "Sequence[object]"]


@dataclass(frozen=True)
class Hot:
    """A statement over ``BATCH`` messages, how it reads the queue, and what it may cost."""

    call: Callable[[HotQueue], Call]
    indexes: set[str]
    pages: int
    """Pages a message at most."""
    dead_pages: int = 0
    """Pages that dead rows may cost in all, on the bloated queue."""


def claim(lane: str, *flags: str) -> Callable[[HotQueue], Call]:
    def call(queue: HotQueue) -> Call:
        above = queue.due_after if lane == "due" else queue.behind
        edge = () if lane == "fast" else (queue.behind + LIVE,)
        text = queue_statement("claim", queue.shape, lane, *flags)
        return text, (above, BATCH, LEASE, WORKER_ID, "hot", 1_000_000, queue.history, *edge)

    return call


def patrol(queue: HotQueue) -> Call:
    """As many ids as a claim takes messages: each of them was put behind."""
    text, arguments = claim("late", "patrol")(queue)
    return text, (*arguments[:-1], queue.behind + BATCH)


def far_patrol(queue: HotQueue) -> Call:
    """One step below the floor: nothing is there, or dead rows."""
    text, arguments = claim("late", "patrol")(queue)
    return text, (0, *arguments[1:-1], min(queue.behind, 1_000))


def band(queue: HotQueue) -> Call:
    """The band of most messages, from the edge that a worker has when it has seen what was there before."""
    text = queue_statement("claim", queue.shape, "band")
    limits = (BATCH, LEASE, WORKER_ID, "hot", 1_000_000, queue.history)
    return text, (band_edge(queue), *limits, queue.behind, "5")


def band_edge(queue: HotQueue) -> datetime:
    """One statement has sent all messages, so their ids tell how far a worker has come in a band."""
    return queue.due_after - timedelta(hours=1)


def band_heads(lane: str) -> Callable[[HotQueue], Call]:
    def call(queue: HotQueue) -> Call:
        plain = (queue.behind,) if lane == "fast" else (queue.due_after, queue.behind + LIVE)
        text = queue_statement("band_heads", queue.shape, lane)
        return text, ("hot", [band_edge(queue)] * 9, [queue.behind] * 9, *plain)

    return call


def hint_read(queue: HotQueue) -> Call:
    return queue_statement("cursor_hint_read", queue.shape), ("hot",)


def hint_write(queue: HotQueue) -> Call:
    return queue_statement("cursor_hint_write", queue.shape), ("hot", queue.history, 1)


def wake_another(queue: HotQueue) -> Call:
    return queue_statement("wake_another", queue.shape), ("hot", WORKER_ID, queue.behind)


def snapshot(name: str, *more: object) -> Callable[[HotQueue], Call]:
    def call(queue: HotQueue) -> Call:
        late = (queue.behind, queue.behind + LIVE)
        edges = (datetime.now(UTC), queue.behind, *late, *more)
        return queue_statement(name, queue.shape), ("hot", *edges)

    return call


def renew(queue: HotQueue) -> Call:
    return queue_statement("renew", queue.shape), (*queue.tokens(BATCH), LEASE, [None] * BATCH)


def complete(*flags: str) -> Callable[[HotQueue], Call]:
    def call(queue: HotQueue) -> Call:
        text = queue_statement("complete", queue.shape, *flags)
        results = (["1"] * BATCH,) if "results" in flags else ()
        return text, (*tokens(queue), [1, 2, 3], "hot", *results)

    return call


def tokens(queue: HotQueue) -> tuple[str, ...]:
    return tuple(map(array_literal, queue.tokens(BATCH)))


def held(queue: HotQueue) -> tuple[object, ...]:
    """Tokens, claims to close and claims to trim, as the settling statements take them."""
    return *tokens(queue), [1, 2], [3]


def failures(kind: str | None) -> list[list[Any]]:
    columns = [1, kind, kind, kind, kind, 0.5] if kind else [None] * 6
    return [[column] * BATCH for column in columns]


def reschedule(kind: str | None) -> Callable[[HotQueue], Call]:
    def call(queue: HotQueue) -> Call:
        text = queue_statement("reschedule", queue.shape)
        return text, (*held(queue), "hot", WORKER_ID, [5.0] * BATCH, *failures(kind))

    return call


def dead_letter(*flags: str) -> Callable[[HotQueue], Call]:
    def call(queue: HotQueue) -> Call:
        why, again = ["hopeless"] * BATCH, [[0] * BATCH] * len(flags)
        return queue_statement("dead_letter", queue.shape, *flags), (
            *held(queue), "hot", WORKER_ID, why, *failures("error"), *again,
        )  # fmt: skip

    return call


def cancel_running(queue: HotQueue) -> Call:
    return queue_statement("cancel_running", queue.shape), (*held(queue), "hot")


def close_claims(_: HotQueue) -> Call:
    ids = array_literal(IDS)
    return statement("close_claims"), (ids, "hot", WORKER_ID, [1, 2], [3], IDS, IDS, IDS)


def send(queue: HotQueue) -> Call:
    return queue_statement("send", queue.shape), ("{}", None, 0.0, None)


def send_many(queue: HotQueue) -> Call:
    return queue_statement("send_many", queue.shape), ("\n".join(["{}"] * BATCH), None, 0.0, None)


def worker_heartbeat(_: HotQueue) -> Call:
    return statement("worker_heartbeat"), (WORKER_ID, BATCH, "hot", IDS, [], 10.0, 0.0, None)


def worker_minutes(_: HotQueue) -> Call:
    return statement("worker_minutes"), (WORKER_ID, 1, "hot", 0, *[BATCH] * 6)


def heartbeat_rescue(_: HotQueue) -> Call:
    return statement("rescue"), (100, "-infinity")


def give_back(_: HotQueue) -> Call:
    return statement("give_back"), (GONE, [], 0.0, "crash", "it hangs")


HOT = {
    "claim fast": Hot(claim("fast"), {PKEY}, 40),
    "claim due": Hot(claim("due"), {VT}, 35, dead_pages=2_000),
    "claim late": Hot(claim("late"), {PKEY}, 40),
    "claim band": Hot(band, {BANDS}, 40, dead_pages=300),
    "band_heads fast": Hot(band_heads("fast"), {BANDS, PKEY}, 2, dead_pages=500),
    "band_heads due": Hot(band_heads("due"), {BANDS, VT}, 2, dead_pages=2_500),
    "patrol": Hot(patrol, {PKEY}, 40),
    "patrol of dead rows": Hot(far_patrol, {PKEY}, 1, dead_pages=13_000),
    "cursor_hint_read": Hot(hint_read, set(), 1),
    "cursor_hint_write": Hot(hint_write, set(), 1),
    "busy_snapshot": Hot(snapshot("busy_snapshot", 0, WORKER_ID), {PKEY, VT}, 3, dead_pages=3_000),
    "idle_snapshot": Hot(snapshot("idle_snapshot"), {PKEY, VT}, 4, dead_pages=30_000),
    "wake_another": Hot(wake_another, {PKEY}, 1, dead_pages=3_000),
    "renew": Hot(renew, {PKEY}, 60),
    "complete delete": Hot(complete(), {PKEY}, 20),
    "complete archive": Hot(complete("archive", "archive_headers", "archive_last_read_at"), {PKEY}, 25),
    "complete results": Hot(complete("results"), {PKEY}, 30),
    "retry": Hot(reschedule("error"), {PKEY}, 50),
    "release": Hot(reschedule(None), {PKEY}, 40),
    "dead_letter": Hot(dead_letter(), {PKEY}, 60),
    # Letters that other tests have written and rolled back are read for each message, by whichever of two
    # indexes the planner takes: 300 pages each were seen. It is sent only when a first answer was lost.
    "dead_letter again": Hot(dead_letter("again"), {PKEY}, 60, dead_pages=50_000),
    "cancel_running": Hot(cancel_running, {PKEY}, 40),
    "close_claims": Hot(close_claims, set(), 15),
    "send": Hot(send, set(), 1),
    "send_many": Hot(send_many, set(), 10),
    "worker_heartbeat": Hot(worker_heartbeat, set(), 8),
    "worker_minutes": Hot(worker_minutes, set(), 1),
}
"""What EXPLAIN can show. While an old transaction is open, ``claim due`` passes all that was leased until a
moment it looks at (in a second or two), ``idle_snapshot`` until the next message falls due; no other grows. A
patrol's
step of 1,000 ids looks at two dead versions of each, three times: its size follows what it costs.
"""
CALLED = {"rescue": heartbeat_rescue, "give_back": give_back}
"""Statements that do their work in functions."""


@pytest.fixture(scope="module", params=CONDITIONS)
def queue(request: pytest.FixtureRequest, shared_server: Server) -> Iterator[HotQueue]:
    """A queue that all statements of this module run on; each run is rolled back."""
    with servers.cloned_database(shared_server.url) as url, hot_queue(url, request.param) as queue:
        yield queue


@pytest.mark.parametrize("name", HOT)
@pytest.mark.parametrize("pins", ["session", "local"])
def test_plan(queue: HotQueue, pins: str, name: str) -> None:
    hot = HOT[name]
    text, arguments = hot.call(queue)
    plan = explained(queue.db, text, arguments, pins=pins)
    assert plan.read_whole() <= {"q_hot_msg_id_seq"}
    assert plan.indexes("q_hot") <= hot.indexes
    assert plan.sorts <= ("heads" in name)  # of ten heads at most
    assert plan.rows_read("q_hot") <= 6 * BATCH
    assert plan.compared_in_vain <= BATCH
    assert plan.buffers <= BATCH * hot.pages + (hot.dead_pages if queue.behind else 0)


@pytest.mark.parametrize("name", CALLED)
def test_cost_of_functions(queue: HotQueue, name: str) -> None:
    """A claim of 100 messages, of a worker that nobody knows, among those of 500 living ones."""
    Protocol(queue.db, "hot")
    ids, read_cts, _ = queue.tokens(BATCH)
    with queue.db.transaction(force_rollback=True):
        queue.db.execute(CLAIM, [GONE, ids, read_cts])
        text, arguments = CALLED[name](queue)
        pages, whole_reads = pages_of(queue.db, text, arguments)
    print(name, queue.condition, pages)
    assert whole_reads == 0
    assert pages <= 100 * BATCH + 5 * OTHERS

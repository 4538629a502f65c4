"""What runs of workflows cost, in pages, whatever the tables look like: it follows the batch, and never how
many runs, steps and signals there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from postmill.engine.settle.settlement import array_literal
from postmill.flows.changes import PAGE
from postmill.model.queue.queue_name import QueueShape
from postmill.sql.catalog import queue_statement, statement
from tests import servers
from tests.plans.explaining import pages_of
from tests.servers import session
from tests.sql.flow_scene import register

if TYPE_CHECKING:
    from collections.abc import Iterator

    from postmill.embedded import Server
    from tests.sql.asking import Database

CONDITIONS = ("empty", "full", "bloated", "misjudged")
OTHERS = 20_000
"""Runs that have nothing to do with the batch, each with two steps, two signals and an event."""
BATCH = 20
LEASED = "2040-01-01 00:00:00+00"
OTHER_RUNS = f"""
with made as (
    insert into postmill.runs (version_id, flow, input, leaves_left)
    select (select min(version_id) from postmill.flow_versions), 'shop', '{{}}', 0
      from generate_series(1, {OTHERS})
    returning run_id
), steps as (
    insert into postmill.steps (run_id, step, state, output)
    select run_id, name, 'completed', '1' from made cross join unnest(array['a', 'b']) as name
), events as (
    insert into postmill.run_events (run_id, name, value) select run_id, 'e', '1' from made
)
insert into postmill.signals (run_id, name, value, many)
select run_id, 's', '1', many from made cross join unnest(array[true, false]) as many
"""
WAITS = '[{"step": "w", "signal": "s", "timeout_s": 60}]'


@dataclass(frozen=True)
class HotRuns:
    """``BATCH`` runs whose messages are claimed, among many others."""

    db: Database
    shape: QueueShape

    def call(self, name: str) -> tuple[str, tuple[Any, ...]]:
        """A statement about new runs, and its arguments."""
        self.db.execute(b"delete from pgmq.q_shop")
        self.db.execute(
            b"select postmill.start_flow('shop', '{}') from generate_series(1, $1::integer)", [BATCH]
        )
        rows = self.db.execute(
            f"update pgmq.q_shop set vt = '{LEASED}', read_ct = 1"
            " returning msg_id, message, (extract(epoch from vt) * 1000000)::bigint as us".encode()
        ).fetchall()
        rows.sort(key=lambda row: row["msg_id"])
        runs, ids = [row["message"]["run"] for row in rows], array_literal(row["msg_id"] for row in rows)
        ones, nothing = array_literal([1] * BATCH), [None] * BATCH
        tokens: tuple[Any, ...] = (
            ids,
            ones,
            array_literal(row["us"] for row in rows),
            [1],
            [],
            "shop",
            runs,
            [0] * BATCH,
        )
        match name:
            case "run_load":
                return statement(name), (runs, [0] * BATCH, ["shop"])
            case "run_checkpoint":
                lists = (["c"] * BATCH, ["completed"] * BATCH, ["1"] * BATCH, *[nothing] * 5)
                return queue_statement(name, self.shape), (
                    ids, ones, array_literal(runs), array_literal([0] * BATCH), *lists,
                )  # fmt: skip
            case "run_say":
                return queue_statement(name, self.shape), (
                    ids,
                    ones,
                    runs,
                    nothing,
                    ["e"] * BATCH,
                    ["1"] * BATCH,
                )
            case "run_park":
                return queue_statement(name, self.shape), (*tokens, [WAITS] * BATCH)
            case "run_end":
                return queue_statement(name, self.shape), (
                    *tokens, ["completed"] * BATCH, ["1"] * BATCH, nothing, nothing, nothing,
                )  # fmt: skip
        raise AssertionError(name)


STATEMENTS = ("run_load", "run_checkpoint", "run_say", "run_park", "run_end")


@pytest.fixture(scope="module", params=CONDITIONS)
def runs(request: pytest.FixtureRequest, shared_server: Server) -> Iterator[HotRuns]:
    with servers.cloned_database(shared_server.url) as url, session(url) as db, session(url) as old:
        register(db, kind="workflow")
        if request.param == "misjudged":
            db.execute(b"analyze")
        if request.param == "bloated":
            old.execute(b"begin isolation level repeatable read")
            old.execute(b"select pg_current_xact_id()")
            db.execute(OTHER_RUNS.encode())
            db.execute(b"delete from postmill.runs")
        relation = db.execute(b"select 'pgmq.q_shop'::regclass::oid::bigint as oid").fetchall()[0]["oid"]
        made = HotRuns(db, QueueShape("shop", relation))
        for name in STATEMENTS:  # a session keeps the plans that it made while there was nothing
            text, arguments = made.call(name)
            with db.transaction(force_rollback=True):
                db.execute(statement("session_pins", "session").encode())
                db.execute(text.encode(), arguments)
        if request.param != "empty":
            db.execute(OTHER_RUNS.encode())
        if request.param in {"full", "bloated"}:
            db.execute(b"analyze")
        yield made


@pytest.mark.parametrize("name", STATEMENTS)
def test_a_statement_about_runs_costs_what_the_batch_is(runs: HotRuns, name: str) -> None:
    text, arguments = runs.call(name)
    pages, whole_reads = pages_of(runs.db, text, arguments)
    print(name, pages)
    assert whole_reads == 0
    assert pages <= 150 * BATCH


def test_a_run_is_removed_with_what_belongs_to_it_by_keys(runs: HotRuns) -> None:
    """Removing a run read through all signals: no index had all signals of a run."""
    ids = "(select run_id from postmill.runs order by run_id desc limit 20)"
    runs.call("run_load")
    pages, whole_reads = pages_of(runs.db, f"delete from postmill.runs where run_id in {ids}", ())
    assert whole_reads == 0
    assert pages <= 100 * BATCH


@pytest.mark.parametrize("is_new", [True, False])
def test_news_of_a_run_cost_what_the_run_is(runs: HotRuns, is_new: bool) -> None:
    """Each process that streams asks every few moments, of each run that is watched."""
    runs.call("run_load")
    (its,) = runs.db.execute(
        b"select max(run_id) as run_id, pg_snapshot_xmin(pg_current_snapshot())::text as here"
        b" from postmill.runs"
    ).fetchall()
    position = None if is_new else its["here"]
    pages, whole_reads = pages_of(runs.db, statement("run_news"), (its["run_id"], position, None, 0, PAGE))
    print("run_news", pages)
    assert whole_reads == 0
    assert pages <= 100

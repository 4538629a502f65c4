"""What settling the steps of flows costs, in pages, whatever the tables look like: it follows the batch, and
never how many runs there are.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from postmill.engine.settle.settlement import array_literal
from postmill.model.queue.queue_name import QueueShape
from postmill.sql.catalog import queue_statement, statement
from tests import servers
from tests.plans.explaining import pages_of
from tests.servers import session
from tests.sql.flow_scene import map_over, register, step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from postmill.embedded import Server
    from tests.sql.asking import Database

CONDITIONS = ("empty", "full", "bloated", "misjudged")
OTHERS = 20_000
"""Runs that have nothing to do with the batch."""
BATCH = 20
WALK = 4_000
"""Pages of one walk through the steps of ``OTHERS`` runs, and of the batch."""
LEASED = "2040-01-01 00:00:00+00"
WORKER = "00000000-0000-0000-0000-00000000000a"
OTHER_RUNS = f"""
with made as (
    insert into postmill.runs (version_id, flow, input, leaves_left)
    select (select min(version_id) from postmill.flow_versions), 'shop', '1', 1
      from generate_series(1, {OTHERS})
    returning run_id
)
insert into postmill.steps (run_id, step, state, tasks, tasks_left)
select run_id, name, 'started', case when name = 'm' then 2 end, case when name = 'm' then 2 end
  from made cross join unnest(array['a', 'b', 'm']) as name
"""
CLAIM = f"update pgmq.q_shop set vt = '{LEASED}', read_ct = 1 returning msg_id, read_ct, message"


@dataclass(frozen=True)
class HotRuns:
    """Runs whose tasks are claimed, among many others."""

    db: Database
    shape: QueueShape
    condition: str

    def walks(self, of: str) -> bool:
        """Servers older than 17 keep a plan that walks through all steps, for items, when it was made after
        an analyse that had found one run; the next analyse ends it.
        """
        old = self.db.info.server_version < 170_000
        return old and self.condition == "misjudged" and of == "m"

    def start(self) -> None:
        """``BATCH`` runs, each with three tasks that are claimed: two steps, and an item of a map."""
        self.db.execute(b"delete from pgmq.q_shop")
        given = json.dumps({"list": [1, 2]})
        self.db.execute(
            b"select postmill.start_flow('shop', $1::text::jsonb) from generate_series(1, $2::integer)",
            [given, BATCH],
        )

    def settling(self, name: str, of: str) -> tuple[str, tuple[Any, ...]]:
        """The statement that settles the tasks of one step."""
        rows = [row for row in self.db.execute(CLAIM.encode()).fetchall() if row["message"]["step"] == of]
        rows.sort(key=lambda row: row["msg_id"])
        vt = self.db.execute(
            f"select (extract(epoch from '{LEASED}'::timestamptz) * 1000000)::bigint as us".encode()
        ).fetchall()[0]["us"]
        many = len(rows)
        assert many >= BATCH
        tokens = [array_literal(each) for each in ([row["msg_id"] for row in rows], [1] * many, [vt] * many)]
        places = [[row["message"].get(part) for row in rows] for part in ("run", "step", "item")]
        arguments: list[Any] = [*tokens, [1], [], "shop"]
        if name == "claiming":
            arguments += [*places, ["1"] * many, many, timedelta(minutes=1), 10**6, WORKER]
            return queue_statement("step_settle", self.shape, name), tuple(arguments)
        if name == "step_settle":
            arguments += [*places, ["1"] * many]
        elif name == "step_fail":
            columns = [[each] * many for each in ("x", 1, "error", None, "x", None, 0.0)]
            arguments += [WORKER, *columns, *places]
        return queue_statement(name, self.shape), tuple(arguments)


@pytest.fixture(scope="module", params=CONDITIONS)
def runs(request: pytest.FixtureRequest, shared_server: Server) -> Iterator[HotRuns]:
    with servers.cloned_database(shared_server.url) as url, session(url) as db, session(url) as old:
        over = {"of": "input", "path": ["list"]}
        register(
            db, step("a"), step("b"), step("m", kind="map", over=over, on_dead="collect"),
            step("c", "a", "b"), map_over("n", "a", "c"), a={"priority": 1},
        )  # fmt: skip
        if request.param == "misjudged":
            db.execute(b"select postmill.start_flow('shop', '{\"list\": [1]}')")
            db.execute(b"analyze")
        if request.param == "bloated":
            old.execute(b"begin isolation level repeatable read")
            old.execute(b"select pg_current_xact_id()")
            db.execute(OTHER_RUNS.encode())
            db.execute(b"update postmill.steps set deps_left = 0; update postmill.runs set wake = 1")
            db.execute(b"delete from postmill.steps; delete from postmill.runs")
        relation = db.execute(b"select 'pgmq.q_shop'::regclass::oid::bigint as oid").fetchall()[0]["oid"]
        made = HotRuns(db, QueueShape("shop", relation), request.param)
        made.start()
        plan_all(made)
        if request.param != "empty":
            db.execute(OTHER_RUNS.encode())
        if request.param in {"full", "bloated"}:
            db.execute(b"analyze")
        yield made


STATEMENTS = [
    ("step_settle", "a"), ("claiming", "a"), ("step_settle", "m"), ("claiming", "m"), ("step_fail", "b"),
    ("step_fail", "m"), ("step_drop", "a"),
]  # fmt: skip


def plan_all(runs: HotRuns) -> None:
    """A session keeps the plans that it made while there was nothing."""
    for name, of in STATEMENTS:
        runs.start()
        with runs.db.transaction(force_rollback=True):
            runs.db.execute(statement("session_pins", "session").encode())
            runs.db.execute(*_bound(runs.settling(name, of)))


def _bound(call: tuple[str, tuple[Any, ...]]) -> tuple[bytes, tuple[Any, ...]]:
    return call[0].encode(), call[1]


@pytest.mark.parametrize(("name", "of"), STATEMENTS)
def test_settling_costs_what_the_batch_is(runs: HotRuns, name: str, of: str) -> None:
    runs.start()
    text, arguments = runs.settling(name, of)
    pages, whole_reads = pages_of(runs.db, text, arguments)
    print(name, of, pages)
    assert whole_reads == 0
    assert pages <= (WALK if runs.walks(of) else 130 * BATCH)


def test_inputs_cost_what_the_batch_is(runs: HotRuns) -> None:
    runs.start()
    ids = [row["run_id"] for row in runs.db.execute(
        b"select run_id from postmill.runs order by run_id desc limit $1", [BATCH]
    ).fetchall()]  # fmt: skip
    pages, whole_reads = pages_of(runs.db, statement("step_inputs"), (ids, ["a"] * BATCH, []))
    assert whole_reads == 0
    assert pages <= 40 * BATCH

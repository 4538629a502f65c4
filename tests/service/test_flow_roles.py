"""Runs under the roles of production: who starts and signals, who steers, who looks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from postmill.db.tools import roles
from tests.sql.asking import Database, rows, value
from tests.sql.conftest import connect, stranger
from tests.sql.flow_scene import register, start, state, step, steps

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["connect", "stranger"]
STEER = (
    "select postmill.pause_run($1)",
    "select postmill.resume_run($1)",
    "select postmill.fork_run($1)",
    "select * from postmill.steer_runs('pause', flow => 'shop', dry_run => false)",
    "select postmill.cancel_run($1)",
    "select postmill.retry_run($1)",
    "select postmill.import_run(postmill.export_run($1))",
)
LOOK = (
    "select * from postmill.run_list where run_id = $1",
    "select * from postmill.run_steps where run_id = $1",
    "select * from postmill.run_changes($1)",
    "select * from postmill._run_attempts($1)",
    "select postmill.export_run($1)",
)
KEEP = ("select postmill.sweep_flows()", "select postmill.prune_runs()")
MAY = {
    "postmill_producer": (),
    "postmill_worker": KEEP,
    "postmill_scheduler": (),
    "postmill_reader": LOOK,
    "postmill_operator": (*STEER, *LOOK),
}


@pytest.fixture
def run(db: Database) -> Iterator[int]:
    register(db, step("a"), step("b", "a", kind="wait", signal="s"))
    roles.grant(db)
    yield start(db)
    for role in MAY:
        db.execute(f"revoke {role} from stranger".encode())


@pytest.mark.parametrize("role", MAY)
def test_each_role_may_do_what_it_is_for_and_no_more(
    db: Database, stranger: Database, run: int, role: str
) -> None:
    db.execute(f"grant {role} to stranger".encode())
    for call in (*STEER, *LOOK, *KEEP):
        values = [run] * ("$1" in call)
        if call in MAY[role]:
            rows(stranger, call, *values)
            continue
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            stranger.execute(call.encode(), values)


def test_an_operator_purges_a_queue_with_its_runs(db: Database, stranger: Database, run: int) -> None:
    db.execute(b"grant postmill_operator to stranger")
    assert value(stranger, "select postmill.purge_queue('shop')") == 1
    assert (state(db, run), steps(db, run)["a"]) == ("cancelled", "cancelled")

"""What a look locks does not grow with the number of queues: thousands would fill the server's lock table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from postmill.cli.terminal.top_frame import Reader
from postmill.db.reads import overview
from postmill.db.tools import queue_checks
from postmill.db.tools.queue_checks import Look
from postmill.model.config.address import parse
from tests.sql.asking import Database, value

if TYPE_CHECKING:
    from collections.abc import Callable

QUEUES = 40
FEW = 5
"""How many of the queues a look may be about in these tests."""


@pytest.fixture
def many(db: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """Forty queues, of which the last has a message, and looks that are about five at most."""
    for number in range(QUEUES):
        db.execute(b"select postmill.create_queue($1)", [f"q{number:02}"])
    db.execute(b"select postmill.send('q39', '1')")
    db.execute(b"select pg_stat_force_next_flush()")
    monkeypatch.setattr(queue_checks, "LOOKED_INTO", FEW)
    monkeypatch.setattr("postmill.cli.terminal.top_frame.MAX_QUEUES", FEW)
    monkeypatch.setattr(overview, "AT_ONCE", FEW)
    return db


def locked(db: Database, read: Callable[[], object]) -> int:
    """How many tables of queues a transaction has locked after that."""
    with db.transaction():
        read()
        return int(
            value(
                db,
                "select count(distinct relation) from pg_locks join pg_class on oid = relation"
                " where pid = pg_backend_pid() and relkind = 'r' and relname ~ '^q_q[0-9]+$'",
            )
        )


def test_to_rank_queues_locks_none_of_them(many: Database) -> None:
    assert locked(many, lambda: overview.busiest(many, limit=QUEUES)) == 0
    assert locked(many, lambda: overview.left_alone(many, limit=QUEUES)) == 0
    assert locked(many, lambda: overview.names(many, limit=QUEUES)) == 0


def test_to_look_into_all_locks_all(many: Database) -> None:
    """What the tests beside this one would find, if a look were not bounded."""
    assert locked(many, lambda: many.execute("select * from postmill.queue_stats()").fetchall()) == QUEUES


def test_the_checks_share_a_look_into_few_queues(many: Database) -> None:
    look, address = Look(), parse("postgresql://localhost/none")

    def check() -> None:
        for each in (look.queues, look.left_ready, look.ids, look.priorities):
            each(many, address)

    assert locked(many, check) == FEW
    found = look.queues(many, address)
    assert (found.status, found.about) == ("warn", ("q39",))
    assert found.found == (
        "no worker for q39 (1 ready) (5 of 40 queues looked into: first those with messages and no claim)"
    )


def test_top_looks_into_the_busiest_queues(many: Database) -> None:
    assert locked(many, lambda: Reader(many).read()) == FEW


def test_what_tells_of_every_queue_asks_for_some_at_once(many: Database) -> None:
    """Each statement is a transaction of its own, so that its locks are gone when the next one comes."""
    assert [len(page) for page in overview.pages_of_names(many)] == [FEW] * (QUEUES // FEW)
    assert len(overview.metrics(many, slots=None, target_wait_s=10)) == QUEUES
    assert sum(row["ready"] for row in overview.queues(many)) == 1


def test_a_look_that_takes_long_is_cut_and_says_so(many: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_checks, "LOOK_S", -1.0)
    look = Look()
    found = look.queues(many, parse("postgresql://localhost/none"))
    assert found.status == "pass"
    assert found.found.endswith(" (0 of 40 queues looked into: first those with messages and no claim)")


def test_a_finding_names_a_few_queues_and_counts_the_others() -> None:
    assert (
        queue_checks.named([str(number) for number in range(12)]) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more"
    )
    assert queue_checks.named(["a", "b"]) == "a, b"

from __future__ import annotations

import pytest

from tests.sql.asking import Database, bury, claim, fail, refused, rows, value

OURS = ("claims", "failures", "results", "cancellations", "idle_workers", "dead_letters", "queues")


def test_drops_the_tables_and_all_that_is_kept_about_it(db: Database, queue: str) -> None:
    db.execute(b"select postmill.create_queue('other')")
    for name in (queue, "other"):
        db.execute(b"select postmill.send($1, '1')", [name])
        claim(db, name, 1)
        fail(db, name, 1, "no")
        db.execute(b"select postmill.cancel($1, 1)", [name])
        db.execute(b"insert into postmill.results (queue_name, msg_id) values ($1, 2)", [name])
        db.execute(b"insert into postmill.idle_workers values ($1, gen_random_uuid())", [name])
        bury(db, name, 3)

    db.execute(b"select postmill.drop_queue('re-size', force => true)")

    for table in OURS:
        assert rows(db, f"select distinct queue_name from postmill.{table}") == [{"queue_name": "other"}], (
            table
        )
    assert value(db, "select to_regclass('pgmq.\"a_re-size\"')") is None


def test_refuses_while_a_dead_letter_waits(db: Database, queue: str) -> None:
    bury(db, queue, 1)
    with refused("PM005", "1 dead letter"):
        db.execute(b"select postmill.drop_queue('re-size')")
    db.execute(b"select postmill.replay('re-size')")
    db.execute(b"select postmill.drop_queue('re-size')")


def test_drops_a_queue_of_another_client_too(db: Database, foreign: str) -> None:
    db.execute(b"select postmill.drop_queue('theirs')")
    assert rows(db, "select from pgmq.meta") == []


@pytest.mark.parametrize("name", ["nope", None])
def test_refuses_a_queue_that_is_not_there(db: Database, name: str | None) -> None:
    with refused("PM001", "there is no queue"):
        db.execute(b"select postmill.drop_queue($1)", [name])

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.sql.asking import Database, column, row, rows, value
from tests.sql.test_claim_gated import claim_gated, send

if TYPE_CHECKING:
    from collections.abc import Callable

SWEEP = "select freed, removed, made from postmill.sweep_gates('re-size')"
NOTHING = {"freed": 0, "removed": 0, "made": 0}


def sweep(db: Database) -> dict[str, int | None]:
    db.execute(b"update postmill.queues set gates_swept_at = '-infinity'")
    return row(db, SWEEP)


def test_a_place_whose_claim_is_gone_is_free(db: Database, queue: str) -> None:
    send(db, "a", "a")
    db.execute(b"select postmill.limit_groups('re-size', max_running => 1)")
    claim_gated(db)
    assert sweep(db) == NOTHING
    db.execute(b"delete from postmill.claims")
    db.execute(b'update pgmq."q_re-size" set vt = postmill._parked_until()')
    assert sweep(db) == {**NOTHING, "freed": 1}
    assert len(claim_gated(db)["msg_ids"]) == 1


def test_a_place_of_a_message_that_its_claim_has_let_go_is_free(db: Database, queue: str) -> None:
    send(db, "a", "b")
    db.execute(b"select postmill.limit_groups('re-size', max_running => 1)")
    claim_gated(db)
    db.execute(b"update postmill.claims set msg_ids = '{2}', read_cts = '{1}'")
    assert sweep(db) == {**NOTHING, "freed": 1}


def test_gates_of_messages_that_another_client_has_removed_are_removed(db: Database, queue: str) -> None:
    ids = send(db, "a", "a", "a", "a")
    db.execute(b"select pgmq.delete('re-size', $1::bigint)", [ids[0]])
    db.execute(b"select pgmq.archive('re-size', $1::bigint)", [ids[1]])
    assert sweep(db) == {**NOTHING, "removed": 2}
    db.execute(b"select pgmq.purge_queue('re-size')")
    assert sweep(db) == {**NOTHING, "removed": 2}


def test_a_parked_message_that_waits_for_nothing_gets_a_gate(db: Database, queue: str) -> None:
    """As after a restore of the queue's table alone."""
    send(db, "a", "b")
    db.execute(b"delete from postmill.gates")
    assert sweep(db) == {**NOTHING, "made": 2}
    assert claim_gated(db)["msg_ids"] == [1, 2]


def test_a_message_that_waits_for_others_gets_none(db: Database, queue: str) -> None:
    db.execute(b"select postmill.send('re-size', '1', delay => '1 hour')")
    db.execute(b"select postmill.send('re-size', '1', after => '{re-size:1}', group_key => 'a')")
    assert value(db, "select count(*) from postmill.blocked") == 1
    assert sweep(db) == NOTHING


def test_rows_of_groups_come_and_go_with_their_messages(db: Database, queue: str) -> None:
    send(db, "a", "b")
    db.execute(b"select postmill.limit_groups('re-size', max_running => 1, group_key => 'kept')")
    for _ in range(20):  # from a random place on
        sweep(db)
    assert column(db, "select group_key from postmill.groups order by 1") == ["a", "b", "kept"]
    db.execute(b"select postmill.purge_queue('re-size')")
    assert value(db, "select count(*) from postmill.gates") == 0
    for _ in range(20):
        sweep(db)
    assert column(db, "select group_key from postmill.groups") == ["kept"]


def test_a_group_whose_starts_still_count_keeps_its_row(db: Database, queue: str) -> None:
    """Removed, it would forget that its rate is used up."""
    db.execute(b"select postmill.limit_groups('re-size', starts => 1, per => '1 hour')")
    send(db, "a")
    claim_gated(db)
    db.execute(b'delete from pgmq."q_re-size"; delete from postmill.gates')
    sweep(db)
    send(db, "a")
    assert claim_gated(db)["msg_ids"] == []


def test_one_of_many_workers_does_it_and_not_all_the_time(
    db: Database, queue: str, connect: Callable[[], Database]
) -> None:
    send(db, "a")
    assert sweep(db) == NOTHING
    assert row(db, SWEEP) == {"freed": None, "removed": None, "made": None}
    with connect() as other:
        other.execute(b"update postmill.queues set gates_swept_at = '-infinity'")
        other.execute(b"begin")
        assert row(other, SWEEP) == NOTHING
        assert row(db, SWEEP)["freed"] is None
        other.execute(b"commit")


def test_gates_of_a_queue_that_another_client_dropped_are_pruned(db: Database, queue: str) -> None:
    send(db, "a")
    claim_gated(db)
    db.execute(b"select pgmq.drop_queue('re-size')")
    db.execute(b"select postmill.prune()")
    assert rows(db, "select from postmill.gates") == []
    assert rows(db, "select from postmill.groups") == []


def test_a_message_of_a_gone_worker_waits_for_its_place_again(db: Database, queue: str) -> None:
    """The message and its place are free at once, and the lost attempt is counted."""
    send(db, "a", "a")
    db.execute(b"select postmill.limit_groups('re-size', max_running => 1)")
    claim_gated(db)
    assert column(db, "select msg_ids from postmill.rescue()") == [[1]]
    assert column(db, 'select vt = postmill._parked_until() from pgmq."q_re-size"') == [True, True]
    assert column(db, "select claim_id from postmill.gates") == [None, None]
    assert claim_gated(db)["msg_ids"] == [2]  # the first one is due again now, behind it
    assert value(db, "select kind from postmill.failures") == "crash"


def test_cancel_and_purge_take_the_gate_along(db: Database, queue: str) -> None:
    send(db, "a", "a", "a")
    db.execute(b"select postmill.limit_groups('re-size', max_running => 1)")
    claim_gated(db)
    assert value(db, "select postmill.cancel('re-size', 2)") == "cancelled"
    assert column(db, "select msg_id from postmill.gates order by 1") == [1, 3]
    db.execute(b"select postmill.purge_queue('re-size')")
    assert column(db, "select msg_id from postmill.gates") == [1]

"""set_retention and prune: what is old goes, what still counts stays, one process at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sql.asking import Database, bury, column, fail, refused, row, rows, value

if TYPE_CHECKING:
    from collections.abc import Callable

    from psycopg.rows import DictRow

WEEK_LATER = b"set postmill.clock_shift = '7 days 1 hour'"


def archive(db: Database, queue: str, count: int) -> None:
    """Send messages and finish them."""
    db.execute(f'insert into pgmq."q_{queue}" (vt) select now() from generate_series(1, {count})'.encode())
    db.execute(f"select pgmq.archive('{queue}', array(select msg_id from pgmq.\"q_{queue}\"))".encode())


def prune(db: Database, max_rows: int = 5000) -> list[DictRow]:
    """Every batch until nothing is due."""
    done: list[DictRow] = []
    while batch := rows(db, "select * from postmill.prune($1)", max_rows):
        done += batch
    return done


def due(db: Database) -> None:
    """Make every queue due for another sweep."""
    db.execute(b"update postmill.prunings set due_at = '-infinity'")


def archived(db: Database, queue: str) -> int:
    """Messages in the archive."""
    count: int = value(db, f'select count(*) from pgmq."a_{queue}"')
    return count


def test_an_archived_message_is_kept_for_seven_days(db: Database, queue: str) -> None:
    archive(db, queue, 3)
    prune(db)
    assert archived(db, queue) == 3
    due(db)
    db.execute(WEEK_LATER)
    assert prune(db) == [
        {"queue_name": queue, "archived": 3, "failures": 0, "history": 0, "workers": 0, "more": False}
    ]
    assert archived(db, queue) == 0


def test_a_sweep_goes_on_in_bounded_batches(db: Database, queue: str) -> None:
    archive(db, queue, 1200)
    db.execute(WEEK_LATER)
    batches = prune(db, 100)
    assert [batch["archived"] for batch in batches] == [100] * 12 + [0]
    assert [batch["more"] for batch in batches] == [True] * 12 + [False]


def test_messages_of_one_moment_are_no_obstacle(db: Database, queue: str) -> None:
    archive(db, queue, 30)
    assert value(db, f'select count(distinct archived_at) from pgmq."a_{queue}"') == 1
    db.execute(WEEK_LATER)
    prune(db, 7)
    assert archived(db, queue) == 0


def test_the_archive_of_another_client_is_left_alone_until_somebody_says_so(
    db: Database, foreign: str
) -> None:
    archive(db, foreign, 2)
    db.execute(b"select postmill.create_queue('theirs'), postmill.pause('theirs')")
    db.execute(b"set postmill.clock_shift = '10 years'")
    prune(db)
    assert archived(db, foreign) == 2
    db.execute(b"select postmill.set_retention('theirs', '1 year')")
    prune(db)
    assert archived(db, foreign) == 0


def test_null_keeps_for_ever(db: Database, queue: str) -> None:
    archive(db, queue, 1)
    fail(db, queue, 1, "old")
    db.execute(b"select postmill.set_retention('re-size', null)")
    db.execute(b"set postmill.clock_shift = '10 years'")
    prune(db)
    assert (archived(db, queue), value(db, "select count(*) from postmill.failures")) == (1, 1)


def test_a_shorter_retention_holds_at_once(db: Database, queue: str) -> None:
    archive(db, queue, 1)
    prune(db)
    db.execute(b"select postmill.set_retention('re-size', '0')")
    assert [batch["archived"] for batch in prune(db)] == [1]


def test_the_oldest_of_too_many_go_however_young(db: Database, queue: str) -> None:
    """An archive grew until its seven days were over: at 8,000 messages a second, longer than any disk."""
    for _ in range(3):
        archive(db, queue, 10)
    db.execute(b"select postmill.set_retention('re-size', '7 days', archive_max_rows => 12)")
    assert sum(batch["archived"] for batch in prune(db, 5)) == 18
    assert column(db, 'select msg_id from pgmq."a_re-size" order by msg_id') == list(range(19, 31))
    due(db)
    assert sum(batch["archived"] for batch in prune(db)) == 0


def test_what_is_too_old_goes_also_where_more_may_be_kept(db: Database, queue: str) -> None:
    archive(db, queue, 10)
    db.execute(b"select postmill.set_retention('re-size', '7 days', 100)")
    db.execute(WEEK_LATER)
    prune(db)
    assert archived(db, queue) == 0


@pytest.mark.parametrize(
    ("call", "kept"),
    [
        ("'re-size', '7 days'", 30),
        ("'re-size', null, 30", 30),
        ("'re-size', null, 0", 0),
        ("'re-size', '0', null", 0),
    ],
)
def test_each_call_says_both(db: Database, queue: str, call: str, kept: int) -> None:
    archive(db, queue, 30)
    db.execute(b"select postmill.set_retention('re-size', '7 days', 1)")
    db.execute(f"select postmill.set_retention({call})".encode())
    prune(db)
    assert archived(db, queue) == kept


def test_ids_that_were_left_out_are_not_taken_for_messages(db: Database, queue: str) -> None:
    """A sequence that was set ahead makes ids a thousand times larger, and the archive no larger."""
    archive(db, queue, 10)
    db.execute(b"select setval('pgmq.\"q_re-size_msg_id_seq\"', 1000000)")
    archive(db, queue, 10)
    db.execute(b"select postmill.set_retention('re-size', '7 days', 20)")
    prune(db)
    assert archived(db, queue) == 20


def test_a_large_archive_is_estimated_and_never_cut_below_its_bound(db: Database, queue: str) -> None:
    db.execute(
        b'insert into pgmq."a_re-size" (msg_id, vt, message)'
        b" select n, now(), '1' from generate_series(1, 60000) as n"
    )
    db.execute(b"select postmill.set_retention('re-size', '7 days', 40000)")
    for _ in range(3):
        prune(db)
        due(db)
    assert 40_000 <= archived(db, queue) <= 49_000
    assert value(db, 'select max(msg_id) from pgmq."a_re-size"') == 60_000


def test_queues_of_before_and_of_other_clients_keep_any_number(
    db: Database, queue: str, foreign: str
) -> None:
    db.execute(b"select postmill.create_queue('theirs')")
    assert column(db, "select archive_max_rows from postmill.queues order by queue_name") == [
        10_000_000,
        None,
    ]


def test_history_goes_and_letters_that_wait_stay(db: Database, queue: str) -> None:
    replayed, waiting = bury(db, queue, 5), bury(db, queue, 6)
    db.execute(b"update postmill.dead_letters set replayed_at = now() where letter_id = $1", [replayed])
    db.execute(b"insert into postmill.results (queue_name, msg_id) values ('re-size', 7)")
    db.execute(b"insert into postmill.cancellations (queue_name, msg_id) values ('re-size', 8)")
    fail(db, queue, 9, "old")
    db.execute(WEEK_LATER)
    (batch,) = prune(db)
    assert (batch["failures"], batch["history"]) == (1, 3)
    assert column(db, "select letter_id from postmill.dead_letters") == [waiting]


def test_failures_of_a_message_that_is_still_in_the_queue_count_and_stay(db: Database, queue: str) -> None:
    db.execute(b"select postmill.send('re-size', '1')")
    for number in range(5):
        fail(db, queue, 1, f"attempt {number}")
        fail(db, queue, 99, "of a message that is gone")
    db.execute(WEEK_LATER)
    prune(db, 2)
    assert column(db, "select distinct msg_id from postmill.failures") == [1]
    assert value(db, "select count(*) from postmill.failures") == 5


def test_the_history_of_a_queue_that_only_a_worker_knew(db: Database, foreign: str) -> None:
    add_worker(db, foreign, "now()", "null")
    fail(db, foreign, 1, "old")
    db.execute(WEEK_LATER)
    prune(db)
    assert rows(db, "select * from postmill.failures") == []


def add_worker(db: Database, queue: str, heartbeat: str, stopped: str) -> None:
    values = f"'{queue}', 'f', 'h', 1, '0', 1, {heartbeat}, {stopped}"
    db.execute(
        b"insert into postmill.workers (queue_name, function_name, hostname, pid, version, max_concurrent, "
        b"last_heartbeat_at, stopped_at) values (" + values.encode() + b")"
    )


def test_workers_that_are_long_gone_go_with_their_wishes(db: Database, queue: str) -> None:
    add_worker(db, queue, "now()", "null")
    add_worker(db, queue, "now() - interval '6 days'", "now() - interval '6 days'")
    add_worker(db, queue, "now() - interval '8 days'", "now() - interval '8 days'")
    add_worker(db, queue, "now() - interval '8 days'", "null")
    db.execute(b"insert into postmill.idle_workers select queue_name, worker_id from postmill.workers")
    assert [batch["workers"] for batch in prune(db)] == [2]
    assert value(db, "select count(*) from postmill.workers") == 2
    assert value(db, "select count(*) from postmill.idle_workers") == 1


def test_one_prunes_and_the_others_find_nothing_to_do(
    db: Database, queue: str, connect: Callable[[], Database]
) -> None:
    other = connect()
    with db.transaction():
        assert len(rows(db, "select * from postmill.prune()")) == 1
        assert rows(other, "select * from postmill.prune()") == []
    assert rows(other, "select * from postmill.prune()") == []


def test_a_locked_archive_is_tried_again_later(
    db: Database, queue: str, connect: Callable[[], Database]
) -> None:
    archive(db, queue, 1)
    db.execute(WEEK_LATER)
    with connect() as holder, holder.transaction():
        holder.execute(b'lock table pgmq."a_re-size"')
        (batch,) = prune(db)
    assert (batch["archived"], batch["more"]) == (0, False)
    due(db)
    assert [batch["archived"] for batch in prune(db)] == [1]


def test_an_archive_that_others_refer_to_holds_up_no_other(db: Database, queue: str) -> None:
    """A foreign key refused the deletion, each call failed, and no queue was ever pruned again."""
    db.execute(b"select postmill.create_queue('other')")
    archive(db, queue, 1)
    archive(db, "other", 1)
    db.execute(b'create table mine (id bigint references pgmq."a_re-size"); insert into mine values (1)')
    db.execute(WEEK_LATER)
    warnings: list[str] = []
    db.add_notice_handler(lambda notice: warnings.append(str(notice.message_primary)))
    prune(db)
    assert (archived(db, queue), archived(db, "other")) == (1, 0)
    assert [warning.partition(":")[0] for warning in warnings] == ["queue 're-size' can't be pruned"]


def test_a_queue_without_its_tables_is_no_obstacle(db: Database, queue: str) -> None:
    fail(db, queue, 1, "old")
    db.execute(b'drop table pgmq."a_re-size", pgmq."q_re-size" cascade')
    db.execute(WEEK_LATER)
    assert [batch["failures"] for batch in prune(db)] == [1]


def test_the_lock_timeout_is_the_functions_own(db: Database, queue: str) -> None:
    before = row(db, "show lock_timeout")
    with db.transaction():
        prune(db)
        assert row(db, "show lock_timeout") == before


def test_set_retention_refuses_what_makes_no_sense(db: Database, queue: str) -> None:
    with refused("PM001", "there is no queue 'nope'"):
        db.execute(b"select postmill.set_retention('nope', '1 day')")
    with refused("PM003", "is negative"):
        db.execute(b"select postmill.set_retention('re-size', '-1 day')")
    with refused("PM003", "can't keep -1 messages"):
        db.execute(b"select postmill.set_retention('re-size', '1 day', -1)")


@pytest.mark.parametrize("table", ["archive", "failures", "results", "cancellations", "letters"])
def test_each_sweep_reads_by_its_index(db: Database, queue: str, table: str) -> None:
    # The conditions of the functions, as they stand in them.
    sweep = {
        "archive": "select msg_id from pgmq.\"a_re-size\" where archived_at >= '-infinity' "
        "and archived_at < now() order by archived_at limit 500",
        "failures": "select failure_id from postmill.failures where queue_name = 'x' and failure_id > 0 "
        "order by failure_id limit 500",
        "results": "select msg_id from postmill.results where queue_name = 'x' and completed_at < now() "
        "order by completed_at limit 500",
        "cancellations": "select msg_id from postmill.cancellations where queue_name = 'x' "
        "and requested_at < now() order by requested_at limit 500",
        "letters": "select letter_id from postmill.dead_letters where queue_name = 'x' "
        "and replayed_at < now() order by replayed_at limit 500",
    }[table]
    db.execute(b"set enable_seqscan = off; set enable_bitmapscan = off")
    plan = "\n".join(column(db, f"explain {sweep}"))
    assert "Index" in plan
    assert "Sort" not in plan

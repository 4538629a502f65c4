from __future__ import annotations

import pytest

from tests.servers import session
from tests.sql.asking import Database, bury, claim, column, refused, row, value
from tests.sql.waiting import block, park


def test_counts_every_state(db: Database, queue: str) -> None:
    db.execute(b"select postmill.send_batch('re-size', array_fill('1'::jsonb, array[10]))")
    db.execute(b"select postmill.send('re-size', '1', delay => '1 hour')")
    claim(db, queue, 1, 2, 3)
    db.execute(
        b"update pgmq.\"q_re-size\" set read_ct = 1, vt = vt + interval '1 hour' where msg_id in (4, 5)"
    )
    bury(db, queue, 99)

    stats = row(
        db, "select ready, running, retrying, scheduled, dead, total from postmill.queue_stats('re-size')"
    )

    assert stats == {"ready": 5, "running": 3, "retrying": 2, "scheduled": 1, "dead": 1, "total": 11}


def test_age_is_how_long_the_oldest_ready_message_has_been_due(db: Database, queue: str) -> None:
    assert value(db, "select oldest_ready_age from postmill.queue_stats('re-size')") is None
    db.execute(b"select postmill.send('re-size', '1', run_at => clock_timestamp() - interval '1 hour')")
    db.execute(b"select postmill.send('re-size', '1', run_at => clock_timestamp() + interval '1 hour')")
    assert value(
        db, "select oldest_ready_age between '1 hour' and '1 hour 1 min' from postmill.queue_stats('re-size')"
    )


def test_an_expired_lease_is_ready(db: Database, queue: str) -> None:
    db.execute(b"select postmill.send('re-size', '1')")
    claim(db, queue, 1)
    db.execute(b'update pgmq."q_re-size" set vt = clock_timestamp()')
    assert row(db, "select ready, running from postmill.queue_stats()") == {"ready": 1, "running": 0}


def test_every_queue_by_name_also_those_of_others(db: Database, queue: str, foreign: str) -> None:
    assert column(db, "select queue_name from postmill.queue_stats()") == ["re-size", "theirs"]
    assert column(db, "select owned from postmill.queue_stats()") == [True, False]


def test_living_workers_and_pause(db: Database, queue: str) -> None:
    db.execute(
        b"insert into postmill.workers "
        b"(queue_name, function_name, hostname, pid, version, max_concurrent, stopped_at) values "
        b"('re-size', 'f', 'h', 1, '0', 1, null), "
        b"('re-size', 'f', 'h', 2, '0', 1, now()), "
        b"('other', 'f', 'h', 3, '0', 1, null)"
    )
    db.execute(b"select postmill.pause('re-size', 'lunch')")
    stats = row(
        db,
        "select workers, pause_reason, paused_at is not null as paused from postmill.queue_stats('re-size')",
    )
    assert stats == {"workers": 1, "pause_reason": "lunch", "paused": True}


def test_a_registered_queue_without_a_table_is_left_out(db: Database, queue: str, foreign: str) -> None:
    db.execute(b"drop table pgmq.q_theirs")
    assert column(db, "select queue_name from postmill.queue_stats()") == ["re-size"]


def test_refuses_a_queue_that_is_not_there(db: Database) -> None:
    with refused("PM001", "there is no queue 'nope'"):
        db.execute(b"select postmill.queue_stats('nope')")


LARGE = (
    b'insert into pgmq."q_re-size" (vt, read_ct, message)'
    b" select clock_timestamp() + (case when n % 4 = 0 then 1 else -1 end) * interval '1 hour',"
    b" (n % 8 = 0)::integer, '{}' from generate_series(1, 100000) as n"
)
BLOCKS = (
    "select sum(pg_stat_get_xact_blocks_fetched(oid)) from pg_class where relnamespace = 'pgmq'::regnamespace"
)


def test_a_large_queue_is_estimated_and_says_so(db: Database, queue: str) -> None:
    """75,000 are ready, 12,500 each wait for the first time and again; thirty pages hold about 4,000 rows."""
    db.execute(LARGE)
    counts = "select ready, retrying, scheduled, exact from postmill.queue_stats('re-size')"
    found = row(db, counts)
    assert not found["exact"]
    assert found["ready"] == pytest.approx(75_000, rel=0.5)
    assert found["retrying"] == pytest.approx(12_500, rel=0.5)
    assert found["scheduled"] == pytest.approx(12_500, rel=0.5)
    exactly = counts.replace("'re-size'", "'re-size', exactly => true")
    assert row(db, exactly) == {"ready": 75_000, "retrying": 12_500, "scheduled": 12_500, "exact": True}


def test_its_cost_does_not_grow_with_the_queue(db: Database, queue: str) -> None:
    """It counted every message: 4 s for ten million, and the list of queues lives on it."""
    db.execute(LARGE)
    claim(db, queue, 1, 2, 3)
    with db.transaction():
        before = value(db, BLOCKS)
        db.execute(b"select postmill.queue_stats()")
        counted = value(db, BLOCKS)
        assert column(db, "select msg_id from postmill.messages('re-size', 'running')") == [3, 2, 1]
        listed = value(db, BLOCKS)
    assert 0 < counted - before < 200
    assert 0 < listed - counted < 50


def test_few_that_are_left_in_a_large_table_are_counted_exactly(db: Database, queue: str) -> None:
    """The sample meets none of them."""
    db.execute(LARGE)
    db.execute(b'delete from pgmq."q_re-size" where msg_id not in (7, 8, 99999)')
    found = row(db, "select ready, retrying, scheduled from postmill.queue_stats('re-size')")
    assert found == {"ready": 2, "retrying": 1, "scheduled": 0}


def test_the_pages_of_partitions_are_counted(db: Database, queue: str) -> None:
    db.execute(b"create table parts (n integer) partition by range (n)")
    db.execute(b"create table parts_1 partition of parts for values from (0) to (100000)")
    db.execute(b"insert into parts select generate_series(1, 9999)")
    assert value(db, "select postmill._pages('parts') = pg_relation_size('parts_1') / 8192")


def test_how_long_the_oldest_waiting_message_could_have_run(db: Database, queue: str) -> None:
    age = "select oldest_waiting_age from postmill.queue_stats('re-size')"
    park(db, queue, rank="clock_timestamp() + interval '1 hour'")
    assert value(db, age) is None
    park(db, queue, rank="clock_timestamp() - interval '2 hours'")
    blocked = block(db, queue, ("re-size", 1))
    assert value(db, age.replace("age from", "age between '2 hours' and '2 hours 1 min' from"))
    db.execute(b"update postmill.blocked set due_at = '-infinity' where msg_id = $1", [blocked])
    assert value(db, age.replace("age from", "age > '10 years' from"))


def test_a_queue_with_many_waiting_is_estimated_and_costs_no_more(db: Database, queue: str) -> None:
    """80,000 wait, 100 are scheduled and 20,000 ready."""
    db.execute(
        b'insert into pgmq."q_re-size" (vt, message) select case when n % 5 = 0 then now()'
        b" when n % 1000 = 1 then now() + interval '1 hour' else postmill._parked_until() end, '1'"
        b" from generate_series(1, 100000) as n"
    )
    db.execute(
        b"insert into postmill.gates (queue_name, group_key, rank, msg_id)"
        b" select 're-size', 'acme', now() - interval '1 min', msg_id from pgmq.\"q_re-size\""
        b" where vt = postmill._parked_until()"
    )
    counts = "select ready, waiting, scheduled, exact from postmill.queue_stats('re-size')"
    found = row(db, counts)
    assert not found["exact"]
    assert found["ready"] == pytest.approx(20_000, rel=0.5)
    assert found["waiting"] == pytest.approx(79_900, rel=0.5)
    assert found["scheduled"] == 100
    exactly = counts.replace("'re-size'", "'re-size', exactly => true")
    assert row(db, exactly) == {"ready": 20_000, "waiting": 79_900, "scheduled": 100, "exact": True}
    blocks = BLOCKS.replace(
        "'pgmq'::regnamespace", "'pgmq'::regnamespace or relnamespace = 'postmill'::regnamespace"
    )
    with db.transaction():
        before = value(db, blocks)
        db.execute(b"select postmill.queue_stats()")
        assert value(db, blocks) - before < 6_000


def test_few_that_wait_in_a_large_table_are_counted_exactly(db: Database, queue: str) -> None:
    db.execute(LARGE)
    for _ in range(3):
        park(db, queue)
    found = row(db, "select waiting, scheduled from postmill.queue_stats('re-size')")
    assert found["waiting"] == 3
    assert found["scheduled"] == pytest.approx(12_500, rel=0.5)


def test_what_is_new_is_found_behind_many_dead_rows(db: Database, queue: str, database_url: str) -> None:
    """A transaction that someone forgot keeps 120,000 dead rows. The sample met these only, and a queue with
    messages looked empty.
    """
    with session(database_url) as old:
        db.execute(LARGE)
        old.execute(b"begin isolation level repeatable read")
        old.execute(b"select pg_current_xact_id()")
        db.execute(b'update pgmq."q_re-size" set read_ct = read_ct + 1 where msg_id <= 20000')
        db.execute(b'delete from pgmq."q_re-size"')
        db.execute(b"select postmill.send_batch('re-size', array_fill('1'::jsonb, array[300]))")
        db.execute(b"select postmill.send_batch('re-size', array_fill('1'::jsonb, array[20]), '1 hour')")
        db.execute(b'update pgmq."q_re-size" set read_ct = 1 where vt > now() and msg_id % 4 = 0')
        db.execute(b"select pg_stat_force_next_flush()")
        db.execute(b"select")
        stats = "ready, retrying, scheduled, exact, oldest_ready_age < '10 min' as is_young"
        with db.transaction():
            before = value(db, BLOCKS)
            found = row(db, f"select {stats} from postmill.queue_stats('re-size')")
            read = value(db, BLOCKS) - before
    assert found == {"ready": 300, "retrying": 5, "scheduled": 15, "exact": False, "is_young": True}
    assert read < 200


@pytest.mark.parametrize("state", ["completed", "dead", "cancelled"])
def test_a_list_of_what_is_done_leaves_the_queue_alone(db: Database, queue: str, state: str) -> None:
    """It walked through the whole queue, none of whose messages is done."""
    db.execute(LARGE)
    with db.transaction():
        before = value(db, BLOCKS)
        assert column(db, "select msg_id from postmill.messages('re-size', $1)", state) == []
        assert value(db, BLOCKS) - before < 20

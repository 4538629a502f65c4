"""What messages() says a message waits for."""

from __future__ import annotations

import re

import pytest

from tests.sql.asking import Database, claim, fail, rows, value
from tests.sql.waiting import block, gate, hold, live, park, put, wait_for

BLOCKS = (
    "select sum(pg_stat_get_xact_blocks_fetched(oid)) from pg_class"
    " where relnamespace in ('pgmq'::regnamespace, 'postmill'::regnamespace)"
)


def says(db: Database, queue: str, msg_id: int) -> str | None:
    """What the message waits for."""
    said: str | None = value(db, "select waits_for from postmill.messages($1, only_id => $2)", queue, msg_id)
    return said


def test_nothing_is_in_the_way(db: Database, queue: str) -> None:
    live(db, queue)
    assert says(db, queue, put(db, queue)) is None
    assert says(db, queue, park(db, queue)) is None


def test_no_worker(db: Database, queue: str) -> None:
    assert says(db, queue, put(db, queue)) == "no worker"
    assert says(db, queue, park(db, queue)) == "no worker"
    live(db, queue)
    db.execute(b"update postmill.workers set deprecated_at = now()")
    assert says(db, queue, put(db, queue)) == "no worker: those of the queue stop, and take nothing more"


def test_a_paused_queue_says_by_whom_and_why(db: Database, queue: str) -> None:
    live(db, queue)
    db.execute(b"select postmill.pause('re-size', 'deploy')")
    db.execute(b"update postmill.queues set paused_by = 'ada'")
    for message in (put(db, queue), park(db, queue)):
        assert says(db, queue, message) == "queue paused by ada: deploy"
    db.execute(b"update postmill.queues set pause_reason = null")
    assert says(db, queue, message) == "queue paused by ada"


def test_a_time_to_come(db: Database, queue: str) -> None:
    """In the session's time zone, with the date unless it is today's."""
    db.execute(b"set timezone = 'Asia/Tokyo'")
    assert (
        says(db, queue, put(db, queue, "'2087-01-02 03:04:05+09'")) == "scheduled for 2087-01-02 03:04:05 JST"
    )
    assert says(db, queue, park(db, queue, rank="'2087-01-02 12:00+09'")) == (
        "scheduled for 2087-01-02 12:00:00 JST"
    )
    soon = put(db, queue, "current_date + interval '24 hours' - interval '1 microsecond'")
    assert says(db, queue, soon) == "scheduled for 23:59:59 JST"
    assert says(db, queue, put(db, queue, "'infinity'")) == "scheduled for never"


def test_a_retry_and_a_lease_of_another_client(db: Database, queue: str) -> None:
    failed, read = (put(db, queue, "'2087-01-02 12:00+00'", 1) for _ in range(2))
    fail(db, queue, failed, "boom")
    db.execute(b"set timezone = 'UTC'")
    assert says(db, queue, failed) == "next attempt at 2087-01-02 12:00:00 UTC"
    assert says(db, queue, read) == "until 2087-01-02 12:00:00 UTC: snoozed, or read by another client"
    taken = put(db, queue)
    db.execute(b"select pgmq.read('re-size', 3600, 1)")
    assert "read by another client" in (says(db, queue, taken) or "")


def test_a_group_at_its_limit_and_who_holds_it(db: Database, queue: str) -> None:
    db.execute(b"update postmill.queues set group_max_running = 3")
    held = [hold(db, queue) for _ in range(3)]
    waits = park(db, queue)
    assert (
        says(db, queue, waits) == f"group acme is at its limit of 3, held by {held[0]}, {held[1]}, {held[2]}"
    )
    assert says(db, queue, held[0]) is None
    db.execute(
        b"insert into postmill.groups (queue_name, group_key, max_running) values ('re-size', 'acme', 9)"
    )
    assert says(db, queue, waits) == "no worker"
    for _ in range(6):
        hold(db, queue)
    assert says(db, queue, waits) == "group acme is at its limit of 9, held by 1, 2 and 7 more"


def test_a_queue_at_its_limit_holds_up_messages_of_every_group(db: Database, queue: str) -> None:
    db.execute(b"update postmill.queues set max_running = 2")
    hold(db, queue, "")
    hold(db, queue, "other")
    for waits in (park(db, queue, ""), park(db, queue, "acme")):
        assert says(db, queue, waits) == "queue re-size is at its limit of 2, held by 1, 2"


def test_others_of_its_group_are_before_it(db: Database, queue: str) -> None:
    live(db, queue)
    first, second, third = (park(db, queue) for _ in range(3))
    late = park(db, queue, rank="clock_timestamp() - interval '1 day'")
    alone = park(db, queue, "other")
    assert says(db, queue, late) is None
    assert says(db, queue, alone) is None
    assert says(db, queue, first) == "behind 1 other of group acme"
    assert (says(db, queue, second), says(db, queue, third)) == (
        "behind 2 others of group acme",
        "behind 3 others of group acme",
    )


def test_all_slots_are_taken(db: Database, queue: str) -> None:
    live(db, queue, slots=4, in_flight=4)
    live(db, queue, slots=2, in_flight=2)
    assert says(db, queue, put(db, queue)) == "all slots of the workers are taken: 6"


@pytest.mark.parametrize(
    ("sources", "said"),
    [
        ([("resize", 17)], "waits for 17 of queue resize"),
        ([("resize", 17), ("resize", 18)], "waits for 17 and 18 of queue resize"),
        (
            [("resize", 18), ("mail", 4), ("resize", 17)],
            "waits for 4 of queue mail and 17 and 18 of queue resize",
        ),
        ([("resize", number) for number in range(17, 59)], "waits for 17, 18 and 40 more of queue resize"),
        (
            [("resize", number) for number in range(1, 1502)],
            "waits for 1, 2 and more than 998 more of queue resize",
        ),
    ],
)
def test_messages_that_it_runs_after(
    db: Database, queue: str, sources: list[tuple[str, int]], said: str
) -> None:
    assert says(db, queue, block(db, queue, *sources)) == said


def test_a_source_that_died_and_blocks(db: Database, queue: str) -> None:
    dead = block(db, queue, ("resize", 17), on_dead="block", died=True)
    assert says(db, queue, dead) == "waits for the replay of 17 of queue resize, which died"
    wait_for(db, queue, dead, ("mail", 3))
    assert (
        says(db, queue, dead)
        == "waits for 3 of queue mail; waits for the replay of 17 of queue resize, which died"
    )


def test_released_and_not_yet_opened(db: Database, queue: str) -> None:
    released = block(db, queue)
    assert says(db, queue, released) == "all that it waited for has ended: it starts within seconds"


def test_what_runs_or_is_done_waits_for_nothing(db: Database, queue: str) -> None:
    running, done = put(db, queue), put(db, queue)
    claim(db, queue, running)
    db.execute(b"select pgmq.archive('re-size', $1)", [done])
    gate(db, queue, done)
    assert [says(db, queue, each) for each in (running, done)] == [None, None]


def test_odd_keys_and_names_are_shown_as_they_are(db: Database, queue: str) -> None:
    db.execute(b"update postmill.queues set group_max_running = 1")
    key = "%s $1 'quoted' \\ {}"
    hold(db, queue, key)
    assert says(db, queue, park(db, queue, key)) == f"group {key} is at its limit of 1, held by 1"


def test_a_queue_of_another_client_whose_name_has_capitals(db: Database) -> None:
    """pgmq lower-cases the names of tables and not its own register; gates and edges go by the table."""
    db.execute(b"select pgmq.create('MyQueue')")
    db.execute(
        b"insert into postmill.queues (queue_name, owned, group_max_running) values ('MyQueue', false, 2)"
    )
    db.execute(
        b"insert into postmill.groups (queue_name, group_key, max_running) values ('myqueue', 'acme', 1)"
    )
    first, second = (park(db, "MyQueue") for _ in range(2))
    db.execute(b"update postmill.gates set claim_id = 1 where msg_id = $1", [first])
    assert says(db, "MyQueue", second) == "group acme is at its limit of 1, held by 1"
    assert says(db, "MyQueue", block(db, "MyQueue", ("resize", 9))) == "waits for 9 of queue resize"
    counts = "select waiting from postmill.queue_stats('MyQueue')"
    assert value(db, counts) == 2
    assert len(rows(db, "select msg_id from postmill.messages('MyQueue', 'waiting')")) == 2


@pytest.fixture
def many_gates(db: Database, queue: str) -> str:
    """100,000 messages at the gates of 1,000 groups, one group of which has half of them."""
    db.execute(
        b"with sent as (insert into pgmq.\"q_re-size\" (vt, message) select postmill._parked_until(), '1'"
        b" from generate_series(1, 100000) returning msg_id)"
        b" insert into postmill.gates (queue_name, group_key, rank, msg_id)"
        b" select 're-size', case when msg_id % 2 = 0 then 'large' else 'g' || msg_id % 1000 end, now(),"
        b" msg_id from sent"
    )
    return queue


@pytest.mark.parametrize("state", [None, "waiting", "scheduled", "ready", "retrying"])
@pytest.mark.parametrize("before", [None, 50_000])
def test_a_page_costs_the_same_however_many_wait(
    db: Database, many_gates: str, state: str | None, before: int | None
) -> None:
    db.execute(b"update postmill.queues set group_max_running = 3")
    with db.transaction():
        blocks = value(db, BLOCKS)
        page = rows(db, "select * from postmill.messages('re-size', $1, before_id => $2)", state, before)
        read = value(db, BLOCKS) - blocks
    assert len(page) == (100 if state in (None, "waiting") else 0)
    assert read < 6_000


@pytest.mark.parametrize("starts", [1, 3, 2000])
def test_a_rate_limit_says_when_the_next_start_is(db: Database, queue: str, starts: int) -> None:
    db.execute(b"select postmill.limit_groups('re-size', starts => $1, per => '1 hour')", [starts])
    waits = park(db, queue)
    assert says(db, queue, waits) == "no worker"
    while value(
        db, "select granted from postmill._grant_starts('re-size', 'acme', 100, $1, '1 hour')", starts
    ):
        pass
    said = says(db, queue, waits)
    assert re.fullmatch(
        rf"rate limit: next start in \d+ (s|min) \(group acme: {starts} in 60 min\)", said or ""
    )
    assert says(db, queue, park(db, queue, "other")) == "no worker"


def test_the_rate_limit_of_the_queue(db: Database, queue: str) -> None:
    db.execute(b"select postmill.limit_queue('re-size', starts => 1, per => '10 days')")
    db.execute(b"select postmill._grant_starts('re-size', '', 1, 1, '10 days')")
    waits = put(db, queue, "postmill._parked_until()")
    gate(db, queue, waits, "")
    assert says(db, queue, waits) == "rate limit: next start in 10 d (queue re-size: 1 in 10 d)"

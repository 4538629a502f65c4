"""How many workers a queue wants: the formula, its bounds, and a fleet that follows it through bursts."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from tests.plans.explaining import pages_of
from tests.sql.asking import Database, claim, column, refused, value
from tests.sql.waiting import PARKED, block, park, put

TOOK = (
    b"insert into postmill.minutes "
    b"values (date_trunc('minute', now(), 'UTC'), 're-size', 0, $1, $1, 0, 0, $2, 0)"
)
SEND = (
    b'insert into pgmq."q_re-size" (vt, message) '
    b"select now() - interval '1 s', '1' from generate_series(1, $1)"
)
DESIRED = "select postmill.desired_workers('re-size', $1, $2, $3, $4)"


def desired(db: Database, slots: int = 10, wait_s: float = 10, least: int = 0, most: int = 100) -> int:
    """The answer for the test's queue."""
    number: int = value(db, DESIRED, slots, wait_s, least, most)
    return number


def test_an_empty_queue_wants_none(db: Database, queue: str) -> None:
    assert desired(db) == 0
    assert desired(db, least=2) == 2


@pytest.mark.parametrize(
    ("ready", "mean_ms", "slots", "wait_s", "wanted"),
    [
        (1, 1, 10, 10, 1),
        (100, 1000, 10, 10, 1),
        (101, 1000, 10, 10, 2),
        (100, 1000, 10, 1, 10),
        (100, 5000, 10, 10, 5),
        (100, 1000, 1, 10, 10),
    ],
)
def test_what_is_ready_begins_in_time(
    db: Database, queue: str, ready: int, mean_ms: int, slots: int, wait_s: float, wanted: int
) -> None:
    db.execute(TOOK, [50, 50 * mean_ms])
    db.execute(SEND, [ready])
    assert desired(db, slots, wait_s) == wanted


def test_without_a_past_an_attempt_is_taken_to_last_a_second(db: Database, queue: str) -> None:
    db.execute(SEND, [200])
    assert desired(db) == 2
    db.execute(TOOK, [0, 0])
    assert desired(db) == 2


@pytest.mark.parametrize(("running", "wanted"), [(1, 1), (8, 1), (9, 2), (16, 2), (80, 10)])
def test_what_runs_keeps_its_workers(db: Database, queue: str, running: int, wanted: int) -> None:
    db.execute(SEND, [running])
    claim(db, queue, *range(1, running + 1))
    assert desired(db) == wanted


def test_of_many_that_run_five_hundred_stand_for_the_rest(db: Database, queue: str) -> None:
    """The first 500 are looked up. Claims that have ended are not running, though they are still there."""
    db.execute(SEND, [4000])
    claim(db, queue, *range(1, 4001))
    assert desired(db, most=1000) == 500
    db.execute(b'delete from pgmq."q_re-size" where msg_id % 2 = 0')
    assert desired(db, most=1000) == 250
    db.execute(b'delete from pgmq."q_re-size" where msg_id < 4000')
    assert desired(db) == 1, "of those that were looked up none runs, and the others may"


def test_counts_end_at_ten_thousand(db: Database, queue: str) -> None:
    db.execute(SEND, [12_000])
    assert desired(db, slots=1, wait_s=1, most=1_000_000) == 10_000


def test_bounds_hold(db: Database, queue: str) -> None:
    db.execute(SEND, [1000])
    assert desired(db, slots=1, most=7) == 7
    assert desired(db, slots=1000, least=3) == 3
    assert desired(db, most=0) == 0


@pytest.mark.parametrize(("vt", "wanted"), [("59 seconds", 1), ("70 seconds", 0), ("-1 second", 1)])
def test_what_falls_due_within_a_minute_is_awaited(db: Database, queue: str, vt: str, wanted: int) -> None:
    put(db, queue, f"clock_timestamp() + interval '{vt}'")
    assert desired(db) == wanted


@pytest.mark.parametrize(("rank", "wanted"), [("59 seconds", 1), ("70 seconds", 0), ("-1 hour", 1)])
def test_a_message_that_waits_for_its_group_may_need_the_only_worker(
    db: Database, queue: str, rank: str, wanted: int
) -> None:
    """Under a rate limit nothing runs and nothing is ready, and the next start is still to be made."""
    park(db, queue, rank=f"clock_timestamp() + interval '{rank}'")
    assert desired(db) == wanted


def test_many_that_wait_for_groups_count_as_due(db: Database, queue: str) -> None:
    db.execute(
        b"insert into postmill.gates (queue_name, group_key, rank, msg_id) "
        b"select 're-size', 'acme', now() + interval '1 day', n from generate_series(1001, 1999) as n"
    )
    assert desired(db) == 0
    park(db, queue, rank="now() + interval '1 day'")
    assert desired(db) == 1


def test_what_waits_for_other_messages_wants_nobody(db: Database, queue: str) -> None:
    block(db, queue, ("re-size", 99))
    assert desired(db) == 0
    assert value(db, f'select vt = {PARKED} from pgmq."q_re-size"')


def test_a_paused_queue_wants_what_runs_and_one_for_the_rest(db: Database, queue: str) -> None:
    db.execute(SEND, [500])
    db.execute(b"select postmill.pause('re-size')")
    assert desired(db) == 1
    claim(db, queue, *range(1, 33))
    assert desired(db) == 4


def test_where_many_deleted_rows_wait_for_a_vacuum_zero_is_not_said(db: Database, queue: str) -> None:
    """A sample may have missed a message, and to walk over a hundred thousand dead entries takes too long."""
    db.execute(b'alter table pgmq."q_re-size" set (autovacuum_enabled = false)')
    db.execute(SEND, [100_000])
    db.execute(b'delete from pgmq."q_re-size"')
    db.execute(b"select pg_stat_force_next_flush()")
    assert value(db, "select pg_stat_get_dead_tuples('pgmq.\"q_re-size\"'::regclass)") >= 100_000
    assert desired(db) == 1
    db.execute(b'vacuum pgmq."q_re-size"')
    db.execute(b"select pg_stat_force_next_flush()")
    assert desired(db) == 0


def test_what_runs_and_waits_is_not_counted_whole_for_it(db: Database, queue: str) -> None:
    """Where a vacuum was overdue every claimed message was looked up, and each that waits for its group."""
    db.execute(b'alter table pgmq."q_re-size" set (autovacuum_enabled = false)')
    db.execute(SEND, [105_000])
    claim(db, queue, *range(1, 5001))
    db.execute(
        b"insert into postmill.gates (queue_name, group_key, rank, msg_id) "
        b"select 're-size', 'acme', now() + interval '1 day', n from generate_series(5001, 6000) as n"
    )
    db.execute(b'delete from pgmq."q_re-size" where msg_id > 5000')
    db.execute(b"select pg_stat_force_next_flush()")
    assert desired(db, most=1000) == 625
    asked, _ = pages_of(db, "select postmill.desired_workers('re-size', 10)", [])
    whole, _ = pages_of(db, "select postmill._depth('re-size', false)", [])
    assert asked < whole / 4, "500 of 5,000 that run, and a sample of the rest"


@pytest.mark.parametrize(
    "arguments",
    [
        "0",
        "-1",
        "null",
        "10, 0",
        "10, -1",
        "10, 'NaN'",
        "10, '-inf'",
        "10, 10, -1",
        "10, 10, 5, 4",
        "10, 10, null",
    ],
)
def test_refuses_numbers_that_make_no_sense(db: Database, queue: str, arguments: str) -> None:
    with refused("PM003", "no number of workers follows"):
        db.execute(f"select postmill.desired_workers('re-size', {arguments})".encode())


def test_refuses_a_queue_that_is_not_there(db: Database) -> None:
    with refused("PM001", "there is no queue 'nope'"):
        db.execute(b"select postmill.desired_workers('nope', 1)")


@dataclass
class Fleet:
    """Workers of five places whose attempts take one second, on a real queue: a tick is a second. Every five
    ticks the number of workers becomes what the scaler makes of the answers; they are there at the next tick.
    """

    db: Database
    workers: int = 0
    most: int = 40
    sums_up: bool = False
    """The mistake: each worker's probe tells the answer, and the scaler adds them up."""
    seen: list[int] = field(default_factory=list)
    busy: list[bool] = field(default_factory=list)

    def tick(self, number: int, sent: int) -> None:
        """What ran has ended, what came is there, free places are filled, and the scaler looks."""
        self.db.execute(b'delete from pgmq."q_re-size" where vt > clock_timestamp()')
        self.db.execute(b"delete from postmill.claims")
        if sent:
            self.db.execute(SEND, [sent])
        ids = 'select msg_id from pgmq."q_re-size" order by msg_id limit $1'
        claim(self.db, "re-size", *column(self.db, ids, self.workers * 5))
        self.busy.append(bool(value(self.db, 'select exists (select from pgmq."q_re-size")')))
        if number % 5 == 0:
            answer = desired(self.db, 5, most=self.most)
            asked = max(1, self.workers) if self.sums_up else 1
            self.workers = min(self.most, answer * asked)
        self.seen.append(self.workers)

    def run(self, *sent: int) -> None:
        """A tick for each number of messages that come."""
        self.db.execute(TOOK, [50, 50_000])
        for number, each in enumerate(sent):
            self.tick(number, each)


BURST = [600, *[0] * 39]


def test_a_burst_is_worked_off_and_the_fleet_goes_home_and_comes_back(db: Database, queue: str) -> None:
    """600 seconds of work, ten seconds of patience and five places each are 12 workers. Those are full, which
    asks for a few more.
    """
    fleet = Fleet(db)
    fleet.run(*[0] * 5, *BURST, *BURST)
    assert fleet.seen[4] == 0
    for begin in (5, 45):
        seen = fleet.seen[begin : begin + 40]
        assert 12 <= max(seen) <= 20, "neither pinned at the most nor too few"
        assert 0 in seen, "scaled to zero"
    assert not fleet.busy[-1]
    assert fleet.seen[-1] == 0


def test_no_fleet_is_sent_home_while_it_works(db: Database, queue: str) -> None:
    """Eight a second for two workers with five places each: whenever the scaler looks, nothing is ready."""
    fleet = Fleet(db)
    fleet.run(8, *[0] * 4, *[8] * 60)
    assert value(db, 'select count(*) from pgmq."q_re-size" where vt <= clock_timestamp()') == 0
    settled = fleet.seen[15:]
    assert set(settled) == {2}


def test_a_steady_flood_ends_with_the_workers_that_it_takes(db: Database, queue: str) -> None:
    """Thirty a second take six workers that are full all the time, and eight at four fifths."""
    fleet = Fleet(db)
    fleet.run(*[30] * 80)
    assert set(fleet.seen[40:]) == {8}


def test_whoever_adds_up_what_each_worker_says_is_pinned_at_the_most(db: Database, queue: str) -> None:
    """The mistake that the documentation warns of: the scene shows it."""
    fleet = Fleet(db, sums_up=True)
    fleet.run(8, *[0] * 4, *[8] * 60)
    assert fleet.seen[-1] == fleet.most

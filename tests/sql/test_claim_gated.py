from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from tests.sql.asking import Database, column, row, rows, value

if TYPE_CHECKING:
    from collections.abc import Callable

WORKER = UUID(int=7)
LONG_AGO = "2000-01-01 00:00+00"
CALL = (
    "select * from postmill.claim_gated('re-size', $1, '30 seconds', $2, $3, $4, $5, $6::timestamptz, $7, $8,"
    " left_out => $9::bigint[], unread => $10, front => $11)"
)
SEND = (
    "select postmill.send_batch('re-size', array_fill('1'::jsonb, array[cardinality($1::text[])]),"
    " group_keys => $1)"
)
HELD = "select msg_id from postmill.gates where claim_id is not null order by msg_id"
RUNNING = "select running from postmill.limits where group_key = 'a'"
WAITING = "select msg_id from postmill.gates where claim_id is null order by msg_id"


def claim_gated(
    db: Database,
    wanted: int = 100,
    *,
    after: str = "",
    max_bytes: int = 1_000_000,
    known: bool = True,
    since: str = LONG_AGO,
    oldest: int = 0,
    unseen: int = 0,
    left_out: tuple[int, ...] = (),
    unread: bool = False,
    front: bool = False,
) -> dict[str, Any]:
    """One claim; its ids in order."""
    bounds = (after, since, oldest, unseen)
    claimed = row(db, CALL, wanted, WORKER, max_bytes, known, *bounds, list(left_out), unread, front)
    return {**claimed, "msg_ids": sorted(claimed["msg_ids"] or ())}


def send(db: Database, *keys: str | None) -> list[int]:
    """One message for each key."""
    return column(db, SEND, list(keys))


def end(db: Database, *ids: int) -> None:
    """What a settlement does to messages, as far as groups are concerned."""
    db.execute(b'delete from pgmq."q_re-size" where msg_id = any ($1)', [list(ids)])
    db.execute(b"delete from postmill.gates where msg_id = any ($1)", [list(ids)])


@pytest.mark.parametrize("wanted", [1, 2, 3, 4, 5, 7])
def test_groups_take_turns_however_few_messages_a_worker_wants(db: Database, queue: str, wanted: int) -> None:
    """A worker that ran one message at a time began each claim with the same group: others waited until that
    one, which had sent first, had no message left.
    """
    group_of = dict(enumerate(["a"] * 12 + ["b", "c", "d"] * 4, 1))
    send(db, *group_of.values())
    after, turns = "", Counter[str]()
    while turns.total() < 12:
        claimed = claim_gated(db, wanted, after=after)
        after = claimed["last_key"]
        turns.update(group_of[each] for each in claimed["msg_ids"])
    assert turns.keys() == set("abcd")
    assert max(turns.values()) - min(turns.values()) <= max(1, wanted // 2)


def test_messages_of_groups_are_parked_and_claimed_from_their_gates(db: Database, queue: str) -> None:
    ids = send(db, "a", "b", "a")
    assert value(db, 'select count(*) from pgmq."q_re-size" where vt = postmill._parked_until()') == 3
    claimed = claim_gated(db)
    assert claimed["msg_ids"] == ids
    assert claimed["failures"] is None
    assert rows(db, "select queue_name, worker_id, msg_ids, read_cts from postmill.claims") == [
        {"queue_name": "re-size", "worker_id": WORKER, "msg_ids": [1, 2, 3], "read_cts": [1, 1, 1]}
    ]
    assert claim_gated(db)["claim_id"] is None


def test_a_place_is_written_down_where_something_counts_it(db: Database, queue: str) -> None:
    """What runs without one has a place as soon as a group of the queue has a limit, and counts."""
    send(db, "a", "a", "b")
    assert claim_gated(db, 2)["msg_ids"] == [1, 3]
    assert column(db, HELD) == []
    db.execute(b"select postmill.limit_groups('re-size', max_running => 2, group_key => 'a')")
    send(db, "a")
    assert claim_gated(db)["msg_ids"] == [2]
    assert column(db, HELD) == [1, 2, 3]


def test_a_claim_that_was_under_way_when_a_limit_came_counts(
    db: Database, queue: str, connect: Callable[[], Database]
) -> None:
    send(db, "a", "a", "a", "a")
    assert claim_gated(db, 1)["msg_ids"] == [1]
    with connect() as early:
        early.execute(b"begin")
        assert claim_gated(early, 1)["msg_ids"] == [2]
        db.execute(b"select postmill.limit_groups('re-size', max_running => 3)")
        assert claim_gated(db)["msg_ids"] == []
        early.execute(b"commit")
    assert column(db, RUNNING) == [None]
    assert claim_gated(db)["msg_ids"] == [3]
    assert column(db, RUNNING) == [3]


def test_a_message_that_ends_while_it_is_given_a_place_leaves_none_for_long(
    db: Database, queue: str, connect: Callable[[], Database]
) -> None:
    send(db, "a", "a")
    claim_gated(db, 1)
    db.execute(b"select postmill.limit_groups('re-size', max_running => 1)")
    with connect() as settling:
        settling.execute(b"begin")
        settling.execute(b'delete from pgmq."q_re-size" where msg_id = 1')
        settling.execute(b"delete from postmill.gates where msg_id = 1")
        settling.execute(b"delete from postmill.claims")
        assert claim_gated(db)["msg_ids"] == []
        settling.execute(b"commit")
    assert row(db, "select freed from postmill.sweep_gates('re-size')") == {"freed": 1}
    assert claim_gated(db)["msg_ids"] == [2]


def test_a_group_runs_as_many_as_its_limit_allows(db: Database, queue: str) -> None:
    send(db, "a", "a", "a", "b")
    db.execute(b"select postmill.limit_groups('re-size', max_running => 2)")
    db.execute(b"select postmill.limit_groups('re-size', max_running => 1, group_key => 'b')")
    assert claim_gated(db)["msg_ids"] == [1, 2, 4]
    full = claim_gated(db)
    assert (full["msg_ids"], full["is_full"], full["complete"]) == ([], True, True)
    end(db, 1)
    assert claim_gated(db)["msg_ids"] == [3]


def test_a_queue_runs_as_many_as_its_limit_allows(db: Database, queue: str) -> None:
    """Messages with and without a group count alike."""
    db.execute(b"select postmill.limit_queue('re-size', max_running => 2)")
    send(db, None, "a", "a", None)
    first = claim_gated(db, 1)["msg_ids"]
    second = claim_gated(db)["msg_ids"]
    assert len(first + second) == 2
    assert claim_gated(db)["is_full"]
    end(db, *first)
    assert len(claim_gated(db)["msg_ids"]) == 1


def test_claims_go_round_the_groups(db: Database, queue: str) -> None:
    """A group with many messages has as many of a claim as one with few."""
    send(db, *["noisy"] * 20, "quiet", "quiet")
    claimed = claim_gated(db, 4)
    assert claimed["msg_ids"] == [1, 2, 21, 22]
    assert claim_gated(db, 1, after="noisy", unseen=claimed["seen"])["msg_ids"] == [3]
    send(db, "quiet")
    assert claim_gated(db, 1, after="noisy", unseen=claimed["seen"])["msg_ids"] == [23]


def test_more_groups_than_one_claim_looks_at_come_one_after_the_other(db: Database, queue: str) -> None:
    send(db, *(f"g{n:03}" for n in range(60)))
    seen: list[int] = []
    key, unseen = "", 0
    while len(seen) < 60:
        claimed = claim_gated(db, 5, after=key, unseen=unseen)
        assert claimed["msg_ids"]
        seen += claimed["msg_ids"]
        key, unseen = claimed["last_key"], claimed["seen"]
    assert sorted(seen) == list(range(1, 61))


def test_a_claim_of_many_messages_goes_to_few_groups(db: Database, queue: str) -> None:
    """Each look at a group costs as much as a message. Of a group that runs one at a time it takes one."""
    send(db, *(f"g{n % 500:03}" for n in range(2000)))
    claimed = claim_gated(db, 1000)
    assert len(claimed["msg_ids"]) == 1000
    assert len({(number - 1) % 500 for number in claimed["msg_ids"]}) < 300
    end(db, *claimed["msg_ids"])
    db.execute(b"select postmill.limit_groups($1, 1)", [queue])
    one_each = claim_gated(db, 1000, after=claimed["last_key"], unseen=claimed["seen"])
    assert len({(number - 1) % 500 for number in one_each["msg_ids"]}) == len(one_each["msg_ids"]) == 250


def test_a_claim_that_has_enough_ends_no_round(db: Database, queue: str) -> None:
    """The next round would have looked at no group, and what waits was passed by for a minute."""
    send(db, "a", "b")
    first = claim_gated(db, 1)
    assert (first["last_key"], first["wrapped"], first["rank_behind"]) == ("a", False, None)
    assert first["rank_ahead"] is not None
    second = claim_gated(db, 1, after="b")
    assert (second["msg_ids"], second["wrapped"]) == ([2], True)


def test_a_round_that_finds_nothing_behind_begins_where_it_ended(db: Database, queue: str) -> None:
    """It began behind the last group: it was over at once, and what waited was passed by for good. Where a
    claim had no room for more, its round goes on.
    """
    send(db, "b", "b", "b")
    ended = claim_gated(db, 2, after="a")
    assert (ended["msg_ids"], ended["wrapped"], ended["last_key"]) == ([1, 2], False, "b")
    ended = claim_gated(db, 2, after="b")
    assert (ended["msg_ids"], ended["wrapped"], ended["last_key"]) == ([3], True, "b")
    assert ended["rank_behind"] is not None


def test_groups_are_looked_at_until_enough_are_found(db: Database, queue: str) -> None:
    """Twenty that are full keep a claim from none of those behind them, and from no message after it."""
    db.execute(b"select postmill.limit_groups($1, 1)", [queue])
    full = [f"a{number:02}" for number in range(20)]
    send(db, *full)
    assert len(claim_gated(db)["msg_ids"]) == len(full)
    send(db, *full, "b", "c")
    found = claim_gated(db, 2)
    assert (len(found["msg_ids"]), found["is_full"], found["last_key"]) == (2, True, "c")


def test_nothing_starts_before_its_time(db: Database, queue: str) -> None:
    db.execute(b"select postmill.send('re-size', '1', delay => '1 hour', group_key => 'a')")
    assert claim_gated(db)["msg_ids"] == []
    assert value(db, "select postmill.retry('re-size', 1)") == "ready"
    assert claim_gated(db)["msg_ids"] == [1]


def test_nothing_is_taken_from_a_paused_queue_or_another_one(db: Database, queue: str) -> None:
    send(db, "a")
    assert claim_gated(db, known=False)["msg_ids"] == []
    db.execute(b"select postmill.pause('re-size')")
    claimed = claim_gated(db)
    assert (claimed["msg_ids"], claimed["complete"]) == ([], False)


def test_the_payloads_of_a_claim_have_a_limit(db: Database, queue: str) -> None:
    send(db, "a", "a", "a")
    claimed = claim_gated(db, max_bytes=1)
    assert (claimed["msg_ids"], claimed["complete"]) == ([1], False)


def test_some_are_left_out_and_the_next_is_named_or_taken_unread(db: Database, queue: str) -> None:
    send(db, "a", "a")
    assert claim_gated(db, front=True)["front_id"] == 1
    assert claim_gated(db, front=True, left_out=(1,))["front_id"] == 2
    claimed = claim_gated(db, unread=True, left_out=(1,))
    assert (claimed["msg_ids"], claimed["messages"], claimed["headers"]) == ([2], ["null"], None)


def test_a_gate_left_behind_takes_no_other_message(db: Database, queue: str) -> None:
    """A message was claimed an hour early when a queue was dropped and made again by another client."""
    send(db, "a", "a")
    db.execute(b"select pgmq.drop_queue('re-size')")
    db.execute(b"select pgmq.create('re-size')")
    db.execute(b"select pgmq.send('re-size', '1', 3600)")
    db.execute(b"select pgmq.send('re-size', '1')")
    assert claim_gated(db)["msg_ids"] == []
    assert value(db, "select count(*) from postmill.gates") == 0


def test_a_message_that_another_client_has_read_is_not_taken(db: Database, queue: str) -> None:
    send(db, "a", "a")
    db.execute(b"select pgmq.set_vt('re-size', 1, 0)")
    assert column(db, "select msg_id from pgmq.read('re-size', 60, 1)") == [1]
    assert claim_gated(db, 1)["msg_ids"] == []
    assert claim_gated(db, 1)["msg_ids"] == [2]


def test_the_message_that_another_client_locks_keeps_no_other_one_waiting(
    db: Database, queue: str, connect: Callable[[], Database]
) -> None:
    send(db, "a", "a")
    with connect() as other:
        other.execute(b'begin; select from pgmq."q_re-size" where msg_id = 1 for update')
        assert claim_gated(db, 1)["msg_ids"] == []
        assert claim_gated(db, 1)["msg_ids"] == [2]
        assert column(db, WAITING) == [1]
        other.execute(b"rollback")


def test_a_message_whose_header_was_changed_waits_in_its_new_group(db: Database, queue: str) -> None:
    send(db, "a")
    db.execute(b'update pgmq."q_re-size" set headers = \'{"postmill-group": "b"}\'')
    assert claim_gated(db)["msg_ids"] == []
    assert row(db, "select group_key from postmill.gates") == {"group_key": "b"}
    db.execute(b"update postmill.gates set rank = now()")
    assert claim_gated(db)["msg_ids"] == [1]


def test_what_a_worker_knows_bounds_what_is_looked_at(db: Database, queue: str) -> None:
    """Gates up to `since` are not looked for, and places of claims below `oldest` are not counted."""
    send(db, "a", "a")
    db.execute(b"select postmill.limit_groups('re-size', max_running => 1)")
    later = str(value(db, "select max(rank) - interval '1 microsecond' from postmill.gates"))
    claimed = claim_gated(db, since=later)
    assert claimed["msg_ids"] == [2]
    assert claim_gated(db, oldest=claimed["claim_id"])["is_full"]
    assert claim_gated(db, oldest=claimed["claim_id"] + 1)["msg_ids"] == [1]


def test_a_new_group_is_found_by_the_ids_of_its_messages(db: Database, queue: str) -> None:
    send(db, "a")
    assert claim_gated(db)["seen"] == 1
    send(db, "b")
    assert claim_gated(db, unseen=2)["msg_ids"] == []
    assert claim_gated(db, unseen=1)["msg_ids"] == [2]


@pytest.mark.parametrize("how", ["partitioned", "unlogged"])
def test_other_kinds_of_queues(db: Database, how: str) -> None:
    if how == "unlogged":
        db.execute(b"select pgmq.create_unlogged('re-size')")
    else:
        db.execute(b"select pgmq.create('re-size')")
        db.execute(b'alter table pgmq."q_re-size" rename to whole')
        db.execute(
            b'create table pgmq."q_re-size" (like pgmq.whole including defaults including identity)'
            b" partition by range (msg_id)"
        )
        for part in range(3):
            db.execute(
                f'create table pgmq."part_{part}" partition of pgmq."q_re-size" '
                f"for values from ({part * 2}) to ({part * 2 + 2})".encode()
            )
    ids = send(db, "a", "b", "a")
    assert claim_gated(db)["msg_ids"] == ids


def test_a_table_without_headers_can_be_limited(db: Database, queue: str) -> None:
    db.execute(b"select postmill.limit_queue('re-size', max_running => 1)")
    ids = send(db, None, None)
    db.execute(b'alter table pgmq."q_re-size" drop column headers')
    call = CALL.replace("front => $11", "front => $11, has_headers => false")
    arguments: tuple[object, ...] = (10, WORKER, 1_000, True, "", LONG_AGO, 0, 0, [], False, False)
    assert row(db, call, *arguments)["msg_ids"] == ids[:1]
    assert row(db, call, *arguments)["is_full"]


def test_a_rate_holds_messages_back_and_says_for_how_long(db: Database, queue: str) -> None:
    """The next start is told, also of another group whose message falls due before that."""
    send(db, "a", "a")
    db.execute(b"select postmill.limit_groups('re-size', starts => 1, per => '1 hour')")
    claimed = claim_gated(db)
    assert claimed["msg_ids"] == [1]
    assert 3500 < claimed["again_in_s"] <= 3600
    db.execute(b"select postmill.send('re-size', '1', delay => '1 minute', group_key => 'b')")
    held_back = claim_gated(db)
    assert held_back["msg_ids"] == []
    assert 50 < held_back["again_in_s"] <= 60


@pytest.mark.parametrize(("starts", "per"), [(1, "1 second"), (1001, "1 microsecond")])
def test_a_group_whose_rate_is_lowered_starts_again(db: Database, queue: str, starts: int, per: str) -> None:
    """It was asked when the start after the next may be: a limit of one start held the group for good."""
    send(db, "a", "a")
    db.execute(b"select postmill.limit_groups('re-size', starts => 2000, per => '1 second')")
    assert claim_gated(db, 1)["msg_ids"] == [1]
    db.execute(b"update postmill.groups set tat = tat - interval '1 minute'")
    db.execute(b"select postmill.limit_groups('re-size', starts => $1, per => $2::interval)", [starts, per])
    assert claim_gated(db)["msg_ids"] == [2]


def test_a_start_is_not_used_up_by_a_message_that_can_not_be_had(
    db: Database, queue: str, connect: Callable[[], Database]
) -> None:
    send(db, "a", "a")
    db.execute(b"select postmill.limit_groups('re-size', starts => 1, per => '1 hour')")
    with connect() as other:
        other.execute(b'begin; select from pgmq."q_re-size" where msg_id = 1 for update')
        assert claim_gated(db, 1)["msg_ids"] == []
        assert claim_gated(db, 1)["msg_ids"] == [2]
        other.execute(b"rollback")

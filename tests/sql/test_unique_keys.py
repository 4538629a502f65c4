"""Unique keys: one message a key, while it is in the queue or for a time, however a message ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.sql.asking import Database, claim, column, fail, refused, row, rows, value

if TYPE_CHECKING:
    from collections.abc import Callable

Q = 'pgmq."q_re-size"'


def send(db: Database, key: str | None = "k", payload: str = "1", options: str = "") -> int:
    """Send with a key; returns the id."""
    more = f", {options}" if options else ""
    sent: int = value(
        db, f"select postmill.send('re-size', $1::jsonb, unique_key => $2::text {more})", payload, key
    )
    return sent


def batch(db: Database, keys: list[str | None], options: str = "") -> list[tuple[int, bool]]:
    """Send a message for each key, whose payload is its place."""
    more = f", {options}" if options else ""
    found = rows(
        db,
        "select * from postmill.send_jobs('re-size', array(select to_jsonb(n) from "
        f"generate_series(1, cardinality($1::text[])) as n), unique_keys => $1 {more})",
        keys,
    )
    return [(each["msg_id"], each["existed"]) for each in found]


def waiting(db: Database) -> list[Any]:
    """The payloads in the queue, by id."""
    return column(db, f"select message from {Q} order by msg_id")


def test_a_key_that_waits_is_sent_once(db: Database, queue: str) -> None:
    first = send(db)
    assert [send(db), send(db, "other")] == [first, value(db, f"select max(msg_id) from {Q}")]
    assert value(db, f"select count(*) from {Q}") == 2


@pytest.mark.parametrize(
    "end",
    [
        "select pgmq.archive('re-size', $1::bigint)",
        "select pgmq.delete('re-size', $1::bigint)",
        "select from pgmq.pop('re-size') where $1 is not null",
        "select postmill.cancel('re-size', $1)",
        "select postmill.purge_queue('re-size') where $1 is not null",
        "select pgmq.purge_queue('re-size') where $1 is not null",
        'delete from pgmq."q_re-size" where msg_id = $1',
    ],
)
def test_whatever_takes_the_message_away_frees_its_key(db: Database, queue: str, end: str) -> None:
    first = send(db)
    db.execute(end.encode(), [first])
    assert send(db) > first
    assert value(db, f"select count(*) from {Q}") == 1


@pytest.mark.parametrize(
    "touch",
    [
        "select pgmq.read('re-size', 30, 1) where $1 is not null",
        "select pgmq.set_vt('re-size', $1, 3600)",
        "select postmill.retry('re-size', $1)",
    ],
)
def test_a_message_that_another_client_reads_or_moves_keeps_its_key(
    db: Database, queue: str, touch: str
) -> None:
    first = send(db)
    db.execute(touch.encode(), [first])
    assert send(db) == first


def test_a_key_is_of_one_queue(db: Database, queue: str, foreign: str) -> None:
    send(db)
    assert value(db, "select postmill.send('theirs', '1', unique_key => 'k')") == 1
    assert value(db, "select count(*) from pgmq.q_theirs") == 1


def test_a_key_is_of_a_table_under_whatever_name_it_is_sent_to(db: Database, foreign: str) -> None:
    """pgmq lower-cases a queue's table, so two names may mean one: the key was taken once under each."""
    sent = "select postmill.send($1, '1', unique_key => 'k')"
    assert [value(db, sent, name) for name in ("theirs", "Theirs", "THEIRS")] == [1, 1, 1]
    assert value(db, "select count(*) from pgmq.q_theirs") == 1


def test_for_a_time_a_key_outlives_its_message_and_then_not_even_a_waiting_one_holds_it(
    db: Database, queue: str
) -> None:
    first = send(db, options="unique_for => '1 hour'")
    db.execute(b"select pgmq.delete('re-size', $1::bigint)", [first])
    assert [send(db, options="unique_for => '1 hour'"), send(db)] == [first, first]
    db.execute(b"set postmill.clock_shift = '61 minutes'")
    second = send(db, options="unique_for => '1 hour'")
    assert second > first
    db.execute(b"set postmill.clock_shift = '122 minutes'")
    assert send(db, options="unique_for => '1 hour'") > second


def test_raise_says_which_message_holds_the_key(db: Database, queue: str) -> None:
    first = send(db, options="on_conflict => 'raise'")
    with refused("PM007", "'k' is taken") as _:
        send(db, options="on_conflict => 'raise'")
    with refused("PM007", "same unique key"):
        batch(db, ["a", "b", "a"], "on_conflict => 'raise'")
    assert column(db, f"select msg_id from {Q}") == [first]


def test_replace_gives_the_waiting_message_its_new_payload_headers_and_time(db: Database, queue: str) -> None:
    first = send(db, payload='"old"', options="delay => '1 hour', priority => 3, headers => '{\"a\": 1}'")
    again = send(
        db, payload='"new"', options="on_conflict => 'replace', priority => 5, headers => '{\"b\": 2}'"
    )
    assert again == first
    assert row(db, f"select message, headers, vt <= clock_timestamp() as due from {Q}") == {
        "message": "new",
        "headers": {"b": 2, "postmill-unique-key": "k", "postmill-priority": 3},
        "due": True,
    }


def test_a_message_is_replaced_in_a_queue_that_has_capitals(db: Database) -> None:
    """Its failures and its place in the group were looked for under two spellings of the name."""
    db.execute(b"select pgmq.create('MyQueue')")
    sends = "select postmill.send('MyQueue', '1', unique_key => $1::text, {}, on_conflict => 'replace')"
    failed = value(db, sends.format("delay => null"), "failed")
    gated = value(db, sends.format("group_key => 'acme', delay => '1 hour'"), "gated")
    claim(db, "myqueue", failed)
    db.execute(b"delete from postmill.claims")
    fail(db, "MyQueue", failed, "it broke")
    assert value(db, sends.format("delay => null"), "failed") == failed
    assert value(db, sends.format("group_key => 'acme'"), "gated") == gated
    assert value(db, "select rank <= clock_timestamp() from postmill.gates")


def test_what_is_replaced_holds_its_key_as_the_new_send_says(db: Database, queue: str) -> None:
    first = send(db, options="unique_for => '1 hour'")
    assert send(db, payload="2", options="on_conflict => 'replace'") == first
    db.execute(b"set postmill.clock_shift = '2 hours'")
    assert send(db) == first


def test_replacing_a_message_that_runs_sends_a_new_one_which_takes_the_key_over(
    db: Database, queue: str
) -> None:
    first = send(db, payload='"old"')
    claim(db, queue, first)
    second = send(db, payload='"new"', options="on_conflict => 'replace'")
    assert (waiting(db), send(db)) == (["old", "new"], second)
    db.execute(b"select pgmq.delete('re-size', $1::bigint)", [first])
    assert send(db) == second


def test_replacing_a_message_that_another_client_reads_loses_neither_payload(
    db: Database, queue: str
) -> None:
    """The other client deletes what it has read: a payload that was put there meanwhile would be gone."""
    send(db, payload='"old"')
    (read,) = column(db, "select msg_id from pgmq.read('re-size', 30, 1)")
    send(db, payload='"new"', options="on_conflict => 'replace'")
    db.execute(b"select pgmq.delete('re-size', $1::bigint)", [read])
    assert waiting(db) == ["new"]


def test_replacing_a_message_that_waits_for_another_attempt_keeps_it_one(db: Database, queue: str) -> None:
    first = send(db, payload='"old"')
    db.execute(b"select pgmq.read('re-size', 30, 1)")
    fail(db, queue, first, "it broke")
    assert send(db, payload='"new"', options="on_conflict => 'replace'") == first
    assert waiting(db) == ["new"]


def test_replacing_after_the_message_is_done_within_the_keys_time_sends(db: Database, queue: str) -> None:
    first = send(db, options="unique_for => '1 hour'")
    db.execute(b"select pgmq.delete('re-size', $1::bigint)", [first])
    second = send(db, payload="2", options="unique_for => '1 hour', on_conflict => 'replace'")
    assert (waiting(db), send(db, options="unique_for => '1 hour'")) == ([2], second)


def test_a_batch_is_as_one_send_after_the_other(db: Database, queue: str) -> None:
    existing = send(db, "b", '"old"')
    (first, nothing, second, third, fourth) = batch(db, ["a", None, "b", "a", "c"])
    assert [each[1] for each in (first, nothing, second, third, fourth)] == [False, False, True, True, False]
    assert (second[0], third[0]) == (existing, first[0])
    assert sorted(map(str, waiting(db))) == ["1", "2", "5", "old"]
    assert len({first[0], nothing[0], second[0], fourth[0]}) == 4


def test_ids_of_a_batch_ascend_whatever_its_keys(db: Database, queue: str) -> None:
    """They followed the keys' order, and messages ran in that order too."""
    send(db, "m")
    found = batch(db, ["z", None, "m", "a", "z", None])
    new = [msg_id for msg_id, existed in found if not existed]
    assert new == sorted(new)
    assert waiting(db) == [1, 1, 2, 4, 6]


def test_in_a_batch_that_replaces_the_last_one_counts(db: Database, queue: str) -> None:
    existing = send(db, "b", '"old"')
    found = batch(db, ["a", "b", "a", "b", "a"], "on_conflict => 'replace'")
    assert [existed for _, existed in found] == [False, True, True, True, True]
    assert len({msg_id for msg_id, _ in found}) == 2
    assert row(db, f"select message from {Q} where msg_id = $1", existing)["message"] == 4
    assert sorted(waiting(db)) == [4, 5]


def test_a_rolled_back_send_leaves_the_key_free(db: Database, queue: str) -> None:
    db.execute(b"begin")
    send(db)
    db.execute(b"rollback")
    db.execute(b"begin; savepoint first")
    send(db)
    db.execute(b"rollback to savepoint first")
    second = send(db, payload="2")
    db.execute(b"commit")
    assert (waiting(db), send(db)) == ([2], second)


def test_a_rolled_back_takeover_leaves_the_key_as_it_was(db: Database, queue: str) -> None:
    first = send(db)
    db.execute(b"begin")
    db.execute(b"select pgmq.delete('re-size', $1::bigint)", [first])
    assert send(db) > first
    db.execute(b"rollback")
    assert send(db) == first


@pytest.mark.parametrize("ended", ["commit", "rollback"])
def test_a_send_waits_for_the_end_of_another_one_with_its_key(
    db: Database, queue: str, connect: Callable[[], Database], ended: str
) -> None:
    """Each looked for the key, neither saw it, and two messages were sent."""
    other = connect()
    other.execute(b"begin")
    first = send(other)
    db.execute(b"set lock_timeout = '50ms'")
    with pytest.raises(psycopg.errors.LockNotAvailable):
        send(db)
    other.execute(ended.encode())
    db.execute(b"reset lock_timeout")
    assert (send(db) == first) == (ended == "commit")
    assert value(db, f"select count(*) from {Q}") == 1


def test_a_key_that_is_surely_held_makes_no_sender_wait(
    db: Database, queue: str, connect: Callable[[], Database]
) -> None:
    """A sender's long transaction made every other sender of that key wait, though each of them skipped."""
    first = send(db)
    other = connect()
    other.execute(b"begin")
    assert send(other) == first
    db.execute(b"set lock_timeout = '50ms'")
    assert send(db) == first


@pytest.mark.parametrize(
    "anew",
    [
        "select pgmq.drop_queue('re-size'), pgmq.create('re-size')",
        'truncate pgmq."q_re-size" restart identity',
        """with gone as (delete from pgmq."q_re-size")
           select setval('pgmq."q_re-size_msg_id_seq"', 1, false)""",
    ],
)
def test_another_clients_message_holds_no_key_though_its_id_and_header_are_those_of_one(
    db: Database, queue: str, anew: str
) -> None:
    first = send(db)
    db.execute(anew.encode())
    forged = value(
        db, """select pgmq.send('re-size', '"forged"', '{"postmill-unique-key": "k"}'::jsonb, 0)"""
    )
    assert forged == first
    sent = send(db, payload='"ours"')
    assert sent != forged
    assert waiting(db) == ["forged", "ours"]


def test_a_forged_header_neither_takes_a_key_nor_frees_it(db: Database, queue: str) -> None:
    db.execute(b"""select pgmq.send('re-size', '1', '{"postmill-unique-key": "k"}'::jsonb, 0)""")
    first = send(db, payload="2")
    forged = value(db, """select pgmq.send('re-size', '3', '{"postmill-unique-key": "k"}'::jsonb, 0)""")
    db.execute(b"select pgmq.delete('re-size', $1::bigint)", [forged])
    assert (first, send(db)) == (2, 2)


@pytest.mark.parametrize("headers", ["[]", "1", '"postmill-unique-key"', '{"postmill-unique-key": {"a": 1}}'])
def test_odd_headers_of_others_are_no_obstacle(db: Database, queue: str, headers: str) -> None:
    first = send(db)
    db.execute(f"update {Q} set headers = $1::jsonb".encode(), [headers])
    assert send(db) > first
    assert send(db, options="on_conflict => 'replace'") > first


def test_our_own_drop_forgets_the_keys(db: Database, queue: str) -> None:
    send(db, options="unique_for => '1 hour'")
    db.execute(b"select postmill.drop_queue('re-size')")
    db.execute(b"select postmill.create_queue('re-size')")
    assert send(db, payload="2") == 1
    assert waiting(db) == [2]


def test_keys_of_every_length_and_alphabet(db: Database, queue: str) -> None:
    keys: list[str | None] = ["x" * 200, "ключ", "💥" * 200, " ", "a\nb", "a'b\"c", "{a,b}", "NULL"]
    assert not any(existed for _, existed in batch(db, keys))
    assert all(existed for _, existed in batch(db, keys))


def keys(db: Database) -> list[str]:
    """The keys that are known, held or not."""
    return column(db, "select unique_key from postmill.unique_keys order by 1")


def prune(db: Database, max_rows: int = 5000) -> int:
    """Prune until nothing is due any more; returns how much of the history is gone."""
    db.execute(b"update postmill.prunings set due_at = '-infinity'")
    gone = 0
    while found := rows(db, "select * from postmill.prune($1)", max_rows):
        gone += sum(each["history"] for each in found)
    return gone


def test_keys_that_nothing_holds_are_pruned(db: Database, queue: str) -> None:
    batch(db, ["done", "waits"])
    batch(db, ["done for a time", "waits for a time", "expired"], "unique_for => '1 hour'")
    db.execute(f"delete from {Q} where message in ('1', '4')".encode())
    db.execute(b"update postmill.unique_keys set expires_at = now() where unique_key = 'expired'")
    prune(db)
    assert keys(db) == ["done for a time", "waits", "waits for a time"]


def test_keys_are_pruned_in_bounded_batches(db: Database, queue: str) -> None:
    batch(db, [f"k{number}" for number in range(1200)])
    db.execute(f"delete from {Q} where msg_id % 12 <> 0".encode())
    assert prune(db, 10) == 1100
    assert len(keys(db)) == 100


def test_a_sweep_that_frees_little_goes_on_a_minute_later(db: Database, queue: str) -> None:
    """It read every key of a long queue again and again, to find a few that could go."""
    batch(db, [f"k{number:03}" for number in range(300)])
    db.execute(f"delete from {Q} where msg_id in (299, 300)".encode())
    assert [prune(db, 10) for _ in range(3)] == [0, 0, 2]
    assert [prune(db, 10) for _ in range(3)] == [0, 0, 0]


def test_the_keys_of_a_queue_that_another_client_has_dropped_are_pruned(db: Database, foreign: str) -> None:
    db.execute(b"select postmill.send('theirs', '1', unique_key => 'k', unique_for => '1 hour')")
    db.execute(b"select pgmq.drop_queue('theirs')")
    prune(db)
    assert keys(db) == []


def test_a_key_that_is_taken_while_it_is_pruned_stays(
    db: Database, queue: str, connect: Callable[[], Database]
) -> None:
    """The sweep saw that the key's message was gone, and deleted the key of the next one."""
    first = send(db)
    db.execute(b"select pgmq.delete('re-size', $1::bigint)", [first])
    other = connect()
    other.execute(b"begin")
    second = send(other)
    assert prune(db) == 0
    other.execute(b"commit")
    assert prune(db) == 0
    assert send(db) == second


def test_a_restored_queue_holds_the_keys_that_it_held(db: Database, queue: str) -> None:
    """A restored table has another oid: its keys looked free, and two messages of one key were alive."""
    first = send(db)
    db.execute(f"create table public.dump as table {Q}".encode())
    before = value(db, f"select '{Q}'::regclass::oid")
    db.execute(b"select pgmq.drop_queue('re-size')")
    db.execute(b"select pgmq.create('re-size')")
    db.execute(f"insert into {Q} overriding system value select * from public.dump".encode())
    db.execute(b"select setval('pgmq.\"q_re-size_msg_id_seq\"', 1)")
    assert value(db, f"select '{Q}'::regclass::oid") != before
    assert send(db) == first
    db.execute(b"select pgmq.delete('re-size', $1::bigint)", [first])
    assert send(db, payload="2") > first


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_a_snapshot_of_before_sends_no_second_one(
    db: Database, queue: str, connect: Callable[[], Database], level: str
) -> None:
    """With one snapshot for all statements, a key that was taken meanwhile can not be seen: an error."""
    other = connect()
    other.execute(f"begin isolation level {level}".encode())
    other.execute(f"select from {Q}".encode())
    send(db)
    with pytest.raises(psycopg.errors.SerializationFailure):
        send(other)
    other.execute(b"rollback")
    assert value(db, f"select count(*) from {Q}") == 1

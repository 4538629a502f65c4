from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.sql.asking import Database, bury, column, refused, row, rows, value

if TYPE_CHECKING:
    from collections.abc import Callable


def test_puts_all_letters_of_the_queue_back_and_writes_it_down(db: Database, queue: str) -> None:
    db.execute(b"select postmill.create_queue('other')")
    first, second = bury(db, queue, 11, '{"n": 1}'), bury(db, queue, 12, '{"n": 2}')
    elsewhere = bury(db, "other", 13)

    assert rows(db, "select * from postmill.replay('re-size')") == [
        {"letter_id": first, "msg_id": 1},
        {"letter_id": second, "msg_id": 2},
    ]

    assert column(db, 'select message from pgmq."q_re-size" order by msg_id') == [{"n": 1}, {"n": 2}]
    assert column(db, "select letter_id from postmill.dead where replayed_at is null") == [elsewhere]
    written = row(
        db,
        "select replayed_as, replayed_by = session_user as by_me from postmill.dead where letter_id = $1",
        first,
    )
    assert written == {"replayed_as": 1, "by_me": True}


def test_only_those_that_are_named_and_only_once(db: Database, queue: str) -> None:
    letters = [bury(db, queue, each) for each in (11, 12, 13)]
    again = "select letter_id from postmill.replay('re-size', letter_ids => $1)"
    assert column(db, again, [letters[1], 999]) == [letters[1]]
    assert column(db, again, letters) == [letters[0], letters[2]]
    assert column(db, again, letters) == []


def test_headers_come_back_with_the_letters_id(db: Database, queue: str) -> None:
    letter = bury(db, queue, 11, headers='{"tenant": "acme"}')
    db.execute(b"select postmill.replay('re-size')")
    headers = value(db, 'select headers from pgmq."q_re-size"')
    assert headers == {"tenant": "acme", "postmill-replayed-from": letter}


def test_a_new_payload_for_one_letter(db: Database, queue: str) -> None:
    letter = bury(db, queue, 11)
    db.execute(b"select postmill.replay('re-size', array[$1::bigint], '{\"fixed\": true}')", [letter])
    assert value(db, 'select message from pgmq."q_re-size"') == {"fixed": True}
    assert value(db, "select message from postmill.dead") == {"n": 1}


def test_refuses_one_payload_for_several_letters(db: Database, queue: str) -> None:
    for arguments in ("message => '1'", "array[1, 2], '1'"):
        with refused("PM003", "exactly one letter"):
            db.execute(f"select postmill.replay('re-size', {arguments})".encode())


def test_two_at_once_share_no_letter(db: Database, queue: str, connect: Callable[[], Database]) -> None:
    letters = [bury(db, queue, each) for each in range(20)]
    with ThreadPoolExecutor(2) as pool:
        parts = pool.map(
            lambda session: column(session, "select letter_id from postmill.replay('re-size')"),
            [connect(), connect()],
        )
        assert sorted(letter for part in parts for letter in part) == letters
    assert value(db, 'select count(*) from pgmq."q_re-size"') == 20


def test_all_or_nothing(db: Database, queue: str) -> None:
    bury(db, queue, 11)
    with db.transaction(force_rollback=True):
        db.execute(b"select postmill.replay('re-size')")
    assert value(db, "select count(*) from postmill.dead where replayed_at is null") == 1
    assert value(db, 'select count(*) from pgmq."q_re-size"') == 0


def test_refuses_a_queue_that_is_not_there(db: Database) -> None:
    with refused("PM001", "there is no queue 'nope'"):
        db.execute(b"select postmill.replay('nope')")


@pytest.mark.parametrize("how", ["select msg_id from postmill.replay($1)", "select postmill.retry($1, 1)"])
def test_the_key_that_a_letter_still_holds_for_a_time_passes_to_its_replay(
    db: Database, queue: str, how: str
) -> None:
    """`unique_for` outlives the message, and its own letter is no other message."""
    letter = die(db, queue, send(db, unique_for="1 hour"))

    assert value(db, how, queue) in (2, "replayed")

    assert value(db, "select replayed_as from postmill.dead where letter_id = $1", letter) == 2
    assert send(db) == 2  # the key is held by the new message
    db.execute(b"set postmill.clock_shift = '59 minutes'")
    assert send(db) == 2
    db.execute(b"set postmill.clock_shift = '61 minutes'")  # and no longer than it was
    assert send(db) == 5


def test_a_letter_whose_key_another_message_holds_for_a_time_stays(db: Database, queue: str) -> None:
    """The key was taken over, or its time has passed and it was sent again."""
    replaced = die(db, queue, send(db, unique_for="1 hour"))
    send(db, unique_for="1 hour", on_conflict="replace")
    assert rows(db, "select * from postmill.replay($1)", queue) == [{"letter_id": replaced, "msg_id": None}]
    db.execute(b"set postmill.clock_shift = '61 minutes'")
    send(db)
    assert rows(db, "select * from postmill.replay($1)", queue) == [{"letter_id": replaced, "msg_id": None}]


def send(db: Database, unique_for: str | None = None, on_conflict: str = "skip") -> int:
    """Send a message with the key k."""
    sent: int = value(
        db,
        "select postmill.send('re-size', '1', unique_key => 'k', unique_for => $1, on_conflict => $2)",
        unique_for,
        on_conflict,
    )
    return sent


def die(db: Database, queue: str, msg_id: int) -> int:
    """Make a message a dead letter, with the time at which it was sent."""
    letter: int = value(
        db,
        f'with gone as (delete from pgmq."q_{queue}" where msg_id = $1 returning *) '
        "insert into postmill.dead_letters "
        "(queue_name, msg_id, read_ct, enqueued_at, message, headers, attempts, kind, reason) "
        "select $2, msg_id, 1, enqueued_at, message, headers, 1, 'error', 'it broke' from gone "
        "returning letter_id",
        msg_id,
        queue,
    )
    return letter

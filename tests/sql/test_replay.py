from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

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

"""An index on a place finds what is done and dead: building it goes on where it was interrupted, and a search
that uses it looks at few messages. Without it the same search is cut.
"""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from postmill.db.reads.search import search
from postmill.db.reads.search_indexes import listed
from postmill.db.tools import search_indexes
from postmill.model.errors import InvalidOption, NotFound, Refused
from postmill.model.search.language import parse
from tests.sql.asking import Database, bury, value

MANY = 30_000
PLACE = "payload.user.id"
PLACES_OF_A_VALUE = [25_007, 7, 3]


@pytest.fixture
def archived(db: Database, queue: str) -> str:
    """Many messages that are done, one that is dead, one that is cancelled and one that waits: three have the
    user 7, the cancelled one too.
    """
    db.execute(
        b'insert into pgmq."a_re-size" (msg_id, vt, enqueued_at, archived_at, message)'
        b" select n, now(), now(), now(), jsonb_build_object('user', jsonb_build_object("
        b"     'id', case when n in (7, 25007) then '7' else 'n' || n end))"
        b" from generate_series(1, $1::integer) as n where n <> 3",
        [MANY],
    )
    bury(db, queue, 3, '{"user": {"id": 7}}', "{}")
    db.execute(b"select setval(pg_get_serial_sequence('pgmq.\"q_re-size\"', 'msg_id'), $1)", [MANY])
    return queue


def states(db: Database, queue: str) -> list[str]:
    return [row["state"] for row in listed(db, queue)]


def found(db: Database, text: str, **options: Any) -> list[int]:
    return [row["msg_id"] for row in search(db, parse(f"queue:re-size {text}"), limit=50, **options).rows]


def test_a_search_finds_the_same_with_and_without_it_and_looks_at_less(db: Database, archived: str) -> None:
    cut = search(db, parse(f"queue:re-size {PLACE}=7"), limit=50, budget_s=0)
    assert (cut.index_on, cut.next_below is None) == (PLACE, False)
    assert found(db, f"{PLACE}=7") == PLACES_OF_A_VALUE
    told: list[str] = []
    rows = search_indexes.create(db, archived, PLACE, told.append)
    assert [(row["place"], row["state"]) for row in rows] == [(PLACE, "built")] * 2
    assert told == ['pgmq."a_re-size"', "postmill.dead_letters"]
    for number in ("7", "8"):  # in the queue, and among the cancelled
        db.execute(b"select postmill.send('re-size', $1)", [f'{{"user": {{"id": {number}}}}}'])
    db.execute(b"select postmill.cancel('re-size', postmill.send('re-size', '{\"user\": {\"id\": 7}}'))")
    whole = search(db, parse(f"queue:re-size {PLACE}=7"), limit=50, budget_s=0)
    assert [row["msg_id"] for row in whole.rows] == [30_003, 30_001, *PLACES_OF_A_VALUE]
    assert (whole.next_below, whole.index_on) == (None, None)  # one window, although the time was up at once
    assert found(db, f"{PLACE}=7 state:dead") == [3]
    assert found(db, f"{PLACE}=7", below=25_007) == [7, 3]


def test_one_that_was_interrupted_is_begun_again(db: Database, archived: str) -> None:
    db.execute(
        b"insert into postmill.search_indexes (queue_name, place) values ('re-size', 'payload.user.id')"
    )
    assert states(db, archived) == ["missing", "missing"]
    name = listed(db, archived)[0]["index_name"].removeprefix("pgmq.")
    with pytest.raises(psycopg.errors.UniqueViolation):
        db.execute(f'create unique index concurrently {name} on pgmq."a_re-size" ((read_ct))'.encode())
    assert states(db, archived) == ["unfinished", "missing"]
    finding = search_indexes.checked(db, None)  # type: ignore[arg-type]
    assert (finding.status, finding.fix.endswith("postmill index create re-size payload.user.id")) == (
        "warn",
        True,
    )
    search_indexes.create(db, archived, PLACE)
    assert states(db, archived) == ["built", "built"]
    assert search_indexes.checked(db, None).status == "pass"  # type: ignore[arg-type]


def test_it_is_built_once_and_dropped_once(db: Database, queue: str) -> None:
    search_indexes.create(db, queue, 'header."x"')
    assert search_indexes.create(db, queue, "header.x")[0]["place"] == "header.x"
    search_indexes.drop(db, queue, "header.x")
    assert listed(db) == []
    assert value(db, "select count(*) from pg_class where relname like 'postmill\\_search\\_%'") == 0
    with pytest.raises(NotFound):
        search_indexes.drop(db, queue, "header.x")


@pytest.mark.parametrize("text", ["user.id", "payload", "payload.", "payload.a=b", "state:dead", ""])
def test_what_is_no_place_is_refused(db: Database, queue: str, text: str) -> None:
    with pytest.raises(InvalidOption):
        search_indexes.create(db, queue, text)
    assert listed(db) == []


def test_a_long_value_is_archived_and_found(db: Database, queue: str) -> None:
    search_indexes.create(db, queue, "payload.text")
    for end in ("a", "b"):
        db.execute(
            b"select pgmq.archive('re-size', postmill.send('re-size', jsonb_build_object('text', $1::text)))",
            ["x" * 9_000 + end],
        )
    assert found(db, f"payload.text={'x' * 9_000}b") == [2]


def test_somebody_else_s_tables_are_left_alone(db: Database, queue: str, stranger: Database) -> None:
    db.execute(
        b"grant usage on schema postmill, pgmq to stranger;"
        b" grant all on all tables in schema postmill, pgmq to stranger;"
        b" grant execute on all functions in schema postmill, pgmq to stranger"
    )
    with pytest.raises(Refused, match=r"postmill\.dead_letters"):
        search_indexes.create(stranger, queue, PLACE)
    assert listed(db) == []

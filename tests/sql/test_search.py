"""Messages are found wherever they are, page by page, also while they move."""

from __future__ import annotations

import random
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from postmill.db.reads import search as reads
from postmill.db.reads.search import Found, search
from postmill.model.errors import InvalidSearch
from postmill.model.search.language import parse
from tests.servers import session
from tests.sql.asking import Database, bury, claim, fail, rows, value
from tests.sql.waiting import gate

if TYPE_CHECKING:
    from collections.abc import Callable

MANY = 4_000


def find(db: Database, text: str, **options: Any) -> Found:
    return search(db, parse(f"queue:re-size {text}"), **{"limit": 50, **options})


def ids(db: Database, text: str, **options: Any) -> list[int]:
    return [each["msg_id"] for each in find(db, text, **options).rows]


@pytest.fixture
def places(db: Database, queue: str) -> None:
    """Messages 1 to 8 in the queue and all places that a message can go to."""
    for number in range(1, 9):
        payload = f'{{"user": {{"id": {number}}}, "a.b": "Straße {number}"}}'
        db.execute(b"select postmill.send($1, $2, headers => $3)", [queue, payload, f'{{"x": "{number}"}}'])
    db.execute(b"select pgmq.archive('re-size', 2)")
    db.execute(b'delete from pgmq."q_re-size" where msg_id in (3, 5)')
    bury(db, queue, 3, '{"user": {"id": 3}}', '{"x": "3"}')
    db.execute(b"select postmill.cancel('re-size', 4)")
    db.execute(b"insert into postmill.results (queue_name, msg_id) values ('re-size', 5)")
    claim(db, queue, 6)
    db.execute(b"update pgmq.\"q_re-size\" set vt = now() + interval '1 h', read_ct = 1 where msg_id = 7")
    fail(db, queue, 7, "it was a Timeout")
    db.execute(b'update pgmq."q_re-size" set vt = postmill._parked_until() where msg_id = 8')
    gate(db, queue, 8)


@pytest.mark.usefixtures("places")
@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", [8, 7, 6, 5, 4, 3, 2, 1]),
        ("state:ready", [1]),
        ("state:completed", [5, 2]),
        ("state:dead", [3]),
        ("state:cancelled", [4]),
        ("state:running", [6]),
        ("state:retrying", [7]),
        ("state:waiting", [8]),
        ("state:scheduled", []),
        ("error:timeout", [7]),
        ("error:timeout state:dead", []),
        ("payload.user.id=3", [3]),
        ("payload.user.id=2", [2]),
        ("header.x=6", [6]),
        ("header.x=3 state:dead", [3]),
        ('payload."a.b"="Straße 8"', [8]),
        ("STRASSE", []),
        ("straße", [8, 7, 6, 4, 2, 1]),
        ("id:3..5", [5, 4, 3]),
        ("id:9", []),
        ("since:1h id:1", [1]),
        ("before:1h", []),
        ("worker:ffffffff-0", []),
        ('payload.user="\'; drop table x; --"', []),
        ('"%s $1 {} \' \\\\"', []),
    ],
)
def test_what_is_found(db: Database, text: str, found: list[int]) -> None:
    assert ids(db, text) == found
    looked = find(db, text)
    assert looked.next_below is None
    assert not looked.is_cut


@pytest.mark.usefixtures("places")
def test_rows_say_what_a_list_says(db: Database) -> None:
    found = find(db, "").rows
    listed = rows(db, "select * from postmill.messages('re-size')")
    assert found == [{name: each[name] for name in found[0]} for each in listed]


@pytest.mark.usefixtures("places")
def test_by_the_worker_on_which_it_runs(db: Database) -> None:
    worker = str(value(db, "select worker_id from postmill.claims"))
    assert ids(db, f"worker:{worker[:8].upper()}") == [6]
    assert ids(db, f"worker:{worker} state:ready") == []


@pytest.mark.usefixtures("places")
def test_pages_go_on_below_an_id(db: Database) -> None:
    first = find(db, "", limit=3)
    assert ([each["msg_id"] for each in first.rows], first.low, first.high) == ([8, 7, 6], 6, 8)
    second = find(db, "", limit=3, below=first.next_below)
    assert [each["msg_id"] for each in second.rows] == [5, 4, 3]
    assert ids(db, "", limit=3, below=second.next_below) == [2, 1]


def test_without_a_queue_or_with_one_that_is_gone(db: Database) -> None:
    with pytest.raises(InvalidSearch, match="queue:NAME"):
        search(db, parse("state:dead"), limit=5)
    with pytest.raises(Exception, match="there is no queue 'nope'"):
        search(db, parse("queue:nope"), limit=5)


def fill(db: Database, count: int) -> None:
    """One message a second, the last one now; every 1,000th has a mark."""
    db.execute(
        b'insert into pgmq."q_re-size" (vt, enqueued_at, message)'
        b" select now(), now() - ($1 - n) * interval '1 s',"
        b" jsonb_build_object('n', n, 'mark', n % 1000 = 0) from generate_series(1, $1::integer) as n",
        [count],
    )


def test_when_its_time_is_up_it_says_how_far_it_came_and_goes_on_there(db: Database, queue: str) -> None:
    fill(db, 30_000)
    text, found, below, pages = "payload.mark=true", [], None, 0
    while below is not None or pages == 0:
        page = find(db, text, budget_s=0, below=below)
        assert page.back_to is not None
        found += [each["msg_id"] for each in page.rows]
        assert below is None or page.high == below - 1
        below, pages = page.next_below, pages + 1
    assert found == list(range(30_000, 0, -1_000))
    assert pages == 30


def test_what_is_not_let_through_leaves_no_trace(db: Database, queue: str) -> None:
    """How far it came does not depend on it, also when the time is up at once."""
    fill(db, 30_000)
    pages: dict[str, Any] = {"limit": 1, "budget_s": 0, "keep": lambda _: False}
    for below in (None, 29_001, 29_000, 5):
        some, none = (find(db, text, below=below, **pages) for text in ("payload.mark=true", "payload.n=x"))
        assert replace(some, index_on=None) == replace(none, index_on=None)


def test_those_that_are_let_through_fill_the_page(db: Database, queue: str) -> None:
    fill(db, 1_500)
    found: list[int] = []
    below: int | None = None
    while below is not None or not found:
        page = find(db, "", limit=7, below=below, keep=lambda row: row["msg_id"] % 50 == 0)
        found += [row["msg_id"] for row in page.rows]
        below = page.next_below
    assert found == list(range(1_500, 0, -50))


def test_a_statement_that_takes_too_long_is_ended_and_said(db: Database, queue: str) -> None:
    """A lock on the table keeps it waiting; what was not looked at is on the next page."""
    fill(db, 10)
    with session(db.info.dsn) as other, other.transaction():
        other.execute(b'lock table pgmq."q_re-size" in access exclusive mode')
        cut = find(db, "", budget_s=0.2)
    assert (cut.is_cut, cut.rows, cut.next_below) == (True, [], 11)
    assert ids(db, "", below=cut.next_below) == list(range(10, 0, -1))
    assert value(db, "show statement_timeout") == "0"


def test_times_narrow_the_ids_that_are_looked_at(db: Database, queue: str) -> None:
    """Of 20,000 s of messages those of the last ten minutes are among the last 4,200: an hour is for those
    that were sent by a transaction that was open so long. The test itself may take a minute.
    """
    fill(db, 20_000)
    found = find(db, "since:10min", limit=1000)
    assert 540 <= len(found.rows) <= 600
    assert 15_000 < found.low <= 19_400
    early = find(db, "before:5h", limit=5)
    assert early.high < 15_000
    assert [each["msg_id"] for each in early.rows] == list(
        range(early.rows[0]["msg_id"], early.rows[0]["msg_id"] - 5, -1)
    )
    assert 1_990 <= early.rows[0]["msg_id"] <= 2_060


def test_an_error_is_looked_for_among_failures(
    db: Database, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not among the messages: of 20,000 it reads a few pages. It walks through failures in parts."""
    monkeypatch.setattr(reads, "FAILURES", 3)
    fill(db, 20_000)
    for number in (5, 5, 5, 5, 70, 800, 9_000, 19_999):
        fail(db, queue, number, "boom" if number != 70 else "bang")
    assert ids(db, "error:BOOM") == [19_999, 9_000, 800, 5]
    assert ids(db, "error:valueerror", limit=2) == [19_999, 9_000]
    blocks = "select sum(pg_stat_get_xact_blocks_fetched(oid)) from pg_class where relname like '%re-size%'"
    with db.transaction():
        before = value(db, blocks)
        find(db, "error:bang")
        assert value(db, blocks) - before < 50


def move(mover: Database, number: int, how: int) -> None:
    """A message goes somewhere, or is put off."""
    table = 'pgmq."q_re-size"'
    if how == 0:
        mover.execute(b"select pgmq.archive('re-size', $1::bigint)", [number])
    elif how == 1:
        mover.execute(b"select postmill.cancel('re-size', $1)", [number])
    elif how == 2:
        mover.execute(
            f"update {table} set vt = now() + interval '1 h', read_ct = read_ct + 1"
            " where msg_id = $1".encode(),
            [number],
        )
    else:
        mover.execute(
            f"with gone as (delete from {table} where msg_id = $1 returning *)"
            " insert into postmill.dead_letters (queue_name, msg_id, read_ct, enqueued_at, message, attempts,"
            " kind, reason) select 're-size', msg_id, read_ct, enqueued_at, message, 1, 'error', 'x'"
            " from gone".encode(),
            [number],
        )


def walk(db: Database, pages: Callable[[int | None], list[int]]) -> tuple[int, int]:
    """How many of the messages a walk through all pages has lost, and how many came twice, while all of them
    move.
    """
    fill(db, MANY)
    stop = threading.Event()

    def moving() -> None:
        with session(db.info.dsn) as mover:
            chance = random.Random(7)
            while not stop.is_set():
                move(mover, chance.randrange(1, MANY + 1), chance.randrange(4))

    thread = threading.Thread(target=moving)
    thread.start()
    try:
        seen: list[int] = []
        while page := pages(seen[-1] if seen else None):
            seen += page
    finally:
        stop.set()
        thread.join()
    return MANY - len(set(seen)), len(seen) - len(set(seen))


def test_nothing_is_lost_or_shown_twice_while_4000_messages_move(db: Database, queue: str) -> None:
    assert walk(db, lambda below: ids(db, "", below=below)) == (0, 0)


def test_one_statement_a_place_would_lose_some(db: Database, queue: str) -> None:
    """The control: the same walk, place by place, as the pages of four lists put together."""

    def pages(below: int | None) -> list[int]:
        found: list[int] = []
        for state in ("completed", "dead", "cancelled", "ready", "retrying"):
            found += ids(db, f"state:{state}", below=below)
        return sorted(found, reverse=True)[:50]

    assert walk(db, pages) != (0, 0)

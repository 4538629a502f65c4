"""What a search finds and what an operation that is asked for by it is about are the same messages."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postmill.db.reads.search import search
from postmill.db.tools import many
from postmill.model.errors import InvalidSearch
from postmill.model.search.condition import IN_QUEUE, OF_LETTERS
from postmill.model.search.condition import condition as condition_of
from postmill.model.search.filter import STATES, Field, Filter, When
from postmill.model.search.language import place_of, text_of
from tests.properties import FIRST_FAILURE
from tests.sql.asking import Database, bury, claim, fail, value
from tests.sql.waiting import gate

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = datetime.now(UTC)
KINDS = ("cancel", "replay")
STEPS = ("user", "id", "a.b", 'a"b', "back\\slash", "0", "list", "", "two words", "x")
TEXTS = ("7", "true", "x y", "Straße", "null", '{"id": 7}', "%s", "'", "\\", "[1, 7]", "")
PAYLOADS: tuple[Any, ...] = (
    {"user": {"id": 7}},
    {"user": {"id": "7"}, "x": None},
    {"a.b": "x y", 'a"b': {"": True}},
    {"list": [1, 7], "back\\slash": "\\"},
    {"two words": "STRASSE", "x": "Straße %s '"},
    [7, {"id": "true"}],
    "7",
    {"x": ""},
)

FIELD = st.builds(
    Field,
    part=st.sampled_from(("payload", "header")),
    path=st.lists(st.sampled_from(STEPS), min_size=1, max_size=2).map(tuple),
    value=st.sampled_from(TEXTS),
)
WHEN = st.builds(When, at=st.integers(-3, 20).map(lambda hours: NOW - timedelta(hours=hours)))
ID = st.integers(0, 18)
FILTER = st.builds(
    Filter,
    state=st.none() | st.sampled_from(STATES),
    error=st.none() | st.sampled_from(("TIMEOUT", "ValueError: ", "expired", "\n", "%")),
    ids=st.none() | st.tuples(ID, ID),
    since=st.none() | WHEN,
    before=st.none() | WHEN,
    fields=st.just(()) | st.lists(FIELD, max_size=2, unique_by=place_of).map(tuple),
    words=st.just(()) | st.lists(st.sampled_from(TEXTS[:-1]), max_size=2).map(tuple),
)


@pytest.fixture
def places(db: Database, queue: str) -> None:
    """Two messages of each payload, in every state, with and without failures."""
    for number in range(16):
        payload = json.dumps(PAYLOADS[number % 8])
        headers = json.dumps({"x": TEXTS[number % 5], "user": {"id": number % 3}})
        if number % 4 == 3:
            db.execute(b"select nextval(pg_get_serial_sequence('pgmq.\"q_re-size\"', 'msg_id'))")
            bury(db, queue, number + 1, payload, headers)
        else:
            db.execute(b"select postmill.send($1, $2, headers => $3)", [queue, payload, headers])
        if number % 3:
            fail(db, queue, number + 1, "a Timeout" if number % 2 else "late")
    db.execute(b"update postmill.dead_letters set reason = 'it has expired' where msg_id in (4, 8)")
    db.execute(b"update postmill.dead_letters set replayed_at = now() where msg_id = 16")
    for table in (b'pgmq."q_re-size"', b"postmill.dead_letters"):
        db.execute(b"update " + table + b" set enqueued_at = now() - (17 - msg_id) * interval '1 h'")
    claim(db, queue, 6)
    db.execute(
        b"update pgmq.\"q_re-size\" set read_ct = msg_id % 2, vt = now() + interval '1 h'"
        b" where msg_id in (7, 9, 10)"
    )
    db.execute(b'update pgmq."q_re-size" set vt = postmill._parked_until() where msg_id = 13')
    gate(db, queue, 13)
    db.execute(b"select pgmq.archive('re-size', 14)")
    db.execute(b"select postmill.cancel('re-size', 15)")


def found(db: Database, wanted: Filter, kind: str) -> list[int]:
    """By the search, of those that the kind is for."""
    states = ("dead",) if kind in OF_LETTERS else IN_QUEUE
    page = search(db, replace(wanted, queue="re-size"), limit=100)
    return sorted(row["msg_id"] for row in page.rows if row["state"] in states)


def about(db: Database, condition: dict[str, Any], kind: str) -> list[int]:
    """By the operation's filter."""
    if kind in OF_LETTERS:
        asked = (
            b"select array(select msg_id from postmill.dead_letters where letter_id = any (m.ids)"
            b" order by msg_id) as ids from postmill._matching('re-size', true, $1::jsonb, 0, 1000, 500) as m"
        )
    else:
        asked = b"select ids from postmill._matching('re-size', false, $1::jsonb, 0, 1000, 500)"
    row = db.execute(asked, [json.dumps(condition)]).fetchone()
    assert row is not None
    ids: list[int] = row["ids"]
    return ids


def agree(db: Database, wanted: Filter, change: Callable[[dict[str, Any]], None] = lambda _: None) -> bool:
    """Whether both select the same for each kind that can be about it."""
    for kind in KINDS:
        try:
            condition = condition_of(wanted, kind, "re-size")
        except InvalidSearch:
            assert wanted.state is not None
            assert found(db, wanted, kind) == []
            continue
        many.plan(db, kind, "re-size", condition)  # which refuses what is no filter
        change(condition)
        ids = found(db, wanted, kind)
        if about(db, condition, kind) != ids:
            return False
    return True


@pytest.mark.usefixtures("places")
@settings(FIRST_FAILURE, max_examples=300)
@given(wanted=FILTER)
def test_both_select_the_same_messages(db: Database, wanted: Filter) -> None:
    assert agree(db, wanted), text_of(wanted)


@pytest.mark.usefixtures("places")
@pytest.mark.parametrize(
    ("wanted", "wrong"),
    [
        (Filter(fields=(Field("payload", ("user", "id"), "7"),)), {"fields": {"payload.user": "7"}}),
        (Filter(words=("x y",)), {"words": ["STRASSE"]}),
        (Filter(error="expired"), {"error": "Timeout"}),
        (Filter(since=When(at=NOW - timedelta(hours=5))), {"sent_since": NOW.isoformat()}),
    ],
)
def test_another_filter_would_be_seen(db: Database, wanted: Filter, wrong: dict[str, Any]) -> None:
    """The control: each key of the filter decides."""
    assert agree(db, wanted)
    assert not agree(db, wanted, lambda condition: condition.update(wrong))


@pytest.mark.usefixtures("places")
def test_the_times_of_a_search_are_the_servers(db: Database) -> None:
    """It is asked for by its text, and counted by the moments that it had then."""
    condition = many.matching(db, "cancel", "re-size", "since:510min")
    moment = datetime.fromisoformat(condition["sent_since"])
    assert abs(moment - value(db, "select now() - interval '510 min'")) < timedelta(minutes=1)
    assert many.plan(db, "cancel", "re-size", condition)["matching"] == 4

"""The search language: what each text means, what is refused, and that a filter's text means the filter."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmill.model.errors import InvalidSearch
from postmill.model.search.filter import STATES, Field, Filter, When
from postmill.model.search.language import LONGEST_AGO_S, parse, place_of, text_of


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("", Filter()),
        ("state:running", Filter(state="running")),
        ("QUEUE:mail  error:Timeout", Filter(queue="mail", error="Timeout")),
        (
            "since:90min before:2026-01-31T14:00Z",
            Filter(since=When(ago_s=5400), before=When(at=datetime(2026, 1, 31, 14, tzinfo=UTC))),
        ),
        ("before:2026-01-31T14:00+02:00", Filter(before=When(at=datetime(2026, 1, 31, 12, tzinfo=UTC)))),
        ("since:999999999w", Filter(since=When(ago_s=LONGEST_AGO_S))),
        ("since:3m", Filter(since=When(ago_s=180))),
        ("id:42", Filter(ids=(42, 42))),
        ("id:40..50", Filter(ids=(40, 50))),
        ("payload.user.id=7", Filter(fields=(Field("payload", ("user", "id"), "7"),))),
        ('payload."a.b".c="x y"', Filter(fields=(Field("payload", ("a.b", "c"), "x y"),))),
        ("payload.url=http://x?a=b", Filter(fields=(Field("payload", ("url",), "http://x?a=b"),))),
        ("header.x= word", Filter(fields=(Field("header", ("x",), ""),), words=("word",))),
        ('word "two words" "a:b=c"', Filter(words=("word", "two words", "a:b=c"))),
        (r'"say \"hi\" \\"', Filter(words=(r'say "hi" \ '.strip(),))),
        ("worker:0198c", Filter(worker="0198c")),
    ],
)
def test_what_a_text_means(text: str, means: Filter) -> None:
    assert parse(text) == means
    assert parse(text_of(means)) == means


@pytest.mark.parametrize(
    ("text", "at", "says"),
    [
        ("mail stat:dead", 5, "Did you mean state?"),
        ("state:deed", 0, "Did you mean dead?"),
        ("id:x", 0, "id:42"),
        ("id:50..40", 0, "id:40..50"),
        ("a since:yesterday", 2, "how long ago"),
        ("state:dead state:ready", 11, "twice"),
        ('payload.x=1 payload."x"=2', 12, "payload.x is given twice"),
        ("since:0001-01-01T00:00+14:00", 0, "is no time"),
        ("id:1 id:2", 5, "twice"),
        ('payload.x="open', 0, "no second one"),
        ('a "b', 2, "no second one"),
        ('a "b"c"', 2, "no second one"),
        ("a payloda.x=7", 2, "Did you mean payload?"),
        ("payload=7", 0, "There is no field 'payload'"),
        ("error:", 0, "Nothing is given"),
        ('""', 0, "Nothing is given"),
    ],
)
def test_what_means_nothing_is_refused_where_it_stands(text: str, at: int, says: str) -> None:
    with pytest.raises(InvalidSearch) as refusal:
        parse(text)
    assert refusal.value.at == at
    assert f"character {at + 1}" in str(refusal.value)
    assert says in str(refusal.value)


SOME = st.text(min_size=1, max_size=8)
WHEN = st.one_of(
    st.builds(When, ago_s=st.integers(0, 99_999_999)),
    st.builds(When, at=st.datetimes(timezones=st.just(UTC))),
)
IDS = st.tuples(st.integers(0, 10**18 - 1), st.integers(0, 10**18 - 1)).map(lambda ids: (min(ids), max(ids)))
FIELD = st.builds(
    Field,
    part=st.sampled_from(("payload", "header")),
    path=st.lists(st.text(max_size=5), min_size=1, max_size=3).map(tuple),
    value=st.text(max_size=8),
)
FILTER = st.builds(
    Filter,
    queue=st.none() | SOME,
    state=st.none() | st.sampled_from(STATES),
    error=st.none() | SOME,
    worker=st.none() | SOME,
    ids=st.none() | IDS,
    since=st.none() | WHEN,
    before=st.none() | WHEN,
    fields=st.lists(FIELD, max_size=3, unique_by=place_of).map(tuple),
    words=st.lists(SOME, max_size=3).map(tuple),
)


@given(FILTER)
def test_the_text_of_a_filter_means_the_filter(wanted: Filter) -> None:
    assert parse(text_of(wanted)) == wanted


@given(st.text(max_size=40))
def test_any_text_means_something_or_is_refused_and_its_own_text_means_the_same(text: str) -> None:
    try:
        wanted = parse(text)
    except InvalidSearch as refusal:
        place = refusal.at
    else:
        place = 0
        assert parse(text_of(wanted)) == wanted
    assert 0 <= place <= len(text)

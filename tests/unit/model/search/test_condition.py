"""A search as the filter of an operation; that both select the same is asked of a database elsewhere."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from postmill.model.errors import InvalidSearch
from postmill.model.search.condition import condition, fixed
from postmill.model.search.language import parse, text_of

NOON = datetime(2030, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "kind", "means"),
    [
        ("", "cancel", {}),
        ("queue:MAIL state:ready", "retry", {"state": ["ready"]}),
        ("state:dead error:Timeout", "replay", {"state": ["dead"], "error": "Timeout"}),
        ("id:7", "discard", {"msg_ids": [7, 7]}),
        ("id:40..50", "move", {"msg_ids": [40, 50]}),
        ("since:1h", "cancel", {"sent_since": "2030-01-31T11:00:00+00:00"}),
        ("before:2030-01-30", "cancel", {"sent_until": "2030-01-30T00:00:00+00:00"}),
        ('payload."a.b".c=7 header.x=""', "cancel", {"fields": {'payload."a.b".c': "7", "header.x": ""}}),
        ('one "two words"', "cancel", {"words": ["one", "two words"]}),
    ],
)
def test_what_a_search_means_to_an_operation(text: str, kind: str, means: dict[str, Any]) -> None:
    assert condition(fixed(parse(text), NOON), kind, "mail") == means


@pytest.mark.parametrize(
    ("text", "kind", "term"),
    [
        ("queue:other error:x", "cancel", "queue:other"),
        ("error:x worker:0198c", "retry", "worker:0198c"),
        ("state:ready", "replay", "state:ready"),
        ("state:dead", "cancel", "state:dead"),
        ("state:completed", "move", "state:completed"),
        ("state:cancelled", "discard", "state:cancelled"),
    ],
)
def test_what_an_operation_can_not_carry_out_is_named(text: str, kind: str, term: str) -> None:
    with pytest.raises(InvalidSearch, match=f"can't be about {term}"):
        condition(parse(text), kind, "mail")


def test_a_fixed_search_goes_on_to_mean_the_same() -> None:
    plain = fixed(parse("since:1h before:5min word"), NOON)
    assert text_of(plain) == 'since:"2030-01-31T11:00:00Z" before:"2030-01-31T11:55:00Z" word'
    assert fixed(parse(text_of(plain)), datetime(2031, 1, 1, tzinfo=UTC)) == plain

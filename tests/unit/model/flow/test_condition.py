"""Conditions: how they are built, what they are as JSON, and when they hold."""

from __future__ import annotations

from enum import Enum
from typing import Any

import pytest

from postmill.model.errors import InvalidFlow
from postmill.model.flow.condition import MISSING, contains, equals, evaluate, follow, has, in_words, sources


class Colour(Enum):
    RED = "red"


VALUES = {"fetch": {"lang": "en", "ok": True, "size": 1, "none": None, "tags": ["a", {"b": 1, "c": 2}]}}


def is_true(path: str, value: object) -> bool:
    return evaluate(equals("fetch", path.split("."), value).json, VALUES)


@pytest.mark.parametrize(
    ("path", "value", "holds"),
    [
        ("lang", "en", True),
        ("lang", "de", False),
        ("ok", True, True),
        ("ok", 1, False),  # JSON tells true from 1
        ("size", 1.0, True),
        ("size", True, False),
        ("none", None, True),
        ("nowhere", None, False),
        ("tags.0", "a", True),
        ("tags.7", "a", False),
        ("lang.deeper", "en", False),
    ],
)
def test_equality_is_of_json(path: str, value: object, holds: bool) -> None:
    assert is_true(path, value) is holds


def test_what_a_skipped_step_gave_equals_nothing_and_its_negation_holds() -> None:
    condition = equals("skipped", (), None)
    assert not evaluate(condition.json, VALUES)
    assert evaluate((~condition).json, VALUES)


def test_conditions_are_joined_and_negated() -> None:
    english, red = equals("fetch", ("lang",), "en"), equals("paint", (), Colour.RED)
    assert (english & ~red).json == {
        "all": [
            {"of": "fetch", "path": ["lang"], "equals": "en"},
            {"not": {"of": "paint", "path": [], "equals": "red"}},
        ]
    }
    assert evaluate((english | red).json, VALUES)
    assert not evaluate((english & red).json, VALUES)
    assert sources((english | ~red).json) == {"fetch", "paint"}


@pytest.mark.parametrize(
    "wrong", [lambda c: not c, lambda c: c and c, lambda c: c or c, lambda c: 1 if c else 2]
)
def test_a_condition_has_no_truth_value(wrong: Any) -> None:
    with pytest.raises(InvalidFlow, match=r"neither true nor false.*not_\(\.\.\.\)"):
        wrong(equals("fetch", (), 1))


def test_lists_and_objects_are_not_compared_and_scalars_are_no_pattern() -> None:
    for value in ([1], {"a": 1}, (1,)):
        with pytest.raises(InvalidFlow, match=r"fetch\.has\("):
            equals("fetch", (), value)
    with pytest.raises(InvalidFlow, match="by =="):
        has("fetch", (), "en")


@pytest.mark.parametrize(
    ("value", "pattern", "holds"),
    [
        (VALUES["fetch"], {"lang": "en"}, True),
        (VALUES["fetch"], {}, True),
        (VALUES["fetch"], {"lang": "en", "no": 1}, False),
        (VALUES["fetch"], {"tags": [{"b": 1}]}, True),
        (VALUES["fetch"], {"tags": [{"b": True}]}, False),
        (VALUES["fetch"], [], False),
        ([1, [2, 3]], [[3]], True),
        ([1, 2], [2, 2, 1], True),
        ([1, 2], [3], False),
    ],
)
def test_a_pattern_is_contained(value: Any, pattern: Any, holds: bool) -> None:
    assert contains(value, pattern) is holds


def test_a_path_leads_through_objects_and_lists() -> None:
    assert follow(VALUES, ("fetch", "tags", "1", "b")) == 1
    assert follow(VALUES, ("fetch", "tags", "-1")) is MISSING
    assert follow(MISSING, ()) is MISSING


def test_a_condition_is_told_in_words() -> None:
    joined = equals("fetch", ("lang",), "en") & ~has("pages", (), [1])
    assert in_words(joined.json) == 'fetch.lang == "en" and not (pages has [1])'

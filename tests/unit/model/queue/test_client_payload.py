"""What becomes JSON, and what is refused before it reaches the database."""

from __future__ import annotations

import json
import math
import time
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from uuid import UUID

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmill.model.errors import InvalidPayload, PayloadTooLarge
from postmill.model.queue.payload import MAX_MESSAGE_BYTES, result_to_json, to_json

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("ab\\u0", max_size=6), inner, max_size=4)
    ),
    max_leaves=20,
)


@dataclass
class Plain:
    url: str
    weight: float | None = None


class Fast(msgspec.Struct):
    url: str
    weight: float | None = None


class Model(pydantic.BaseModel):
    url: str
    weight: float | None = None


class Colour(Enum):
    RED = "red"


class Odd(Enum):
    NUMBER = math.nan


@given(JSON)
def test_every_json_value_survives_on_one_line(value: object) -> None:
    text = to_json(value)
    assert json.loads(text) == value
    assert b"\n" not in text


@pytest.mark.parametrize("kind", [Plain, Fast, Model])
def test_objects_become_json_objects_also_inside_others(kind: type) -> None:
    thing = kind(url="a")
    assert json.loads(to_json({"things": [thing]})) == {"things": [{"url": "a", "weight": None}]}
    assert json.loads(to_json(thing)) == {"url": "a", "weight": None}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (datetime(2030, 1, 2, 3, tzinfo=UTC), "2030-01-02T03:00:00+00:00"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Decimal("1.10"), "1.10"),
        (Colour.RED, "red"),
        (b"ab", "YWI="),
        ({3}, [3]),
        ((1, 2), [1, 2]),
    ],
)
def test_python_values_have_one_written_form(value: object, expected: object) -> None:
    assert json.loads(to_json([value])) == [expected]


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda number: number,
        lambda number: {"a": [None, (1.0, number)]},
        lambda number: Plain("a", number),
        lambda number: [Fast("a", number)],
        lambda number: {"m": Model(url="a", weight=number)},
    ],
)
def test_numbers_that_json_lacks_are_refused_and_not_turned_into_null(number: float, wrap: object) -> None:
    with pytest.raises(InvalidPayload, match="NaN or infinity"):
        to_json(wrap(number))  # type: ignore[operator]


def test_nor_are_those_of_a_class_of_attrs() -> None:
    """They were sent as null."""
    attrs = pytest.importorskip("attrs")
    weighed = attrs.make_class("Weighed", ["weight"])
    with pytest.raises(InvalidPayload, match="NaN or infinity") as raised:
        to_json({"x": weighed(math.nan)})
    assert "['x'].weight" in raised.value.why


@pytest.mark.parametrize("value", ["a\0b", {"a\0": 1}, ["\\\0"], msgspec.Raw(b'"\\u0000"')])
def test_nul_is_refused(value: object) -> None:
    with pytest.raises(InvalidPayload, match="NUL"):
        to_json(value)


def test_a_backslash_before_u0000_is_no_nul() -> None:
    assert json.loads(to_json("\\u0000")) == "\\u0000"


@pytest.mark.parametrize("value", [object(), {1: 2}, 2**64, "\ud800", print])
def test_what_json_can_not_say_is_refused_with_the_reason(value: object) -> None:
    with pytest.raises(InvalidPayload) as caught:
        to_json({"a": value})
    assert caught.value.why


def test_a_circle_is_refused() -> None:
    circle: list[object] = []
    circle.append(circle)
    with pytest.raises(InvalidPayload):
        to_json(circle)


def test_the_limit_is_exact() -> None:
    assert len(to_json("x" * (MAX_MESSAGE_BYTES - 2))) == MAX_MESSAGE_BYTES
    with pytest.raises(PayloadTooLarge, match="67,108,865"):
        to_json("x" * (MAX_MESSAGE_BYTES - 1))


def test_json_text_passes_unchanged_but_on_one_line() -> None:
    assert to_json(msgspec.Raw(b'{"long": 1.50e300,\r\n "a": 12345678901234567890123}')).split() == [
        b'{"long":', b"1.50e300,", b'"a":', b"12345678901234567890123}",
    ]  # fmt: skip


@pytest.mark.parametrize("text", [b"1e400", b'{"a": [-1E+309]}', b"9" * 309 + b".5"])
def test_a_number_that_no_float_holds_is_refused(text: bytes) -> None:
    """The database took it as 400 digits, and every worker buried the message."""
    with pytest.raises(InvalidPayload, match="too large for a float"):
        to_json(msgspec.Raw(text))
    with pytest.raises(InvalidPayload, match="too large for a float"):
        to_json({"inside": msgspec.Raw(text)})


@pytest.mark.parametrize("text", [b"", b"{", b"{'a': 1}", b"NaN", b'"\xff"', b"1 2"])
def test_text_that_is_not_json_is_refused(text: bytes) -> None:
    with pytest.raises(InvalidPayload, match="not JSON"):
        to_json(msgspec.Raw(text))


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"user": {"tags": ["a", 1j]}}, """at ["user"]["tags"][1]"""),
        ([Plain("a"), Plain(object())], "at [1].url"),  # type: ignore[arg-type]
        ({"a": {1: 2}}, """at ["a"][1] (a key of type int)"""),
        ({"n": [0, 2**64]}, """at ["n"][1]"""),
        ({"s": ["\ud800"]}, """at ["s"][0]"""),
        ({"x": [1.0, {"y": math.nan}]}, """at ["x"][1]["y"]"""),
        ({"x": deque([math.inf])}, """the type deque, at ["x"]"""),
        ({"x": Odd.NUMBER}, """at ["x"].value"""),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_json_does_not_know_is_named_by_its_place(value: object, place: str) -> None:
    with pytest.raises(InvalidPayload) as raised:
        to_json(value)
    assert place.replace('"', "'") in raised.value.why


def test_a_payload_that_contains_itself_is_refused_and_ends() -> None:
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(InvalidPayload):
        to_json({"a": loop})


@pytest.mark.parametrize("value", [2**64, math.nan, [math.inf], {"a": object()}, "a\0", {1, 2}])
def test_a_result_that_can_not_be_kept_exactly_is_refused(value: object) -> None:
    """NaN was kept as null."""
    with pytest.raises(InvalidPayload):
        result_to_json(value)


def test_a_result_may_have_keys_that_are_numbers() -> None:
    assert result_to_json({3: None}) == '{"3":null}'


@given(st.lists(st.text('"\\[{1\n', max_size=8), max_size=5))
def test_what_stands_in_a_text_is_neither_depth_nor_a_number(parts: list[str]) -> None:
    """However it is written: the pattern that leaves texts out takes what is no escape in one piece."""
    value = {part * 40: [part, "[" * 201, "1" * 310, part] for part in parts}
    assert json.loads(to_json(value)) == value


def test_a_large_text_of_digits_is_checked_in_one_piece() -> None:
    """Character by character it held the event loop for 5 s, and the worker lost its leases."""
    value = "1234567" * (MAX_MESSAGE_BYTES // 16)
    began = time.process_time()
    to_json(value)
    assert time.process_time() - began < 1.0, "it was 2.3 s, and is 0.13 s"

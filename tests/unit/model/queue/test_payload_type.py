"""What a schema says to a person: fields, an example that decodes, and where a payload does not fit."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, make_dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Annotated, Any, Literal, NamedTuple, TypedDict
from uuid import UUID

import msgspec
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import (
    AwareDatetime,
    BaseModel,
    FutureDate,
    FutureDatetime,
    NaiveDatetime,
    PastDate,
    PastDatetime,
    create_model,
)

from postmill.handlers.invokers import decoder
from postmill.handlers.payload_schema import MOST_BYTES, schema_of
from postmill.model.errors import InvalidPayload
from postmill.model.queue.pattern_example import text_for
from postmill.model.queue.payload_example import example
from postmill.model.queue.payload_type import Field, fault, fields, kind_of
from tests.properties import FIRST_FAILURE


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Level(IntEnum):
    LOW = 3


class Size(msgspec.Struct):
    width: int
    unit: Literal["px", "cm"]


class Image(msgspec.Struct, forbid_unknown_fields=True):
    key: str
    sizes: list[Size]
    colour: Colour
    at: Annotated[datetime, msgspec.Meta(tz=True)]
    owner: UUID | None
    quality: float = 0.8
    weights: list[float] = []
    copies: Annotated[int, msgspec.Meta(ge=1)] = 1
    note: Annotated[str, msgspec.Meta(max_length=3)] = ""
    extra: dict[str, int] = {}
    pair: tuple[int, str] = (1, "a")


@dataclass
class Mail:
    to: str
    tags: list[str] = field(default_factory=list)
    copies: int = 1


class Order(BaseModel):
    number: int
    lines: list[dict[str, int]]
    note: str | None = None


class Node(msgspec.Struct):
    name: str
    below: list[Node]


class Cat(msgspec.Struct, tag="cat"):
    lives: int


class Dog(msgspec.Struct, tag="dog"):
    name: str


class Pet(msgspec.Struct):
    price: Decimal
    count: Annotated[int, msgspec.Meta(gt=0)]
    kind: Cat | Dog | None = None
    size: Size | None = None


TYPES = (Image, Mail, Order, Node, Pet, dict, list[int], int, dict[str, int], Size | None, list[Size])
GOOD: dict[str, Any] = {
    "key": "a",
    "sizes": [{"width": 1, "unit": "px"}],
    "colour": "red",
    "at": "2030-01-31T14:00:00Z",
    "owner": None,
}


def made(payload_type: Any) -> dict[str, Any]:
    schema = schema_of(payload_type)
    assert schema is not None
    return schema


@pytest.mark.parametrize("payload_type", TYPES, ids=str)
def test_an_example_is_what_the_worker_decodes(payload_type: Any) -> None:
    payload = example(made(payload_type))
    decoder(payload_type)(json.dumps(payload))
    assert fault(made(payload_type), payload) is None


PLAIN = (
    datetime,
    Annotated[datetime, msgspec.Meta(tz=True)],
    Annotated[datetime, msgspec.Meta(tz=False)],
    date,
    time,
    Annotated[time, msgspec.Meta(tz=False)],
    timedelta,
    UUID,
    Decimal,
    bytes,
    Annotated[bytes, msgspec.Meta(min_length=5)],
    Colour,
    Level,
    Literal["a", 1, None],
    bool,
    str,
    Annotated[str, msgspec.Meta(min_length=3, max_length=4)],
    Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{3}-\d+$")],
    Annotated[str, msgspec.Meta(pattern="^https?://", min_length=9)],
    int,
    Annotated[int, msgspec.Meta(le=-5)],
    Annotated[int, msgspec.Meta(gt=3, multiple_of=7)],
    float,
    Annotated[float, msgspec.Meta(gt=0, lt=1)],
    dict,
    list,
    Any,
)
"""What types consist of."""


def holding(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Types that hold such types, each in its own way."""
    a_list = inner.map(lambda kind: Annotated[list[kind], msgspec.Meta(min_length=2)])  # type: ignore[valid-type]
    an_object = inner.map(lambda kind: Annotated[dict[str, kind], msgspec.Meta(min_length=1)])  # type: ignore[valid-type]
    pair = st.tuples(inner, inner)
    return st.one_of(
        a_list,
        an_object,
        inner.map(lambda kind: kind | None),
        inner.map(lambda kind: tuple[kind, ...]),  # type: ignore[valid-type]
        pair.map(lambda kinds: tuple[kinds]),  # type: ignore[valid-type]
        pair.map(lambda kinds: msgspec.defstruct("One", [("a", kinds[0]), ("b", kinds[1], None)])),
        pair.map(lambda kinds: msgspec.defstruct("Row", zip("ab", kinds, strict=True), array_like=True)),
        pair.map(lambda kinds: NamedTuple("Both", [("a", kinds[0]), ("b", kinds[1])])),
        pair.map(lambda kinds: TypedDict("Loose", {"a": kinds[0], "b": kinds[1]})),  # type: ignore[operator]
        pair.map(lambda kinds: make_dataclass("Record", zip("ab", kinds, strict=True))),
        inner.map(lambda kind: msgspec.defstruct("Tagged", [("a", kind)], tag=True) | Cat | None),
    )


OF_PYDANTIC = (
    NaiveDatetime,
    AwareDatetime,
    PastDatetime,
    FutureDatetime,
    PastDate,
    FutureDate,
    Annotated[datetime, pydantic.Field(lt=datetime(1980, 1, 1, tzinfo=UTC))],
    Annotated[date, pydantic.Field(gt=date(3200, 1, 1))],
    Annotated[time, pydantic.Field(le=time(7))],
    Annotated[timedelta, pydantic.Field(gt=timedelta(days=900))],
    Annotated[str, pydantic.Field(pattern=r"^\+?[1-9]\d{1,14}$", min_length=8)],
    pydantic.UUID7,
    pydantic.FileUrl,
    pydantic.PostgresDsn,
    pydantic.IPvAnyNetwork,
)
"""What models consist of that only pydantic knows."""
MODELS = st.lists(st.sampled_from(PLAIN + OF_PYDANTIC), min_size=1, max_size=4).map(
    lambda kinds: create_model("Model", **{f"field{n}": (kind, ...) for n, kind in enumerate(kinds)})  # type: ignore[call-overload]
)


@settings(FIRST_FAILURE, max_examples=100)
@given(payload_type=st.recursive(st.sampled_from(PLAIN), holding, max_leaves=5) | MODELS)
def test_an_example_of_any_type_passes_the_check_and_is_decoded(payload_type: Any) -> None:
    """That of a plain datetime was an empty text, and that of a list of at least two was empty; those of a
    pattern and of pydantic's own kinds of moments were refused.
    """
    schema = schema_of(payload_type)
    if schema is not None:
        payload = example(schema)
        assert fault(schema, payload) is None
        decoder(payload_type)(json.dumps(payload))


@pytest.mark.parametrize(
    ("pattern", "least", "made"),
    [
        (r"^(?:a|b)(c|d){2,}$", 7, "acccccc"),
        (r"^[^a-z]{2}[]a]\.$", 0, "AAa."),
        (r"^\b(?P<x>a+?)z?$", 2, "aa"),
        ("^(?=x)x$", 0, None),  # what is not read
        (r"^\p{L}+$", 0, None),
        (r"^(\d{3})-\1$", 0, None),
        ("abc", 5, "abcaa"),
        ("abc$", 5, None),
        ("(", 0, None),
        ("*", 0, None),
        ("(" * 5000, 0, None),
        ("^a{999999999}$", 0, None),
        (r"^((\d{150}){150}){150}$", 0, None),
    ],
)
def test_a_text_that_fits_a_pattern_or_none(pattern: str, least: int, made: str | None) -> None:
    assert text_for(pattern, least) == made


def test_a_pattern_that_is_not_read_has_an_empty_example_and_is_told_in_words() -> None:
    schema = made(Annotated[str, msgspec.Meta(pattern="^(?=x)x$")])
    assert (example(schema), kind_of(schema, schema)) == ("", "a text that fits ^(?=x)x$")


def test_fields_are_told_in_words_those_required_first() -> None:
    assert fields(made(Image)) == [
        Field("key", "a text", required=True),
        Field("sizes", "a list", required=True),
        Field("colour", "one of 'blue', 'red'", required=True),
        Field("at", "a text, date-time", required=True),
        Field("owner", "a text, uuid or null", required=True),
        Field("quality", "a number", required=False),
        Field("weights", "a list, each a number", required=False),
        Field("copies", "a whole number", required=False),
        Field("note", "a text", required=False),
        Field("extra", "an object", required=False),
        Field("pair", "a list", required=False),
    ]
    assert [each.name for each in fields(made(Order))] == ["number", "lines", "note"]
    assert fields(made(list[int])) == fields({}) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"key": 7}, "The field key is 7, and has to be a text."),
        ({"key": None}, "The field key is null, and has to be a text."),
        ({"quality": True}, "The field quality is true, and has to be a number."),
        ({"colour": "green"}, "The field colour is 'green', and has to be one of 'blue', 'red'."),
        ({"owner": 7}, "The field owner is 7, and has to be a text, uuid or null."),
        (
            {"sizes": [{"width": "1", "unit": "px"}]},
            "The field sizes[0].width is '1', and has to be a whole number.",
        ),
        ({"sizes": [{"width": 1}]}, "The field sizes[0].unit is missing."),
        ({"sizes": {}}, "The field sizes is an object, and has to be a list."),
        ({"kye": 1}, "The field kye is not known. Did you mean key?"),
        ({"weights": [1.5, "x"]}, "The field weights[1] is 'x', and has to be a number."),
        ({"copies": 0}, "The field copies is 0, and has to be at least 1."),
        ({"copies": 1.0}, "The field copies is 1.0, and has to be a whole number."),
        ({"note": "long"}, "The field note is 'long', and has to be a text of at most 3 characters."),
        ({"extra": {"x": "1"}}, "The field extra.x is '1', and has to be a whole number."),
        ({"pair": [1, 2]}, "The field pair[1] is 2, and has to be a text."),
    ],
)
def test_a_payload_that_does_not_fit_is_told_where(change: dict[str, Any], told: str) -> None:
    wrong = GOOD | change
    assert fault(made(Image), wrong) == told
    with pytest.raises(InvalidPayload):
        decoder(Image)(json.dumps(wrong))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            {"size": {"width": "1", "unit": "px"}},
            "The field size.width is '1', and has to be a whole number.",
        ),
        ({"size": [1]}, "The field size is a list, and has to be an object or null."),
        (
            {"kind": {"type": "cow"}},
            "The field kind is an object, and none of the 2 that it may be. The field kind.lives is missing.",
        ),
    ],
)
def test_inside_of_a_choice_it_is_told_what_is_wrong(change: dict[str, Any], told: str) -> None:
    """Of a wrong field in ``Size | None`` it said "is an object, and has to be an object or null"."""
    wrong = {"price": "1", "count": 1} | change
    assert fault(made(Pet), wrong) == told
    with pytest.raises(InvalidPayload):
        decoder(Pet)(json.dumps(wrong))


def test_a_misspelt_field_is_named() -> None:
    assert fault(made(Mail), {"two": "ada", "tag": []}) == "The field to is missing. Is two meant for it?"
    assert fault(made(Mail), []) == "The payload is a list, and has to be an object."
    assert fault(made(Image), GOOD) is None


def test_what_is_not_known_of_a_schema_fits() -> None:
    assert fault({"type": ["integer", "null"], "multipleOf": 7}, 8) is None
    assert fault({"$ref": "#/nowhere"}, 8) is None
    assert fault({"$ref": "#"}, 8) is None
    deep: Any = {"name": "a", "below": []}
    for _ in range(200):
        deep = {"name": "a", "below": [deep]}
    assert fault(made(Node), deep) is None


@pytest.mark.parametrize("payload_type", [Any, object, None, type("Odd", (), {})])
def test_what_has_no_schema_is_left_out(payload_type: Any) -> None:
    assert schema_of(payload_type) is None


def test_a_long_schema_is_left_out() -> None:
    long = msgspec.defstruct("Long", [(f"{'x' * 100}{n}", int) for n in range(MOST_BYTES // 100)])
    assert schema_of(long) is None

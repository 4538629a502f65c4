"""From JSON to what an annotation asks for; whatever does not fit is an ``InvalidPayload``."""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypedDict

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmill.handlers.invokers import decoder
from postmill.model.errors import InvalidHandler, InvalidPayload
from postmill.model.queue.message import Claim, Message
from postmill.model.queue.payload import to_json

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass
class Page:
    url: str

    def __post_init__(self) -> None:
        if not self.url:
            raise ValueError("a page has an address")


class Visit(msgspec.Struct, forbid_unknown_fields=True):
    url: str


class Order(pydantic.BaseModel):
    url: str


@dataclass
class Basket:
    orders: list[Order]
    inner: Basket | None = None


class Known(TypedDict):
    url: str


@pytest.mark.parametrize(
    ("annotation", "raw", "payload"),
    [
        (dict, '{"url": "a"}', {"url": "a"}),
        (list, "[1]", [1]),
        (Any, "null", None),
        (object, '"a"', "a"),
        (Page, '{"url": "a"}', Page("a")),
        (Visit, '{"url": "a"}', Visit("a")),
        (Order, '{"url": "a"}', Order(url="a")),
        (list[Order], '[{"url": "a"}]', [Order(url="a")]),
        (Order | None, "null", None),
        (Order | None, '{"url": "a"}', Order(url="a")),
        (Basket, '{"orders": [{"url": "a"}], "inner": {"orders": []}}', Basket([Order(url="a")], Basket([]))),
        (Known, '{"url": "a"}', {"url": "a"}),
        (Page | None, "null", None),
        (list[Page], '[{"url": "a"}]', [Page("a")]),
        (dict[str, int], '{"a": 1}', {"a": 1}),
        (datetime, '"2026-01-02T03:04:05Z"', datetime.fromisoformat("2026-01-02T03:04:05+00:00")),
        (bytes, '"AQI="', b"\x01\x02"),
    ],
    ids=str,
)
def test_what_fits(annotation: Any, raw: str, payload: Any) -> None:
    assert decoder(annotation)(raw) == payload


@pytest.mark.parametrize(
    ("annotation", "raw", "says"),
    [
        (dict, "[]", "expected a JSON object, got list"),
        (list, "{}", "expected a JSON array, got dict"),
        (dict, "null", "expected a JSON object, got NoneType"),
        (Page, '{"url": 3}', "url"),
        (Page, "{}", "url"),
        (Page, '{"url": ""}', "a page has an address"),
        (Visit, '{"url": "a", "more": 1}', "more"),
        (Order, '{"url": 3}', "url"),
        (list[Order], '[{"url": 3}]', "0.url"),
        (dict[str, Order], "NaN", "."),
        (int, '"3"', "int"),
        (Any, "1" + "0" * 400, "."),
        (dict, '{"a": ' + "[" * 5000 + "]" * 5000 + "}", "."),
        (list[Any], "[" * 100_000 + "]" * 100_000, "."),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_does_not_fit_says_why(annotation: Any, raw: str, says: str) -> None:
    with pytest.raises(InvalidPayload, match=says):
        decoder(annotation)(raw)


@given(st.text())
@pytest.mark.parametrize("annotation", [dict, Any, Page, Order, list[int]], ids=str)
def test_text_that_is_no_json_raises_nothing_else(annotation: Any, raw: str) -> None:
    with suppress(InvalidPayload):
        decoder(annotation)(raw)


def test_a_type_that_nothing_can_decode_is_refused_when_the_worker_is_made() -> None:
    with pytest.raises(InvalidHandler, match="can't be decoded"):
        decoder(list[int] | list[str])
    with pytest.raises((InvalidHandler, InvalidPayload)):
        decoder(threading.Lock)("{}")


class Loose(pydantic.BaseModel):
    n: Any


class Struct(msgspec.Struct):
    n: Any


def each_reads(raw: str) -> list[Any]:
    """What every way of reading a payload makes of its field n, or the name of the error."""
    claim = Claim(1, datetime.now(UTC), 0.0)
    message = Message("q", 1, 1, 0, 0, raw, raw, 0, 0, claim)
    ways: list[Callable[[], Any]] = [
        lambda: decoder(dict)(raw)["n"],
        lambda: decoder(Any)(raw)["n"],
        lambda: decoder(dict[str, Any])(raw)["n"],
        lambda: decoder(Struct)(raw).n,
        lambda: decoder(Loose)(raw).n,
        lambda: message.payload["n"],
        lambda: message.headers["n"],
    ]
    return [_said(way) for way in ways]


def _said(way: Callable[[], Any]) -> Any:
    try:
        return way()
    except InvalidPayload:
        return "InvalidPayload"


@pytest.mark.parametrize(
    "text",
    [str(2**53 + 1), str(2**64 - 1), str(2**64), str(-(2**63) - 1), str(10**20 + 1), "1" + "0" * 308],
    ids=lambda text: text[:22],
)
def test_every_decoder_reads_an_integer_as_it_is(text: str) -> None:
    """From 2 ** 64 on some of them made a float of it, and the last digits were gone."""
    values = each_reads(f'{{"n": {text}}}')
    assert values == [int(text)] * 7
    assert {type(value) for value in values} == {int}


@pytest.mark.parametrize(
    "text",
    [
        "1e400",
        "-1E400",
        "NaN",
        "Infinity",
        "-Infinity",
        "1" + "0" * 400,
        "1" + "0" * 5000,
        '"\\ud800"',
        "[" * 200 + "]" * 200,
        '{"a":' * 200 + "1" + "}" * 200,
    ],
    ids=lambda text: text[:12],
)
def test_what_one_decoder_refuses_all_refuse_and_nobody_sends(text: str) -> None:
    assert each_reads(f'{{"n": {text}}}') == ["InvalidPayload"] * 7
    with pytest.raises(InvalidPayload):
        to_json(msgspec.Raw(f'{{"n": {text}}}'.encode()))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('1, "n": 2', 2),
        ('"[[[["', "[[[["),
        (f'"{"1" * 400}"', "1" * 400),
        ("[" * 199 + "]" * 199, None),
        ("1e2", 100.0),
        ("0." + "1" * 400, 1 / 9),
    ],
    ids=[
        "the last of equal names",
        "brackets in a string",
        "digits in a string",
        "as deep as can be",
        "a float",
        "a long fraction",
    ],
)
def test_what_one_decoder_reads_all_read_alike(text: str, value: Any) -> None:
    first, *others = each_reads(f'{{"n": {text}}}')
    assert first != "InvalidPayload"
    assert others == [first] * 6
    assert value is None or first == value


def test_brackets_in_strings_and_wide_payloads_are_not_deep() -> None:
    wide = json.dumps({"n": [{"text": '\\"[[[['}] * 500})
    assert each_reads(wide) == [json.loads(wide)["n"]] * 7


@given(st.recursive(st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3), max_leaves=30))
def test_whatever_is_sent_is_read_as_it_was(value: Any) -> None:
    try:
        raw = to_json({"n": value}).decode()
    except InvalidPayload:
        return
    assert each_reads(raw) == [value] * 7


class Invoice(pydantic.BaseModel):
    cents: int = pydantic.Field(gt=0)
    to: list[str]


def test_what_pydantic_refuses_is_one_clause_a_field() -> None:
    """Six lines a field, with a link, stood in every failure."""
    with pytest.raises(InvalidPayload) as caught:
        decoder(Invoice)('{"cents": 0, "to": [1]}')
    assert str(caught.value) == "cents: should be greater than 0; to.0: should be a valid string"


class Amount(pydantic.BaseModel):
    """What a model may want of a number."""

    number: int = 0
    price: Decimal = Decimal(0)
    ratio: float = 0.0
    prices: dict[str, list[Decimal]] = {}
    anything: Any = None


@pytest.mark.parametrize(
    ("raw", "field", "value"),
    [
        ('{"number": 9007199254740993.0}', "number", 2**53 + 1),
        ('{"number": -36893488147419103233.00}', "number", -(2**65) - 1),
        ('{"number": 3.0}', "number", 3),
        ('{"price": 0.1}', "price", Decimal("0.1")),
        ('{"price": 12345678901234.56}', "price", Decimal("12345678901234.56")),
        ('{"price": "0.12345678901234567890"}', "price", Decimal("0.12345678901234567890")),
        ('{"price": 1.5, "ratio": 0.33333333333333333333}', "ratio", 1 / 3),
        ('{"anything": "9007199254740993.0, \\"9007199254740993.0"}', "anything", None),
    ],
)
def test_pydantic_reads_numbers_with_a_point_exactly(raw: str, field: str, value: Any) -> None:
    """It makes a float of them first: an ``int`` was one off, and a Decimal lost its last digits."""
    expected = json.loads(raw)["anything"] if field == "anything" else value
    assert getattr(decoder(Amount)(raw), field) == expected


@pytest.mark.parametrize(
    "raw",
    [
        '{"price": 0.12345678901234567890123}',
        '{"price": 9007199254740993.5}',
        '{"prices": {"a": [1, 0.29999999999999998]}}',
    ],
)
def test_pydantic_rounds_no_decimal_in_silence(raw: str) -> None:
    with pytest.raises(InvalidPayload, match="more digits") as told:
        decoder(Amount)(raw)
    assert told.value.hint == "Send it as a string."

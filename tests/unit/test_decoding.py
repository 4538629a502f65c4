"""From JSON to what an annotation asks for; whatever does not fit is an ``InvalidPayload``."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmill.handlers.decoding import decoder
from postmill.model.errors import InvalidHandler, InvalidPayload


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

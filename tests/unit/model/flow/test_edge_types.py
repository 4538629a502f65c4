"""Whether an edge's two annotations go together: only what is surely wrong is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Literal, NewType, TypedDict

import msgspec
import pytest
from pydantic import BaseModel

from postmill.model.errors import InvalidFlow
from postmill.model.flow.edge_types import at_path, fits, item_type
from postmill.model.flow.partial import Partial


@dataclass
class Page:
    html: str
    links: list[str]
    parent: Page | None = None


class LongPage(Page): ...


class Site(msgspec.Struct, rename="camel"):
    start_url: str
    pages: dict[str, Page]


class Form(BaseModel):
    ok: bool


class Row(TypedDict):
    id: int


class Colour(Enum):
    RED = "red"


Name = NewType("Name", str)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (Page, Page),
        (LongPage, Page),
        (Page, dict),
        (Page, Mapping[str, Any]),
        (dict[str, int], Page),
        (Row, Page),
        (Any, int),
        (int, Any),
        (int, float),
        (bool, bool),
        (Name, str),
        (str, Name),
        (str, datetime),
        (datetime, str),
        (str, Colour),
        (str, Decimal),
        (Literal["a", "b"], str),
        (list[str], Sequence[str]),
        (list[str], list),
        (set[str], list[str]),
        (tuple[str, ...], list[str]),
        (int, int | None),
        (None, int | None),
        (Partial[Page], Partial[Page]),
        (Partial[Page], Any),
    ],
)
def test_goes_together(given: Any, wanted: Any) -> None:
    assert fits(given, wanted)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (Page, str),
        (Page, Site),
        (Page, LongPage),
        (Page, list[str]),
        (str, int),
        (int, str),
        (float, int),
        (int, bool),
        (bool, str),
        (list[str], list[int]),
        (list[Page], list[Site]),
        (list[str], str),
        (int | None, int),
        (Page | None, Page),
        (Partial[Page], Partial[Site]),
        (Literal["a"], int),
    ],
)
def test_does_not_go_together(given: Any, wanted: Any) -> None:
    assert not fits(given, wanted)


@pytest.mark.parametrize(
    ("whole", "path", "found", "written"),
    [
        (Page, ("html",), str, ("html",)),
        (Page, ("links", "0"), str, ("links", "0")),
        (Page, ("parent", "html"), str | None, ("parent", "html")),
        (Site, ("start_url",), str, ("startUrl",)),
        (Site, ("pages", "a", "html"), str, ("pages", "a", "html")),
        (Form, ("ok",), bool, ("ok",)),
        (Row, ("id",), int, ("id",)),
        (dict, ("a", "b"), Any, ("a", "b")),
        (Any, ("a",), Any, ("a",)),
    ],
)
def test_a_path_has_a_type_and_is_written_as_json_has_it(
    whole: Any, path: tuple[str, ...], found: Any, written: tuple[str, ...]
) -> None:
    assert at_path(whole, path) == (found, written)


@pytest.mark.parametrize(
    ("whole", "path"), [(Page, "htlm"), (Site, "startUrl"), (Row, "no"), (str, "a"), (list, "a")]
)
def test_a_field_that_is_not_there_is_told(whole: Any, path: str) -> None:
    with pytest.raises(InvalidFlow, match=f"has no field '{path}'"):
        at_path(whole, (path,))


def test_the_near_name_is_offered() -> None:
    with pytest.raises(InvalidFlow, match="Did you mean html"):
        at_path(Page, ("htlm",))


@pytest.mark.parametrize(
    ("values", "item"),
    [
        (list[str], str),
        (Sequence[int], int),
        (tuple[int, ...], int),
        (tuple[int, str], Any),
        (list, Any),
        (Any, Any),
        (list[str] | None, str),
        (str, None),
        (Page, None),
        (dict[str, int], None),
        (int, None),
    ],
)
def test_the_type_of_a_lists_items(values: Any, item: Any) -> None:
    assert item_type(values) is item

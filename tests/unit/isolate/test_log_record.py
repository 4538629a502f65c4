"""A record of user code becomes one line of JSON, whatever is in it. Odd ones were lost."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
import pytest

from postmill.isolate.log_record import line_of


class Unshowable:
    def __str__(self) -> str:
        raise RuntimeError


def record(text: object = "said", *args: object, **extra: object) -> logging.LogRecord:
    return logging.getLogger("app").makeRecord("app", logging.INFO, "f.py", 1, text, args, None, extra=extra)


def read(made: logging.LogRecord) -> dict[str, Any]:
    line = line_of(made)
    assert line.count(b"\n") == 1
    found: dict[str, Any] = msgspec.json.decode(line)
    return found


DEEP: list[Any] = []
DEEP.append(DEEP)


@pytest.mark.parametrize(
    ("extra", "fields"),
    [
        ({"user": "ann"}, {"user": "ann"}),
        ({"fields": {"a": 1}}, {"a": 1}),
        ({"fields": ["a", "b"]}, {"fields": ["a", "b"]}),
        ({"v": float("nan")}, {"v": "nan"}),
        ({"v": 2**70}, {"v": str(2**70)}),
        ({"v": "\udcff"}, {"v": "\\udcff"}),
        ({"v": {1: {2}}}, {"v": {"1": [2]}}),
        ({"v": Unshowable()}, {"v": "<Unshowable>"}),
        ({"v": None, "w": True}, {"v": None, "w": True}),
    ],
)
def test_fields(extra: dict[str, object], fields: dict[str, object]) -> None:
    assert read(record(**extra))["fields"] == fields


def test_a_list_in_itself_has_an_end() -> None:
    assert "v" in read(record(v=DEEP))["fields"]


@pytest.mark.parametrize(
    ("text", "args", "said"),
    [
        ("%d files", (3,), "3 files"),
        ("%d files", ("many",), "%d files ('many',)"),
        ("two\nlines", (), "two\nlines"),
        ("half \udcff", (), "half \\udcff"),
        (Unshowable(), (), "<Unshowable> ()"),
    ],
)
def test_the_text(text: object, args: tuple[object, ...], said: str) -> None:
    assert read(record(text, *args))["event"] == said

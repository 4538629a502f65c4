"""The defaults of an input type's fields, as a start outside of Python has them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from pydantic import BaseModel, Field

from postmill.model.flow.input_defaults import defaults_of


class Size(msgspec.Struct):
    width: int = 100


@dataclass
class Plain:
    url: str
    tags: list[str] = field(default_factory=list)
    size: Size = field(default_factory=Size)
    mode: str | None = None
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    what: Any = len


class Packed(msgspec.Struct, rename="camel"):
    site_url: str
    max_depth: int = 2


class Checked(BaseModel):
    url: str
    depth: int = 3
    tags: list[str] = Field(default_factory=list)


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (Plain, {"tags": [], "size": {"width": 100}, "mode": None}),
        (Packed, {"maxDepth": 2}),
        (Checked, {"depth": 3, "tags": []}),
        (dict[str, int], {}),
        (int, {}),
    ],
)
def test_what_is_the_same_for_every_run_is_known(annotation: Any, expected: dict[str, Any]) -> None:
    """A default that a function makes would be the same for all runs, and is the program's to make."""
    found = {name: msgspec.json.decode(raw) for name, raw in defaults_of(annotation).items()}
    assert found == expected

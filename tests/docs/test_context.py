"""The page of the context names all that a handler can ask for."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from postmill import Context
from postmill.engine.run.attempt import Stopping, StopReason
from postmill.handlers import Transaction

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "context.md").read_text(encoding="utf-8")


def public(kind: type) -> list[str]:
    return [name for name in vars(kind) if not name.startswith("_")]


@pytest.mark.parametrize("name", public(Context))
def test_every_member_of_the_context_has_its_line(name: str) -> None:
    assert f"| `{name}` |" in PAGE or f"| `{name}(" in PAGE


@pytest.mark.parametrize("name", public(Transaction))
def test_every_method_of_the_transaction_is_named(name: str) -> None:
    assert f"`{name}`" in PAGE


@pytest.mark.parametrize("reason", get_args(StopReason))
def test_every_reason_to_stop_has_its_line(reason: str) -> None:
    assert f"| `{reason}` |" in PAGE


@pytest.mark.parametrize("name", ["is_set", "wait", "wait_in_thread"])
def test_every_way_to_wait_for_a_stop_is_named(name: str) -> None:
    assert hasattr(Stopping, name)
    assert f"stopping.{name}(" in PAGE

"""The question behind a name that is not known."""

from __future__ import annotations

import pytest

from postmill.model.option_rules import did_you_mean
from tests.sql.asking import Database, value

KNOWN = ["checkout", "nightly-report", "report", "shop", "ünïcode"]


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("chekcout", "checkout"),
        ("checkot", "checkout"),
        ("nightly_report", "nightly-report"),
        ("reprot", "report"),
        ("Shop", "shop"),
        ("unïcode", "ünïcode"),
    ],
)
def test_the_nearest_name_is_asked_for(db: Database, name: str, near: str) -> None:
    asked = value(db, "select postmill._did_you_mean($1, $2)", name, KNOWN)
    assert asked == f"Did you mean {near}?"
    if name != "Shop":  # case counts for Python's
        assert asked == did_you_mean(name, KNOWN)


@pytest.mark.parametrize("name", ["", "x", "invoice", "shop", None])
def test_no_name_is_near(db: Database, name: str | None) -> None:
    assert value(db, "select postmill._did_you_mean($1::text, $2)", name, KNOWN) is None
    assert value(db, "select postmill._did_you_mean($1::text, '{}')", name) is None

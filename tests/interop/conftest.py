"""Fixtures for tests beside other pgmq clients and releases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from postmill.db.tools.facades import FACADES, Facade
from postmill.db.tools.migrate import migrate, remove_facades
from tests.empty_database import connect, empty, empty_url

if TYPE_CHECKING:
    from tests.sql.asking import Database

__all__ = ["connect", "empty", "empty_url"]


@pytest.fixture(params=[(), FACADES], ids=["alone", "beside every facade"])
def with_facades(request: pytest.FixtureRequest, db: Database) -> None:
    """The test's database with these facades and no other: none, and all, unless the test names them."""
    wanted: tuple[Facade, ...] = request.param
    migrate(db, wanted=wanted)
    remove_facades(db, [facade for facade in FACADES if facade not in wanted])

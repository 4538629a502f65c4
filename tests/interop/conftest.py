"""Fixtures for tests beside other pgmq clients and releases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from postmill.db.tools.facades import FACADES
from postmill.db.tools.migrate import migrate
from tests.empty_database import connect, empty, empty_url

if TYPE_CHECKING:
    from tests.sql.asking import Database

__all__ = ["connect", "empty", "empty_url"]


@pytest.fixture(params=[False, True], ids=["alone", "beside every facade"])
def with_facades(request: pytest.FixtureRequest, db: Database) -> None:
    """Once as a migration leaves the test's database, and once with all facades that can be asked for."""
    if request.param:
        migrate(db, wanted=[facade for facade in FACADES if not facade.by_itself])

"""What fault tests share: a database in which workers are hurt."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
import pytest_asyncio

from tests.faults.scene import Scene

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest_asyncio.fixture
async def scene(database_url: str) -> AsyncIterator[Scene]:
    """A database of this test's own on the shared server, ready for faults."""
    db = await asyncpg.connect(database_url)
    made = Scene(database_url, db)
    try:
        await made.prepare()
        yield made
    finally:
        await made.close()

"""What fault tests share: a database in which workers are hurt."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import asyncpg
import pytest
import pytest_asyncio

from postmill.sql.catalog import statement
from tests.faults.scene import Scene
from tests.servers import async_session, session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from tests.faults.protocol import Database


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


@pytest_asyncio.fixture
async def other(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A second session."""
    async with async_session(database_url) as connection:
        yield connection


@pytest.fixture
def connect(database_url: str) -> Iterator[Callable[[], Database]]:
    """More sessions, set up as a worker's."""
    with ExitStack() as stack:

        def more() -> Database:
            db = stack.enter_context(session(database_url))
            db.execute(statement("session_pins", "session").encode())
            return db

        yield more

"""The API over the test's database, asked without a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest_asyncio

from postmill.api.application import application
from postmill.api.desk import House
from postmill.api.viewer import Role, Viewer
from postmill.db.tools.sessions import Sessions
from postmill.model.config.address import parse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, MutableMapping

KEYS = {b"Bearer operator": Viewer("ada", Role.OPERATOR), b"Bearer reader": Viewer("rob", Role.READER)}


async def authorize(scope: MutableMapping[str, Any]) -> Viewer | None:
    """By the whole header."""
    return KEYS.get(dict(scope["headers"]).get(b"authorization", b""))


@pytest_asyncio.fixture
async def house(database_url: str) -> AsyncIterator[House]:
    """What the application shares."""
    sessions = Sessions(parse(database_url))
    yield House(sessions)
    await sessions.close()


@pytest_asyncio.fixture
async def api(house: House) -> AsyncIterator[httpx.AsyncClient]:
    """An operator's client."""
    transport = httpx.ASGITransport(application(house, authorize))
    headers = {"authorization": "Bearer operator"}
    async with httpx.AsyncClient(transport=transport, base_url="http://api", headers=headers) as client:
        yield client

"""A server on a port of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
import pytest_asyncio

from postmill.web.limits import ConnectionLimits
from postmill.web.server import WebServer
from tests.web.recording import Recorder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
def limits() -> ConnectionLimits:
    """Times that no test meets, however slow the machine is. Tests parametrize it."""
    return ConnectionLimits(head_bytes=8192, head_s=100, unread_s=100, idle_s=100)


@pytest.fixture
def recorder() -> Recorder:
    """The application."""
    return Recorder()


@pytest_asyncio.fixture
async def port(recorder: Recorder, limits: ConnectionLimits) -> AsyncIterator[int]:
    """Where it is served."""
    server = WebServer("127.0.0.1", 0, limits=limits)
    try:
        yield httpx.URL(await server.start(recorder)).port or 0
    finally:
        await server.stop(0)

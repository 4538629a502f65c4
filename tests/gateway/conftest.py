"""A gateway on a port of its own, over functions that live in the test."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
import pytest_asyncio

from postmill.auth import keys
from postmill.gateway.application import Gateway
from postmill.gateway.platform_errors import rendered
from postmill.gateway.trust import Trust
from postmill.gateway.wrappers import Pace
from postmill.web.limits import ConnectionLimits
from postmill.web.server import WebServer
from tests.gateway import stand_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MOST_BYTES = 100_000
KEYS = keys.make(time.time())
TRUST = Trust(KEYS, "", Path())


@pytest.fixture
def host() -> stand_in.StandInHost:
    """The functions; tests add theirs."""
    return stand_in.StandInHost(hello=stand_in.hello, echo=stand_in.echo, talk=stand_in.websocket_echo)


@pytest.fixture
def limits() -> ConnectionLimits:
    """Bounds that no honest test meets, however slow the machine is. Tests parametrize it."""
    return ConnectionLimits(head_bytes=8192, head_s=100)


@pytest.fixture
def pace() -> Pace:
    """How slowly a body may come; likewise."""
    return Pace(within_s=100)


@pytest_asyncio.fixture
async def url(host: stand_in.StandInHost, limits: ConnectionLimits, pace: Pace) -> AsyncIterator[str]:
    """The address of a running gateway."""
    app = Gateway(host, TRUST, max_body_bytes=MOST_BYTES, pace=pace)
    server = WebServer("127.0.0.1", 0, limits=limits, max_message_bytes=MOST_BYTES, render=rendered)
    try:
        yield await server.start(app)
    finally:
        await server.stop(0.1)


@pytest_asyncio.fixture
async def client(url: str) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client with the project's public key."""
    headers = {"authorization": f"Bearer {KEYS.anon}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=30) as opened:
        yield opened

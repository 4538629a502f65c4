"""A web server of the test's own, and a process part that makes calls to it."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web

from postmill.calls.calling import Calling
from postmill.model.calls.address_guard import AddressGuard
from postmill.model.calls.call_queue import FunctionHost
from postmill.model.config.address import Address

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    import asyncpg

GIVE_UP_S = 60.0
SERVICE_KEY = "the-service-key"
ENDED = "select * from postmill.call_responses where call_id = $1"


@dataclass
class Target:
    """A web server on the loopback address, whose answers the test decides."""

    url: str = ""
    seen: list[web.Request] = field(default_factory=list)
    bodies: list[str] = field(default_factory=list)
    at: Counter[str] = field(default_factory=Counter)
    answers: dict[str, Callable[[web.Request], Awaitable[web.StreamResponse]]] = field(default_factory=dict)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    release: asyncio.Event = field(default_factory=asyncio.Event)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a caller has closed the connection of a request that hung."""
    status: int = 200
    """Of the answer to a request that hung."""
    now: int = 0
    most: int = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(request)
        self.at[request.path] += 1
        self.bodies.append(await request.text())
        self.now += 1
        self.most = max(self.most, self.now)
        self.arrived.set()
        try:
            answer = self.answers.get(request.path)
            return await answer(request) if answer is not None else web.json_response({"ok": True})
        finally:
            self.now -= 1

    async def hang(self, _request: web.Request) -> web.StreamResponse:
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.gone.set()
            raise
        return web.json_response({"late": True}, status=self.status)


def answering(
    status: int, text: str = "", **headers: str
) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_request: web.Request) -> web.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=status, text=text, headers=named)

    return answer


@asynccontextmanager
async def serving() -> AsyncIterator[Target]:
    target = Target()
    application = web.Application(client_max_size=64 * 1024 * 1024)
    application.router.add_route("*", "/{path:.*}", target.handle)
    runner = web.AppRunner(application, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    target.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield target
    finally:
        target.release.set()
        await runner.cleanup()


@asynccontextmanager
async def making_calls(
    database_url: str,
    target: Target | None = None,
    *,
    guard: AddressGuard | None = None,
    secrets: dict[str, str] | None = None,
) -> AsyncIterator[Calling]:
    host = None if target is None else FunctionHost(target.url, SERVICE_KEY)
    calling = Calling(Address(database_url), guard or AddressGuard(is_open=True), host, lambda: secrets or {})
    calling.start()
    try:
        yield calling
    finally:
        await calling.stop()


async def until(ask: Callable[[], Awaitable[Any]]) -> Any:
    """What ``ask`` says once it says something: only the database shows it."""
    async with asyncio.timeout(GIVE_UP_S):
        while not (found := await ask()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return found


async def answered(adb: asyncpg.Connection, call_id: int) -> Any:
    """The response to a call, once there is one."""
    return await until(lambda: adb.fetchrow(ENDED, call_id))

"""Processes and users for tests of scheduled SQL commands."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg

from postmill.db.hot.outage import is_passing
from postmill.db.hot.shared_connection import SharedConnection
from postmill.db.tools import roles
from postmill.model.config.address import Address
from postmill.scheduler.scheduler import Scheduler
from postmill.scheduler.sql_runs import SqlRuns
from postmill.service.events import Events
from postmill.service.outage import Outage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from postmill.model.events import Event

GIVE_UP_S = 60.0
Said = list[tuple["Event", dict[str, object]]]


@asynccontextmanager
async def firing(url: str, *, address: Address | None = None) -> AsyncIterator[Said]:
    """A process that fires schedules and runs commands; yields what it says."""
    said: Said = []
    events = Events()
    events.listeners.append(lambda event, fields: said.append((event, dict(fields))))
    shared, outage = SharedConnection(address or Address(url), "schedules"), Outage(events, is_passing)
    services = (Scheduler(shared, events, outage), SqlRuns(shared, events, outage))
    for service in services:
        service.start()
    try:
        yield said
    finally:
        await asyncio.gather(*(service.stop_within(2) for service in services))
        await shared.close()


async def until(connection: asyncpg.Connection[Any], question: str, *args: object) -> None:
    """Wait until the database says yes."""
    async with asyncio.timeout(GIVE_UP_S):
        while not await connection.fetchval(question, *args):  # noqa: ASYNC110 - only the database shows it
            await asyncio.sleep(0.02)


async def ended(connection: asyncpg.Connection[Any], name: str = "job") -> asyncpg.Record:
    """The first run of a schedule, once it has ended."""
    run = "from postmill.schedule_history where name = $1 and ended_at is not null"
    await until(connection, f"select exists (select {run})", name)
    (found,) = await connection.fetch(f"select * {run} order by tick limit 1", name)
    assert isinstance(found, asyncpg.Record)
    return found


class Users:
    """Logins of one test: roles belong to the whole server, so their names have the database's id."""

    def __init__(self, adb: asyncpg.Connection[Any], url: str, suffix: str) -> None:
        self._adb = adb
        self._url = url
        self._suffix = suffix
        self._made: list[str] = []
        self._open: list[asyncpg.Connection[Any]] = []

    async def login(self, name: str, *grants: str) -> str:
        """A role that can log in; ``{}`` in a grant stands for it. Returns its name."""
        role = f"{name}_{self._suffix}"
        await self._adb.execute(f"create role {role} login")
        self._made.append(role)
        for grant in grants:
            await self._adb.execute(grant.format(role))
        return role

    def url(self, role: str) -> str:
        """The address as which it logs in."""
        return self._url.replace("postgres@", f"{role}@")

    async def connect(self, role: str) -> asyncpg.Connection[Any]:
        """A session of it."""
        self._open.append(await asyncpg.connect(self.url(role)))
        return self._open[-1]

    async def close(self) -> None:
        """Drop them and what they own."""
        for connection in self._open:
            await connection.close()
        for role in self._made:
            await self._adb.execute(f"drop owned by {role} cascade; drop role {role}")


USES_CRON = ("grant usage on schema cron to {}", "grant usage, create on schema postmill_commands to {}")
RUNS_COMMANDS = ("grant postmill_scheduler to {}",)


async def prepare_scheduler(adb: asyncpg.Connection[Any]) -> None:
    """The roles, as `postmill migrate --roles` makes them."""
    await adb.execute(roles.grant_sql())

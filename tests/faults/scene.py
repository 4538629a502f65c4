"""A database in which workers are hurt: messages in, gates that hold statements, the account at the end."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg
import orjson

from postmill.engine.maintain import heartbeat
from postmill.model.events import Event
from tests.faults.account import Account, account, runs
from tests.faults.handlers import TABLES, handler
from tests.service.running import GIVE_UP_S, Running, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pytest

    from postmill.handlers import Worker

_GATE = 7003
_MAKE_GATE = f"""
create or replace function gate() returns trigger language plpgsql {{limits}} as
$$ begin perform pg_advisory_xact_lock_shared({_GATE}); return null; end $$
"""
_THERE = f"""
from pg_locks where locktype = 'advisory' and objid = {_GATE}
 and database = (select oid from pg_database where datname = current_database())
"""
_POLL_S = 0.01


class Scene:
    """One test's database. ``db`` is a connection of the test's own."""

    def __init__(self, url: str, db: asyncpg.Connection) -> None:
        self.url = url
        self.db = db
        self._keeper: asyncpg.Connection | None = None
        self.sent: list[int] = []

    async def prepare(self) -> None:
        """Make the queue and the tables that handlers write to."""
        await self.db.execute("select postmill.create_queue('tasks')")
        await self.db.execute(TABLES)

    async def send(self, count: int = 1, **payload: Any) -> list[int]:
        """Send messages with this payload; each also says its own id."""
        last = await self.db.fetchval("select last_value - (not is_called)::int from pgmq.q_tasks_msg_id_seq")
        bodies = [orjson.dumps({"id": last + n + 1, **payload}).decode() for n in range(count)]
        rows = await self.db.fetch("select * from pgmq.send_batch('tasks', $1::text[]::jsonb[])", bodies)
        ids = [row[0] for row in rows]
        self.sent += ids
        return ids

    async def shut_gate(
        self,
        table: str,
        *,
        at_commit: bool = False,
        event: str = "insert",
        when: str = "true",
        holds: bool = False,
    ) -> None:
        """From now on statements that insert into ``table`` (or update it) wait: at their end, or while they
        commit. ``when``: only those that write such rows. ``holds``: their own limit for locks does not end
        that wait.
        """
        await self.db.execute(_MAKE_GATE.format(limits="set lock_timeout = 0" if holds else ""))
        await self.db.execute(
            f"create constraint trigger gate after {event} on {table}"
            f" deferrable initially {'deferred' if at_commit else 'immediate'}"
            f" for each row when ({when}) execute function gate()"
        )
        self._keeper = await asyncpg.connect(self.url)
        await self._keeper.execute(f"select pg_advisory_lock({_GATE})")

    async def open_gate(self) -> None:
        """Whatever waits goes on and commits, also when its client is gone."""
        if self._keeper is not None:
            await self._keeper.close()
            self._keeper = None
        await self.until(f"select not exists (select {_THERE})")

    @asynccontextmanager
    async def locked(self, table: str) -> AsyncIterator[None]:
        """Nobody writes to ``table`` meanwhile: statements that would wait before they touch anything."""
        other = await asyncpg.connect(self.url)
        try:
            async with other.transaction():
                await other.execute(f"lock table {table} in share mode")
                yield
        finally:
            await other.close()

    async def at_the_gate(self) -> int:
        """Wait for a statement to arrive there; returns its server process."""
        await self.until(f"select exists (select {_THERE} and not granted)")
        pid: int = await self.db.fetchval(f"select pid {_THERE} and not granted")
        return pid

    async def turn_back(self) -> None:
        """End the session whose statement waits at the gate: nothing of it is kept."""
        await self.end_session(await self.at_the_gate())
        await self.open_gate()

    async def end_sessions(self, name: str = "") -> None:
        """End the workers' sessions of that name (claims, settlements, heartbeat, handlers), or all."""
        theirs = (
            "select pid from pg_stat_activity where datname = current_database()"
            " and application_name like 'postmill ' || $1 || '%'"
        )
        await self.until(f"select exists ({theirs})", name)
        for row in await self.db.fetch(theirs, name):
            await self.end_session(row["pid"])

    async def end_session(self, pid: int) -> None:
        """End one session, and wait until it is gone."""
        await self.db.execute("select pg_terminate_backend($1)", pid)
        await self.until("select not exists (select from pg_stat_activity where pid = $1)", pid)

    async def until(self, query: str, *args: object) -> None:
        """Wait until ``query`` says true: for what no signal tells of."""
        async with asyncio.timeout(GIVE_UP_S):
            while not await self.db.fetchval(query, *args):  # noqa: ASYNC110 - a server has no events
                await asyncio.sleep(_POLL_S)

    async def heartbeats(self, workers: int) -> None:
        """Wait until each of so many living workers has given a sign of life from now on."""
        now = await self.db.fetchval("select clock_timestamp()")
        living = "from postmill.workers where stopped_at is null and last_heartbeat_at > $1"
        await self.until(f"select count(*) = $2 {living}", now, workers)

    async def left_for_dead(self, pid: int) -> None:
        """Wait until the server has noticed the end of a worker's process, and let it have noticed that long
        enough ago.
        """
        await self.until(
            "select not exists (select from postmill.workers"
            " where pid = $1 and postmill.lock_is_held(lock_key))",
            pid,
        )
        await self.db.execute(
            "update postmill.workers set lock_free_at = clock_timestamp() - interval '2 s' where pid = $1",
            pid,
        )

    async def silent(self) -> None:
        """Let the workers have been silent for 20 s, on a server that has been there all the time."""
        await self.db.execute(
            "create or replace function postmill._server_since() returns timestamptz language sql"
            " return clock_timestamp() - interval '1 day'"
        )
        for table, column in (("workers", "last_heartbeat_at"), ("claims", "claimed_at")):
            await self.db.execute(f"update postmill.{table} set {column} = {column} - interval '20 s'")
        await self.db.execute("update pgmq.q_tasks set enqueued_at = enqueued_at - interval '30 s'")

    @asynccontextmanager
    async def survivor(
        self, patch: pytest.MonkeyPatch, *workers: Worker, kind: str = "plain"
    ) -> AsyncIterator[Running]:
        """Another worker, which rescues at once. Returns when it has taken in what there is."""
        patch.setattr(heartbeat, "PERIOD_S", 0.1)
        async with running(self.url, *(workers or (handler(kind),))) as run:
            yield run

    async def finish(self, patch: pytest.MonkeyPatch, kind: str = "plain") -> Account:
        """Let another worker finish what is left, and account for everything."""
        left = await self.db.fetchval("select count(*) from pgmq.q_tasks")
        async with self.survivor(patch, kind=kind) as run:
            await run.until(Event.MESSAGE_COMPLETED, Event.MESSAGE_DEAD, count=left)
            await self.until("select not exists (select from postmill.claims)")
        return await self.account()

    async def account(self) -> Account:
        """What has become of every message sent."""
        return await account(self.db, self.sent)

    async def runs(self) -> list[int]:
        """How often each message's handler began, in order of id."""
        found = await runs(self.db)
        return [found.get(msg_id, 0) for msg_id in self.sent]

    async def close(self) -> None:
        """Close the test's connections."""
        if self._keeper is not None:
            await self._keeper.close()
        await self.db.close()

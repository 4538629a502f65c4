"""Workers and producers under random faults for as long as you like, and an exact account at the end.

``make soak MINUTES=10 SEED=1``. The faults are those of ``tests/faults``: workers killed and frozen, sessions
ended, servers restarted, crashed and restored from a backup, networks cut, stalled, silent and slow, tables
and rows locked, settlements refused, other clients that read and move messages. Exits with 1 when a message
was lost or settled twice. The seed is printed; the same seed draws the same faults.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import signal
import sys
import time
from collections import Counter
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import asyncpg
import orjson

from tests.faults.handlers import TABLES
from tests.faults.processes import WorkerProcess
from tests.faults.proxy import Proxy, proxied
from tests.servers import PrivateServer, binaries_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

KINDS = ("plain", "plain", "transaction", "plain")
"""The handlers of the workers; the last worker is behind the proxy."""
OPTIONS: dict[str, Any] = {"max_concurrent": 5, "visibility_timeout": 4, "retry": [0.1, 1000]}
_OUTCOMES = ("complete",) * 8 + ("retry", "dead")
_PLACES = """
select (message->>'id')::bigint as id, 'queued' as place from pgmq.q_tasks
 union all select (message->>'id')::bigint, 'completed' from pgmq.a_tasks
 union all select (message->>'id')::bigint, 'dead' from postmill.dead_letters
"""
_UNFINISHED = "select exists (select from pgmq.q_tasks) or exists (select from postmill.claims)"
_BACKLOG = "select count(*) from pgmq.q_tasks"
_FINISHED = """
select (select count(*) from pgmq.a_tasks) + (select count(*) from postmill.dead_letters)
     + (select count(*) from postmill.failures)
"""
_OUTAGE = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, TimeoutError)
_REFUSE = """
create or replace function refuse() returns trigger language plpgsql as $$
begin
    if new.msg_id % 7 = 0 then raise exception 'not this one'; end if;
    return new;
end $$;
create or replace trigger refuse before insert on pgmq.a_tasks for each row execute function refuse();
"""
GIVE_UP_S = 120.0
"""Without any progress after the last fault; the longest wait is for the claims of a vanished worker."""
BACKLOG = 2000
"""Unfinished messages above which nothing is sent: on a slow machine the workers could never catch up."""


class Soak:
    """One run: what was sent, what was done to it, and what became of it."""

    def __init__(self, server: PrivateServer, proxy: Proxy, seed: int) -> None:
        self._server = server
        self._proxy = proxy
        self._random = random.Random(seed)
        self._load = random.Random(seed)
        self._workers: list[WorkerProcess] = []
        self._next_id = 0
        self.acknowledged: dict[int, str] = {}
        """Messages whose send was committed for sure, and the outcome that they ask for."""
        self.unsure: set[int] = set()
        """Messages whose send got no answer: each may be there, once."""
        self.faults: Counter[str] = Counter()
        self.problems: list[str] = []
        self._sending = asyncio.Lock()
        """Held by each send, and by a fault that needs to know that no send is under way."""

    async def run(self, seconds: float) -> None:
        """Produce, work and break things for ``seconds``; then repair everything and wait for the end."""
        enough = asyncio.Event()
        self._workers = [self._start(place) for place in range(len(KINDS))]
        try:
            producing = asyncio.create_task(self._produce(enough))
            await self._break_things(time.monotonic() + seconds)
            enough.set()
            await producing
            await self._finish()
        finally:
            for worker in self._workers:
                worker.close()

    async def _produce(self, enough: asyncio.Event) -> None:
        while not enough.is_set():
            with suppress(*_OUTAGE):
                connection = await asyncpg.connect(self._server.url, timeout=2)
                try:
                    while not enough.is_set():
                        if await connection.fetchval(_BACKLOG, timeout=5) < BACKLOG:
                            async with self._sending:
                                await self._send(connection, self._load.randint(1, 40))
                        await asyncio.sleep(self._load.uniform(0, 0.2))
                finally:
                    connection.terminate()
            await asyncio.sleep(0.1)

    async def _send(self, connection: asyncpg.Connection, count: int) -> None:
        sending = {self._next_id + n: self._load.choice(_OUTCOMES) for n in range(count)}
        self._next_id += count
        self.unsure |= set(sending)
        bodies = [orjson.dumps({"id": key, "outcome": wanted}).decode() for key, wanted in sending.items()]
        await connection.execute("select pgmq.send_batch('tasks', $1::text[]::jsonb[])", bodies, timeout=5)
        self.unsure -= set(sending)
        self.acknowledged.update(sending)

    async def _break_things(self, until: float) -> None:
        faults: dict[str, Callable[[], Awaitable[None]]] = {
            "worker killed": self._kill,
            "worker frozen": self._freeze,
            "session ended": self._end_session,
            "server restarted": self._restart,
            "server crashed": self._crash,
            "outage of 3 s": self._outage,
            "connections reset": self._reset,
            "network silent for 3 s": self._silence,
            "network slow": self._slow,
            "network stalled": self._stall,
            "archive locked for 2 s": self._lock,
            "backup restored": self._restore,
            "settlements refused": self._refuse,
            "visibility moved by another client": self._move,
            "read by another client and rolled back": self._read_in_vain,
            "row locked by another client": self._lock_row,
        }
        while time.monotonic() < until:
            await asyncio.sleep(self._random.uniform(0.2, 2))
            name = self._random.choice(list(faults))
            self.faults[name] += 1
            with suppress(*_OUTAGE):
                await faults[name]()

    def _start(self, place: int) -> WorkerProcess:
        url = self._proxy.url if place == len(KINDS) - 1 else self._server.url
        return WorkerProcess(url, kind=KINDS[place], **OPTIONS)

    async def _kill(self) -> None:
        place = self._random.randrange(len(KINDS))
        self._workers[place].close()
        self._workers[place] = self._start(place)

    async def _freeze(self) -> None:
        worker = self._random.choice(self._workers)
        worker.stop()
        await asyncio.sleep(self._random.choice([5, 13]))  # below and above the bound of silence
        worker.go_on()

    async def _end_session(self) -> None:
        async with self._connected() as db:
            await db.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where application_name like 'postmill %' order by random() limit 1"
            )

    async def _restart(self) -> None:
        await asyncio.to_thread(self._server.restart, "fast")

    async def _crash(self) -> None:
        await asyncio.to_thread(self._server.restart, self._random.choice(["immediate", "kill"]))

    async def _outage(self) -> None:
        await asyncio.to_thread(self._server.stop, "fast")
        await asyncio.sleep(3)
        await asyncio.to_thread(self._server.start)

    async def _reset(self) -> None:
        self._proxy.reset()

    async def _silence(self) -> None:
        self._proxy.mode = "silent"
        await asyncio.sleep(3)
        self._proxy.mode = "pass"
        self._proxy.reset()

    async def _slow(self) -> None:
        self._proxy.delay_s = 0.1
        await asyncio.sleep(2)
        self._proxy.delay_s = 0.0

    async def _stall(self) -> None:
        """Nothing gets through for a while, and then all of it: below and above the lease."""
        self._proxy.stall()
        await asyncio.sleep(self._random.uniform(1, 9))
        self._proxy.go_on()

    async def _lock(self) -> None:
        async with self._connected() as db, db.transaction():
            await db.execute("lock table pgmq.a_tasks in share mode", timeout=5)
            await asyncio.sleep(2)

    async def _restore(self) -> None:
        """What was sent since the backup is gone, and what was finished since comes back."""
        async with self._sending:
            await asyncio.to_thread(self._server.save)
            saved = dict(self.acknowledged), set(self.unsure)
        await asyncio.sleep(self._random.uniform(1, 5))
        async with self._sending:
            await asyncio.to_thread(self._server.restore)
            self.acknowledged, self.unsure = saved

    async def _refuse(self) -> None:
        """Every seventh message can't be archived for a while."""
        async with self._connected() as db:
            await db.execute(_REFUSE)
            await asyncio.sleep(3)
            await db.execute("drop trigger refuse on pgmq.a_tasks", timeout=30)

    async def _move(self) -> None:
        async with self._connected() as db:
            await db.execute(
                "select pgmq.set_vt('tasks', msg_id, $1) from"
                " (select msg_id from pgmq.q_tasks order by random() limit 5) as some",
                self._random.choice([-3600, 0, 2]),
                timeout=5,
            )

    async def _read_in_vain(self) -> None:
        async with self._connected() as db:
            reading = db.transaction()
            await reading.start()
            await db.execute("select pgmq.read('tasks', 3600, 20)", timeout=5)
            await asyncio.sleep(2)
            await reading.rollback()

    async def _lock_row(self) -> None:
        async with self._connected() as db, db.transaction():
            await db.execute(
                "select from pgmq.q_tasks order by random() limit 3 for update skip locked", timeout=5
            )
            await asyncio.sleep(3)

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[asyncpg.Connection]:
        db = await asyncpg.connect(self._server.url, timeout=5)
        try:
            yield db
        finally:
            db.terminate()

    async def _finish(self) -> None:
        """Wait for the workers to come to an end with everything, and check what they leave."""
        async with self._connected() as db:
            await db.execute("drop trigger if exists refuse on pgmq.a_tasks")
            await self._drain(db)
            for worker in self._workers:
                worker.end()
            for worker in self._workers:
                code = await worker.exited()
                if code not in (0, -signal.SIGTERM):  # SIGTERM ends a worker that has hardly begun
                    self.problems.append(f"a worker ended with {code}:\n{worker.said[-2000:]}")
            await self._check(db)

    async def _drain(self, db: asyncpg.Connection) -> None:
        """Wait until everything is finished, for as long as there is progress."""
        before, since = -1, time.monotonic()
        while await db.fetchval(_UNFINISHED):
            await asyncio.sleep(0.5)
            finished = await db.fetchval(_FINISHED)
            if finished != before:
                before, since = finished, time.monotonic()
            elif time.monotonic() - since > GIVE_UP_S:
                self.problems.append(f"no progress for {GIVE_UP_S:.0f} s, and messages are left")
                return

    async def _check(self, db: asyncpg.Connection) -> None:
        found: dict[int, list[str]] = {}
        for row in await db.fetch(_PLACES):
            found.setdefault(row["id"], []).append(row["place"])
        self.places = Counter(place for places in found.values() for place in places)
        self._expect("lost", set(self.acknowledged) - set(found))
        self._expect("in two places", {key for key, places in found.items() if len(places) > 1})
        self._expect("sent by nobody", set(found) - set(self.acknowledged) - self.unsure)
        self._expect(
            "dead that should not be",
            {
                key
                for key, places in found.items()
                if "dead" in places and self.acknowledged.get(key, "dead") != "dead"
            },
        )
        twice = await db.fetch("select msg_id from effects group by msg_id having count(*) > 1")
        self._expect("written twice in a transaction", {row["msg_id"] for row in twice})
        undone = await db.fetch(
            "select msg_id from effects where msg_id not in (select msg_id from pgmq.a_tasks)"
        )
        self._expect("written and not completed", {row["msg_id"] for row in undone})
        kinds = await db.fetch("select kind, count(*) from postmill.failures group by kind order by kind")
        self.failures = {row["kind"]: row["count"] for row in kinds}
        self.claims = await db.fetchval("select count(*) from postmill.claims")
        self.runs = await db.fetchval("select count(*) from runs")

    def _expect(self, what: str, ids: set[int]) -> None:
        if ids:
            self.problems.append(f"{len(ids)} messages {what}, for example {sorted(ids)[:5]}")

    def report(self) -> str:
        """The account, for people."""
        lines = [
            f"messages   {len(self.acknowledged)} acknowledged, {len(self.unsure)} sent without an answer",
            f"places     {dict(sorted(self.places.items()))}, claims left {self.claims}",
            f"runs       {self.runs}",
            f"failures   {self.failures}",
            f"faults     {dict(sorted(self.faults.items()))}",
        ]
        return "\n".join([*lines, *(f"PROBLEM    {problem}" for problem in self.problems)])


async def soak(seconds: float, seed: int) -> Soak:
    """One soak on a server of its own; its ``problems`` are empty when all is well."""
    server = PrivateServer(binaries_of(18))
    try:
        server.start()
        server.migrate()
        db = await asyncpg.connect(server.url)
        await db.execute("select postmill.create_queue('tasks')")
        await db.execute(TABLES)
        await db.close()
        async with proxied(server.url) as proxy:
            run = Soak(server, proxy, seed)
            await run.run(seconds)
            return run
    finally:
        server.close()


def main() -> None:
    """Read the options, soak, print the account."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    options = parser.parse_args()
    print(f"soak of {options.minutes:g} minutes, seed {options.seed}", flush=True)
    run = asyncio.run(soak(options.minutes * 60, options.seed))
    print(run.report())
    sys.exit(1 if run.problems else 0)


if __name__ == "__main__":
    main()

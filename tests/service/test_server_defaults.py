"""What an administrator has set for a role or a database holds for people's sessions. Ours work as always."""

from __future__ import annotations

import asyncio
import json
from contextlib import closing
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from postmill import Context, Snooze, worker
from postmill.client import AsyncClient, Client
from postmill.engine.maintain import pruner, rescuer
from postmill.model.events import Event
from postmill.model.queue.retry import FixedRetry
from tests.faults.pooler import Pooler
from tests.other_defaults import FORMS, alterations
from tests.service.running import running

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import asyncpg

    from postmill.handlers import Worker

LITTLE_ROOM = {"work_mem": "64kB", "temp_file_limit": "0"}
"""Statements on queues get by with it."""
LIMITS = {
    "statement_timeout": "1ms",
    "lock_timeout": "1ms",
    "idle_in_transaction_session_timeout": "1ms",
    "transaction_timeout": "1ms",
}
"""They hold for what handlers and clients do themselves."""
SESSIONS = {
    "idle_session_timeout": "20ms",
    "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on",
}
CUT_AT_BIRTH = 2
"""Sessions that may be cut before their first statement, which takes these limits off, has ended: on a busy
machine a millisecond is short. With the limits left on, each session is cut again and again.
"""
KINDS = ("works", "fails", "snoozes", "sends", "long", "rescued")
CASES = {
    "forms": (FORMS | LITTLE_ROOM, KINDS),
    "no triggers": ({"session_replication_role": "replica"}, KINDS),
    "limits": (LIMITS, [kind for kind in KINDS if kind != "sends"]),
    "sessions": (SESSIONS, KINDS),
}


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty times a second instead of twice a minute."""
    monkeypatch.setattr(pruner, "EVERY_S", 0.05)
    monkeypatch.setattr(rescuer, "LOOK_EVERY_S", 0.05)


def handler() -> Worker:
    """Ends each message in the way that it asks for."""

    @worker(queue="tasks", retry=FixedRetry(2, 0.05), keep_results=True, visibility_timeout=1)
    async def handle(payload: dict[str, Any], ctx: Context) -> Any:
        match payload["kind"]:
            case "fails":
                raise ValueError("Zürich \\ 'x'")
            case "snoozes" if ctx.message.read_ct == 1:
                raise Snooze(0.05)
            case "sends":
                async with ctx.transaction() as transaction:
                    await transaction.send("others", {"from": "Zürich \\"})
            case "long":
                await asyncio.sleep(1.5)
        return {"ü\\": "x"}

    return handle


@pytest.mark.parametrize("case", CASES)
async def test_a_worker_does_all_that_it_does(database_url: str, adb: asyncpg.Connection, case: str) -> None:
    settings, kinds = CASES[case]
    for queue in ("tasks", "others"):
        await adb.execute("select postmill.create_queue($1)", queue)
    if case == "forms":
        await set_defaults(adb, database_url, settings)
    await asyncio.to_thread(send_all, database_url, kinds)
    if case != "forms":
        await set_defaults(adb, database_url, settings)
    await check(database_url, adb, kinds)


async def test_it_does_behind_a_pooler(database_url: str, adb: asyncpg.Connection) -> None:
    settings, kinds = FORMS | LITTLE_ROOM | {"default_transaction_isolation": "serializable"}, KINDS
    for queue in ("tasks", "others"):
        await adb.execute("select postmill.create_queue($1)", queue)
    await asyncio.to_thread(send_all, database_url, kinds)
    await set_defaults(adb, database_url, settings)
    with closing(Pooler(database_url)) as pooler:
        await check(pooler.url, adb, kinds)


@pytest.mark.parametrize("connections", [2, 6], ids=["the settlements' own", "a pool"])
async def test_a_handler_has_the_isolation_level_of_its_database(
    database_url: str, adb: asyncpg.Connection, connections: int
) -> None:
    """Also on the settlements' session, which has another one for itself before and after."""
    await adb.execute("select postmill.create_queue('tasks')")
    await set_defaults(adb, database_url, {"default_transaction_isolation": "serializable"})
    seen = []

    @worker(queue="tasks", max_pg_connections=connections)
    async def ask(payload: int, ctx: Context) -> None:
        async with ctx.transaction() as transaction:
            seen.append(await transaction.fetchval("show transaction_isolation"))

    async with running(database_url, ask) as run:
        for number in (1, 2):
            await run.send(str(number))
        await run.until(Event.MESSAGE_COMPLETED, count=2)
    assert seen == ["serializable"] * 2


async def check(url: str, adb: asyncpg.Connection, kinds: Sequence[str]) -> None:
    """A worker ends each message as it asks, prunes, and meets no trouble."""
    completed = len(kinds) - 1
    await abandon(adb)
    async with running(url, handler()) as run:
        run.db = adb
        await run.until(Event.MESSAGE_COMPLETED, count=completed)
        await run.until(Event.MESSAGE_DEAD, count=1)
        await adb.execute("update postmill.prunings set due_at = '-infinity'")
        await run.true_in_database("not exists (select from postmill.prunings where due_at = '-infinity')")
    assert await run.account() == {"queue": 0, "archive": completed, "dead": 1, "claims": 0}
    assert run.events(Event.WORKER_FAILED, Event.LEASE_LOST) == []
    assert len(run.events(Event.DATABASE_LOST)) <= CUT_AT_BIRTH
    failures = "select kind from postmill.failures order by kind"
    assert [row["kind"] for row in await adb.fetch(failures)] == ["crash", "error", "error"]
    results = await adb.fetch("select result from postmill.results")
    assert [json.loads(row["result"]) for row in results] == completed * [{"ü\\": "x"}]
    if "sends" in kinds:
        sent = await adb.fetchval("select message from pgmq.q_others")
        assert json.loads(sent) == {"from": "Zürich \\"}


def send_all(url: str, kinds: Sequence[str]) -> None:
    """Through both clients."""
    with Client(url) as client:
        client.send_many("tasks", [{"kind": kind} for kind in kinds[:3]])

    async def send() -> None:
        async with AsyncClient(url) as client:
            await client.send_many("tasks", [{"kind": kind} for kind in kinds[3:]])

    asyncio.run(send())


async def set_defaults(adb: asyncpg.Connection, url: str, settings: Mapping[str, str]) -> None:
    """For every session of the test's database from now on. Those that came with a later release are left."""
    known = {
        name: value
        for name, value in settings.items()
        if "." in name or await adb.fetchval("select current_setting($1, true)", name) is not None
    }
    for alteration in alterations(urlsplit(url).path.lstrip("/"), known):
        await adb.execute(alteration)


async def abandon(adb: asyncpg.Connection) -> None:
    """The last message looks as if its worker had been killed."""
    await adb.execute("""
        with held as (update pgmq.q_tasks set vt = clock_timestamp() + interval '1 hour', read_ct = 1
                       where message ->> 'kind' = 'rescued' returning msg_id)
        insert into postmill.claims (worker_id, queue_name, msg_ids, read_cts)
        select gen_random_uuid(), 'tasks', array[msg_id], array[1] from held""")

"""Flows whose code says when they run, and clients that say so."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from postmill import AsyncClient, Client
from postmill.flows import Ctx, Flow, workflow
from postmill.model.errors import InvalidFlow, InvalidOption, NotFound
from postmill.scheduler.process import SERVICES
from tests.service.running import GIVE_UP_S, running

if TYPE_CHECKING:
    import asyncpg


async def until(db: asyncpg.Connection, condition: str) -> None:
    """Wait for what only the database shows."""
    async with asyncio.timeout(GIVE_UP_S):
        while not await db.fetchval(f"select {condition}"):  # noqa: ASYNC110 - nothing else says it
            await asyncio.sleep(0.02)


async def test_a_workflow_runs_when_its_code_says(database_url: str, adb: asyncpg.Connection) -> None:
    """And no more when the code says so no more."""

    @workflow(name="ticks", schedule="1 second")
    async def ticks(ctx: Ctx, of: str = "all") -> str:
        return of

    @workflow(name="ticks")
    async def stays(ctx: Ctx, of: str = "all") -> str:
        return of

    async with running(database_url, ticks.handler(), services=SERVICES) as worker:
        await until(adb, "(select count(*) from postmill.schedule_runs where status = 'succeeded') >= 2")
        found = await adb.fetch(
            "select distinct postmill.run_result(run_id) ->> 'output' as output from postmill.runs"
            " where state = 'completed'"
        )
        assert [each["output"] for each in found] == ["all"]
        await worker.let_go()
    async with running(database_url, stays.handler()) as worker:
        assert await adb.fetchval("select count(*) from postmill.schedules") == 0
        await worker.let_go()


def test_a_flow_that_needs_an_input_has_no_schedule_in_its_code() -> None:
    async def needs(ctx: Ctx, of: str) -> None: ...

    with pytest.raises(InvalidFlow, match="can't be run without an input"):
        workflow(name="needs", schedule="@daily")(needs)
    with pytest.raises(InvalidFlow, match="can't be run without an input"):
        Flow("needs", input=int, schedule="@daily")
    with pytest.raises(InvalidOption, match="can't be read"):
        Flow("bad", input=dict, schedule="61 * * * *")
    assert Flow("fine", input=dict, schedule="@daily").schedule == "@daily"


async def test_a_client_schedules_a_flow(database_url: str, adb: asyncpg.Connection) -> None:
    await adb.execute("select postmill.register_flow('f', 'workflow', 'f', '{\"steps\": []}', '{}')")
    async with AsyncClient(database_url) as client:
        await client.schedule_flow("a", "f", "@daily", {"n": 1}, overlap="allow", jitter=5)
        assert await client.run_schedule("a") is None
        with pytest.raises(NotFound, match="no flow"):
            await client.schedule_flow("b", "other", "@daily")
        with pytest.raises(InvalidOption, match="waits for another one"):
            await client.schedule_flow("b", "f", "@daily", overlap="queue")
    with Client(database_url) as sync:
        sync.schedule_flow("b", "f", "@daily")
    found = await adb.fetch("select name, target::text from postmill.schedule_list order by 1")
    assert [tuple(each) for each in found] == [
        ("a", '{"flow": "f", "input": {"n": 1}}'),
        ("b", '{"flow": "f", "input": {}}'),
    ]
    assert await adb.fetchval("select input::text from postmill.runs") == '{"n": 1}'

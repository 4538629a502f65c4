"""Limits of groups hold for the steps of flows, over all runs."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from postmill.flows.flow import Flow
from postmill.flows.step_options import StepOptions
from postmill.flows.steps import each
from tests.service.running import GIVE_UP_S, running

if TYPE_CHECKING:
    import asyncpg

    from tests.service.running import Running

TENANTS = ("acme", "bolt", "cert")
RUNS = 2


@dataclass
class Job:
    tenant: str


@dataclass
class Site:
    """What a run is given: its tenant, or jobs of many."""

    tenant: str = ""
    jobs: list[Job] = field(default_factory=list)


class Held:
    """Work that waits to be let go, and counts how many of a tenant are at it at once."""

    def __init__(self) -> None:
        self.at_work: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.begun: asyncio.Queue[str] = asyncio.Queue()
        self.let = {tenant: asyncio.Semaphore(0) for tenant in TENANTS}

    async def work(self, tenant: str) -> str:
        self.at_work[tenant] += 1
        self.most[tenant] = max(self.most[tenant], self.at_work[tenant])
        self.begun.put_nowait(tenant)
        await self.let[tenant].acquire()
        self.at_work[tenant] -= 1
        return tenant

    async def until_begun(self, many: int) -> list[str]:
        async with asyncio.timeout(GIVE_UP_S):
            return sorted([await self.begun.get() for _ in range(many)])


def in_steps(held: Held, *, grouped: bool) -> Flow[Site]:
    """The step follows another one in the same queue, whose settlement could begin it at once."""
    flow = Flow("sites", input=Site, max_concurrent=20)
    options = StepOptions(group_key=flow.input.tenant) if grouped else StepOptions()

    @flow.step
    async def first(tenant: str = flow.input.tenant) -> str:
        return tenant

    @flow.step(**options)
    async def second(tenant: str = first.out) -> str:
        return await held.work(tenant)

    return flow


def in_items(held: Held, *, grouped: bool) -> Flow[Site]:
    """One run has items of all tenants."""
    flow = Flow("sites", input=Site, max_concurrent=20)
    job = each(flow.input.jobs)
    key: Any = {"group_key": job.tenant} if grouped else {}

    @flow.map(**key)
    async def work(job: Job = job) -> str:
        return await held.work(job.tenant)

    return flow


async def started(flow: Flow[Site], run: Running, adb: asyncpg.Connection) -> list[Any]:
    """Two tasks a tenant, in runs of one tenant or of all."""
    await run.db.execute("select postmill.limit_groups('sites', max_running => 1)")
    start = flow.options(connection=adb).start
    if "work" in flow.steps:
        return [await start(Site(jobs=[Job(tenant) for tenant in TENANTS])) for _ in range(RUNS)]
    return [await start(Site(tenant)) for tenant in TENANTS for _ in range(RUNS)]


@pytest.mark.parametrize("flow_of", [in_steps, in_items])
async def test_one_of_a_group_at_a_time_and_no_other_is_held_up(
    database_url: str, adb: asyncpg.Connection, flow_of: Any
) -> None:
    held = Held()
    flow = flow_of(held, grouped=True)
    async with running(database_url, flow.handler()) as run:
        runs = await started(flow, run, adb)
        assert await held.until_begun(3) == list(TENANTS)
        await run.true_in_database("not exists (select from pgmq.q_sites where vt <= clock_timestamp())")
        await run.idle("sites")
        assert held.begun.empty()
        held.let["bolt"].release()  # its next one begins while the others' still run
        assert await held.until_begun(1) == ["bolt"]
        for tenant in TENANTS:
            held.let[tenant].release()
        assert await held.until_begun(2) == ["acme", "cert"]
        for tenant in TENANTS:
            held.let[tenant].release()
        for each_run in runs:
            await each_run.result(timeout=GIVE_UP_S)
    assert held.most == dict.fromkeys(TENANTS, 1)


@pytest.mark.parametrize("flow_of", [in_steps, in_items])
async def test_without_the_key_two_of_a_tenant_run_at_once(
    database_url: str, adb: asyncpg.Connection, flow_of: Any
) -> None:
    """What the other test tells apart: the same limit, and steps without a group."""
    held = Held()
    flow = flow_of(held, grouped=False)
    async with running(database_url, flow.handler()) as run:
        runs = await started(flow, run, adb)
        await held.until_begun(len(TENANTS) * RUNS)
        for tenant in TENANTS * RUNS:
            held.let[tenant].release()
        for each_run in runs:
            await each_run.result(timeout=GIVE_UP_S)
    assert held.most == dict.fromkeys(TENANTS, RUNS)

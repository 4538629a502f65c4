"""Messages that start runs: one run a message, however often it is delivered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from postmill import AsyncClient, Then, worker
from postmill.flows import Ctx, Flow, workflow
from tests.service.running import running
from tests.service.test_scheduled_flows import until

if TYPE_CHECKING:
    import asyncpg


site = Flow("site", input=dict[str, int])


@site.step
async def double(n: int = site.input["n"]) -> int:
    return n * 2


@workflow(name="greet")
async def greet(ctx: Ctx, name: str) -> str:
    return f"hello {name}"


RESULTS = (
    "select array_agg(postmill.run_result(run_id) -> 'output' order by run_id)::text[] from postmill.runs"
)


async def results(adb: asyncpg.Connection, count: int) -> Any:
    """What the runs have come to, once there are so many and all have ended."""
    await until(adb, f"(select count(*) from postmill.runs where ended_at is not null) = {count}")
    return await adb.fetchval(RESULTS)


async def test_a_message_starts_a_run(database_url: str, adb: asyncpg.Connection) -> None:
    async with (
        running(database_url, site.handler(), greet.handler()) as run,
        AsyncClient(database_url) as client,
    ):
        await client.send("site", {"start": "site", "input": {"n": 4}})
        assert await results(adb, 1) == ['{"double": 8}']
        await client.send("greet", {"start": "greet", "input": {"name": "ann"}, "key": "k"})
        await client.send("greet", {"start": "greet", "input": {"name": "ann"}, "key": "k"})
        assert await results(adb, 2) == ['{"double": 8}', '"hello ann"']
        await until(adb, "(select count(*) from pgmq.a_greet) = 2")
        assert await adb.fetchval("select key from postmill.runs where flow = 'greet'") == "k"
        await run.let_go()


async def test_what_is_done_after_another_message_may_be_a_run(
    database_url: str, adb: asyncpg.Connection
) -> None:
    @worker(queue="before")
    async def before(payload: int) -> None: ...

    async with running(database_url, before, greet.handler()) as run, AsyncClient(database_url) as client:
        follower = Then("greet", {"start": "greet", "input": {"name": "bob"}})
        await client.send("before", 1, then_send=follower)
        assert await results(adb, 1) == ['"hello bob"']
        await run.let_go()


async def test_a_message_that_is_delivered_again_starts_no_second_run(
    database_url: str, adb: asyncpg.Connection
) -> None:
    """Its first worker had started the run, and was gone before it had settled the message."""
    async with running(database_url, greet.handler()) as run:
        await run.let_go()
    async with AsyncClient(database_url) as client:
        sent = await client.send("greet", {"start": "greet", "input": {"name": "ann"}})
    micros = "select (extract(epoch from enqueued_at) * 1000000)::bigint from pgmq.q_greet"
    key = f"message:greet:{int(sent)}:{await adb.fetchval(micros)}"
    await adb.execute("select postmill.start_flow('greet', '{\"name\": \"ann\"}', key => $1)", key)
    async with running(database_url, greet.handler()) as run:
        assert await results(adb, 1) == ['"hello ann"']
        await until(adb, "(select count(*) from pgmq.a_greet) = 1")
        assert await adb.fetchval("select count(*) from postmill.runs") == 1
        await run.let_go()


@pytest.mark.parametrize(
    ("payload", "says"),
    [
        ({"start": "other"}, "this worker has no flow 'other'"),
        ({"start": "greet", "inptu": {}}, "unknown field `inptu`"),
        ({"start": 5}, "can't start a run"),
        ({"start": "greet", "key": ""}, "key="),
    ],
)
async def test_what_can_start_nothing_is_dead_and_says_why(
    database_url: str, adb: asyncpg.Connection, payload: dict[str, Any], says: str
) -> None:
    async with running(database_url, greet.handler()) as run, AsyncClient(database_url) as client:
        await client.send("greet", payload)
        await until(adb, "exists (select from postmill.dead_letters)")
        assert says in await adb.fetchval("select reason from postmill.dead_letters")
        assert await adb.fetchval("select count(*) from postmill.runs") == 0
        await run.let_go()

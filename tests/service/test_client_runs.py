"""Runs of flows from both clients, on their own connections and the caller's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from postmill import AsyncClient, Client
from postmill.client.runs import RunState
from postmill.flows.flow import Flow
from postmill.flows.signal import Signal
from postmill.model.errors import (
    InvalidOption,
    KeyConflict,
    NotFound,
    Refused,
    ResultTimedOut,
    RunCancelled,
)
from tests.service.running import GIVE_UP_S, running

if TYPE_CHECKING:
    import asyncpg

GO_ON = Signal("go_on", bool)
held = Flow("held", input=int)


@held.step
async def before(n: int = held.input) -> int:
    return n + 1


asked = held.wait(GO_ON)


@held.step
async def after(n: int = before.out, is_well: bool = asked.out) -> list[Any]:
    return [n, is_well]


async def known(db: asyncpg.Connection) -> None:
    """The flow is known, and nothing runs it."""
    for said in held.handler().declarations:
        await db.fetchrow(said.text, *said.arguments)


async def test_the_synchronous_client_starts_asks_signals_and_cancels(
    database_url: str, adb: asyncpg.Connection
) -> None:
    await known(adb)
    with Client(database_url) as client:
        run_id = client.runs.start("held", 1, key="k", tags=["mine"], delay=0, deadline=60, priority=3)
        assert client.runs.start("held", 1, key="k") == run_id
        with pytest.raises(KeyConflict):
            client.runs.start("held", 2, key="k")
        assert client.runs.state(run_id) == RunState(run_id, "running")
        with pytest.raises(NotFound, match=r"'before'.*It is started"):
            client.runs.output(run_id, "before")
        with pytest.raises(NotFound, match=r"it has: before, .*Did you mean before"):
            client.runs.output(run_id, "befor")
        with pytest.raises(NotFound, match="There is no such run"):
            client.runs.output(run_id + 100, "before")
        with pytest.raises(NotFound, match="Did you mean held"):
            client.runs.start("hedl", 1)
        with pytest.raises(NotFound, match=r"wait for: go_on.*Did you mean go_on"):
            client.runs.signal(run_id, "go-on", True)
        with pytest.raises(InvalidOption, match=r"It has: .*Did you mean after"):
            client.runs.fork(run_id, "aftr")
        assert client.runs.signal(run_id, "go_on", True) is True
        client.runs.pause(run_id, "stock-taking")
        paused = client.runs.state(run_id)
        assert (paused.state, str(paused.reason).rpartition(": ")[2]) == ("paused", "stock-taking")
        client.runs.resume(run_id)
        assert client.runs.cancel(run_id, "no need") is True
        found = client.runs.state(run_id)
        assert (found.state, found.has_ended, found.output) == ("cancelled", True, None)
        assert "no need" in str(found.reason)
        client.runs.retry(run_id)
        assert client.runs.fork(run_id, "after", outputs={"before": 3}) > run_id
        assert client.runs.state(run_id).state == "running"
        with pytest.raises(NotFound):
            client.runs.state(run_id + 100)
        with pytest.raises(NotFound):
            client.runs.start("nobody", 1)
    (row,) = await adb.fetch(
        "select tags, priority, deadline > now() as later from postmill.runs where key = 'k'"
    )
    assert tuple(row) == (["mine"], 3, True)


async def test_what_is_rolled_back_was_not_started(database_url: str, adb: asyncpg.Connection) -> None:
    await known(adb)
    with psycopg.connect(database_url) as connection:
        Client(connection).runs.start("held", 1)
        connection.rollback()
        run_id = Client(connection).runs.start("held", 2)
        connection.commit()
    assert await adb.fetchval("select array_agg(run_id) from postmill.runs") == [run_id]


@pytest.mark.parametrize(
    ("option", "value"),
    [("tags", "one"), ("tags", [""]), ("priority", 10), ("key", ""), ("delay", -1), ("colour", "red")],
)
async def test_a_wrong_option_is_told_before_anything_is_sent(option: str, value: Any) -> None:
    client = AsyncClient("postgresql://nobody@127.0.0.1:1/nowhere")
    with pytest.raises(InvalidOption, match=option):
        await client.runs.start("held", 1, **{option: value})


async def test_a_handle_steers_its_run(database_url: str, adb: asyncpg.Connection) -> None:
    async with running(database_url, held.handler()) as worker:
        run = await held.options(connection=database_url).start(1)
        await worker.true_in_database("exists (select from postmill.steps where step = 'go_on')")
        with pytest.raises(ResultTimedOut, match="running"):
            await run.result(timeout=0)
        await run.pause("night")
        paused = await run.state()
        assert (paused.state, str(paused.reason).rpartition(": ")[2]) == ("paused", "night")
        await run.resume()
        assert await run.signal(GO_ON, True) is True
        assert await run.signal(GO_ON, False) is False
        assert await run.result(timeout=GIVE_UP_S) == {"after": [2, True]}
        with pytest.raises(Refused):
            await run.pause()
        forked = await run.fork(after, outputs={"before": 40})
        assert await forked.result(timeout=GIVE_UP_S) == {"after": [40, True]}
        answered = await held.options(connection=database_url).start(3)
        assert await answered.approve(asked, False) is True
        assert await answered.result(timeout=GIVE_UP_S) == {"after": [4, False]}
        ended = await held.options(connection=database_url).start(4)
        assert await ended.cancel()
        with pytest.raises(RunCancelled):
            await ended.result(timeout=GIVE_UP_S)
        await ended.retry()
        assert await ended.signal(GO_ON, True)
        assert await ended.result(timeout=GIVE_UP_S) == {"after": [5, True]}

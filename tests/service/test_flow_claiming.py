"""What a settlement begins starts in the same worker at once, where nothing else waits for it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from postmill.flows.flow import Flow
from postmill.flows.running import inputs
from postmill.flows.running.inputs import InputQueries
from postmill.flows.steps import each
from postmill.model.events import Event
from postmill.sql.catalog import statement
from tests.service.running import GIVE_UP_S, running

if TYPE_CHECKING:
    import asyncpg

PREPARED = """
select exists (select from pg_stat_activity
                where datname = current_database() and application_name = 'postmill settlements'
                  and state = 'idle' and query = $1)
"""
LONG = 50
"""Steps of the chain: many more than the claims that a worker makes around it."""


SLOTS = 20
"""Steps that end together: a settlement has several of them."""


def chain(name: str) -> Flow[int]:
    flow = Flow(name, input=int)

    async def first(n: int = flow.input) -> int:
        return n + 1

    last: Any = flow.step(name="s1")(first)
    for place in range(2, LONG + 1):

        async def following(n: int = last.out) -> int:
            return n + 1

        last = flow.step(name=f"s{place}")(following)
    return flow


@pytest.mark.parametrize("fresh_s", [0.0, GIVE_UP_S])
async def test_a_chain_needs_no_claims_and_no_queries(
    database_url: str, adb: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch, fresh_s: float
) -> None:
    """What came with a message counts for a moment only: later its run is asked for."""
    monkeypatch.setattr(inputs, "FRESH_S", fresh_s)
    asked = []

    queried = InputQueries.of

    async def of(self: InputQueries, run: int, step: str, reads: Any) -> Any:
        asked.append(step)
        return await queried(self, run, step, reads)

    monkeypatch.setattr(InputQueries, "of", of)
    flow = chain("chain")
    async with running(database_url, flow.handler()) as workers:
        run = await flow.options(connection=adb).start(0)
        assert await run.result(timeout=GIVE_UP_S) == {f"s{LONG}": LONG}
        assert workers.worker.claimer.lanes.claims < LONG / 2
        assert len(asked) == LONG if fresh_s == 0.0 else len(asked) < LONG / 2
    assert await adb.fetchval("select count(*) from pgmq.q_chain") == 0
    assert await adb.fetchval("select count(*) from postmill.claims") == 0


async def test_a_message_that_waits_has_its_turn_before_the_next_step(
    database_url: str, adb: asyncpg.Connection
) -> None:
    """With one slot a chain would keep it for itself."""
    order: list[str] = []
    flow = Flow("shared", input=str, max_concurrent=1)
    begun, other_is_there = asyncio.Event(), asyncio.Event()

    @flow.step
    async def first(text: str = flow.input) -> str:
        order.append(f"{text} first")
        if text == "a":
            begun.set()
            await other_is_there.wait()
        return text

    @flow.step
    async def second(text: str = first.out) -> None:
        order.append(f"{text} second")

    async with running(database_url, flow.handler()) as workers:
        one = await flow.options(connection=adb).start("a")
        await begun.wait()
        other = await flow.options(connection=adb).start("b")
        claimer = workers.worker.claimer
        while claimer.rests is None or not claimer.rests.for_room:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0)
        other_is_there.set()
        await one.result(timeout=GIVE_UP_S)
        await other.result(timeout=GIVE_UP_S)
    assert order.index("b first") < order.index("a second")


async def test_what_follows_and_what_waits_share_the_places_that_steps_free(
    database_url: str, adb: asyncpg.Connection
) -> None:
    flow, begun = Flow("busy", input=int, max_concurrent=SLOTS), 0
    all_begun, go_on = asyncio.Event(), asyncio.Event()
    shares: list[tuple[int, int, bool]] = []

    @flow.step
    async def first(n: int = flow.input) -> int:
        nonlocal begun
        begun += 1
        if begun == SLOTS:
            all_begun.set()
        await go_on.wait()
        return n

    @flow.step
    async def second(n: int = first.out) -> int:
        return n

    def claimed(row: Any, sent_at: float) -> None:
        shares.append((len(row["settled"]), len(row["msg_ids"]), row["given"] is not None))
        takes_over(row, sent_at)

    runs = [await flow.options(connection=adb).start(n) for n in range(3 * SLOTS)]
    async with running(database_url, flow.handler()) as workers:
        settler = workers.worker.settler
        takes_over, settler.on_claimed = settler.on_claimed, claimed
        async with asyncio.timeout(GIVE_UP_S):
            await all_begun.wait()
        go_on.set()
        for n, run in enumerate(runs):
            assert await run.result(timeout=GIVE_UP_S) == {"second": n}
    settled, taken, is_told = shares[0]
    assert 1 <= taken <= settled / 2, "others wait: they have the other half"
    assert not is_told
    assert await adb.fetchval("select count(*) from postmill.claims") == 0


async def test_a_worker_prepares_to_settle_before_it_has_anything_to_settle(
    database_url: str, adb: asyncpg.Connection
) -> None:
    """The first settlement made all of its plans: it took ten times as long as the second."""
    flow = chain("prepared")
    async with running(database_url, flow.handler()) as workers:
        async with asyncio.timeout(GIVE_UP_S):
            while not await adb.fetchval(PREPARED, statement("step_prepare")):  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.01)
        assert workers.worker.settler.settled == 0
        run = await flow.options(connection=adb).start(0)
        assert await run.result(timeout=GIVE_UP_S) == {f"s{LONG}": LONG}


async def test_a_worker_that_can_not_prepare_settles(database_url: str, adb: asyncpg.Connection) -> None:
    await adb.execute("drop function postmill._prepare_settling")
    flow = chain("unprepared")
    async with running(database_url, flow.handler()):
        run = await flow.options(connection=adb).start(0)
        assert await run.result(timeout=GIVE_UP_S) == {f"s{LONG}": LONG}


async def test_a_worker_that_stops_claims_nothing_more(database_url: str, adb: asyncpg.Connection) -> None:
    flow = Flow("stops", input=int)
    begun, goes_on = asyncio.Event(), asyncio.Event()

    @flow.step
    async def first(n: int = flow.input) -> int:
        begun.set()
        await goes_on.wait()
        return n

    @flow.step
    async def second(n: int = first.out) -> None:
        raise AssertionError

    async with running(database_url, flow.handler()) as workers:
        await flow.options(connection=adb).start(1)
        await begun.wait()
        stopping = asyncio.ensure_future(workers.engine.stop("test"))
        while not workers.events(Event.WORKER_DRAINING):  # noqa: ASYNC110 - before it has stopped
            await asyncio.sleep(0)
        goes_on.set()
        await stopping
    assert await adb.fetchval("select array_agg(read_ct) from pgmq.q_stops") == [0]
    assert await adb.fetchval("select count(*) from postmill.claims") == 0


async def test_a_windowed_map_goes_on_by_itself(database_url: str, adb: asyncpg.Connection) -> None:
    flow = Flow("windowed", input=list[int])

    @flow.map(max_concurrent=2)
    async def double(n: int = each(flow.input)) -> int:
        return 2 * n

    async with running(database_url, flow.handler()):
        run = await flow.options(connection=adb).start(list(range(40)))
        assert await run.result(timeout=GIVE_UP_S) == {"double": [2 * n for n in range(40)]}
    assert await adb.fetchval("select count(*) from postmill.claims") == 0

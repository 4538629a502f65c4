"""Streams of a run's events: what is committed in whatever order is told, once, and a stream that goes on
misses nothing.
"""

from __future__ import annotations

import asyncio
import gc
import json
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any, cast
from unittest.mock import ANY

import asyncpg
import pytest

from postmill import AsyncClient
from postmill.client.targets import async_executor
from postmill.flows import changes, watching
from postmill.flows.events import Emitted, RunChanged, RunEvent, StepChanged
from postmill.flows.run import Run
from postmill.flows.watching import Watching
from postmill.model.errors import DatabaseUnavailable, InvalidOption, NotFound, Refused
from postmill.model.flow.shape import FlowShape, StepShape
from postmill.model.queue.worker_options import WorkerOptions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from postmill.client.targets import AsyncExecutor

GIVE_UP_S = 60.0
"""Ends a test that would hang; no test measures anything by it."""
CHAIN = FlowShape((StepShape(name="first"), StepShape(name="second", needs=("first",))))


@pytest.fixture
def told_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """No poll comes: only a notification can explain that a change is seen."""
    for pause in ("POLL_S", "FLOOR_S"):
        monkeypatch.setattr(watching, pause, 3600.0)


@pytest.fixture
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test puts in by hand comes with no notification: it is seen at the next look."""
    monkeypatch.setattr(watching, "FLOOR_S", 0.1)


class Watched:
    """A run, and a stream of its events."""

    def __init__(self, url: str, adb: asyncpg.Connection[Any], run_id: int, executor: AsyncExecutor) -> None:
        self.url = url
        self.adb = adb
        self.run_id = run_id
        self.executor = executor
        self.watching = Watching(executor)

    @asynccontextmanager
    async def stream(
        self, position: str | None = None, told_before: Iterable[RunEvent] = ()
    ) -> AsyncIterator[Stream]:
        """From a position on. What was told before may be told again: other tests use the server too, and a
        transaction of theirs may be open.
        """
        async with aclosing(self.watching.batches(self.run_id, position)) as batches:
            yield Stream(batches, told_before)

    async def settle(self, step: str, connection: asyncpg.Connection[Any] | None = None) -> None:
        """A step is done."""
        await (connection or self.adb).execute(
            "select postmill._settle_steps($1, $2, $3, $4)", [self.run_id], [step], [None], ["1"]
        )

    async def say(self, *values: object) -> None:
        """A step says something."""
        await self.adb.execute(
            "insert into postmill.run_events (run_id, step, name, value)"
            " select $1, 'first', 'n', value::jsonb from unnest($2::text[]) as value",
            self.run_id,
            [json.dumps(value) for value in values],
        )


class Stream:
    """What a watcher has seen."""

    def __init__(self, batches: AsyncIterator[changes.Batch], seen_before: Iterable[RunEvent]) -> None:
        self._batches = batches
        self._seen_before = list(seen_before)
        self.seen: list[RunEvent] = []
        self.position: str | None = None
        self.is_over = False

    async def look(self) -> list[RunEvent]:
        """The news of the next look that has found any, or of the last one."""
        async with asyncio.timeout(GIVE_UP_S):
            async for batch in self._batches:
                self.position = batch.position
                self.is_over = batch.is_last
                news = [event for event in batch.events if event not in self._seen_before]
                self.seen += news
                if news or batch.is_last:
                    return news
        raise AssertionError("it has ended")


@pytest.fixture
async def watched(database_url: str, adb: asyncpg.Connection[Any]) -> AsyncIterator[Watched]:
    """A run of two steps that has just begun."""
    executor = async_executor(database_url)
    shape = json.dumps(CHAIN.as_json())
    await adb.execute("select postmill.register_flow('f', 'graph', 'f', $1::jsonb, '{}')", shape)
    run_id = await adb.fetchval("select postmill.start_flow('f')")
    watched = Watched(database_url, adb, run_id, executor)
    yield watched
    await watched.watching.close()
    await executor.close()
    others = (
        "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
    )
    async with asyncio.timeout(GIVE_UP_S):
        while await adb.fetchval(others):  # noqa: ASYNC110 - nobody else says it
            await asyncio.sleep(0.01)


FIRST = StepChanged("first", "started")


@pytest.mark.parametrize("resumed", [False, True])
async def test_a_run_that_comes_to_wait_is_told_as_the_command_line_tells_it(
    watched: Watched, told_only: None, resumed: bool
) -> None:
    """No change of the run's own row says so: streams said running, where lists said waiting."""
    steps = (StepShape(name="first"), StepShape(name="answer", kind="wait", needs=("first",), signal="go"))
    await watched.adb.execute(
        "select postmill.register_flow('w', 'graph', 'f', $1::jsonb, '{}')",
        json.dumps(FlowShape(steps).as_json()),
    )
    watched.run_id = await watched.adb.fetchval("select postmill.start_flow('w')")
    answered = [StepChanged("answer", "completed"), RunChanged("completed")]
    async with watched.stream() as stream:
        assert await stream.look() == [RunChanged("running"), FIRST]
        await watched.settle("first")
        assert (await stream.look())[0] == RunChanged("waiting")
        seen = stream.position
        if not resumed:
            await watched.adb.execute("select postmill.signal_run($1, 'go', '1')", watched.run_id)
            assert await stream.look() == answered
    if resumed:
        async with watched.stream(seen, [StepChanged("first", "completed")]) as again:
            assert (await again.look())[0] == RunChanged("waiting")
            await watched.adb.execute("select postmill.signal_run($1, 'go', '1')", watched.run_id)
            assert await again.look() == answered


async def test_a_stream_tells_what_is_so_then_each_change_and_ends_with_the_run(
    watched: Watched, told_only: None
) -> None:
    async with watched.stream() as stream:
        assert await stream.look() == [RunChanged("running"), FIRST]
        await watched.settle("first")
        assert await stream.look() == [StepChanged("first", "completed"), StepChanged("second", "started")]
        await watched.settle("second")
        assert await stream.look() == [StepChanged("second", "completed"), RunChanged("completed")]
        assert stream.is_over
    assert await watched.adb.fetchval("select count(*) from postmill.waiters") == 0


@pytest.mark.usefixtures("looks_often")
async def test_what_is_committed_out_of_order_is_not_missed(watched: Watched) -> None:
    """The transaction with the smaller number commits last: a position that were the largest number seen
    would be past it.
    """
    async with watched.stream() as stream:
        await stream.look()
        early = await asyncpg.connect(watched.url)
        try:
            transaction = early.transaction()
            await transaction.start()
            await early.execute(
                "insert into postmill.run_events (run_id, name, value) values ($1, 'early', '1')",
                watched.run_id,
            )
            await watched.say("late")
            assert await stream.look() == [Emitted("n", "late", "first")]
            position = stream.position
            await transaction.commit()
            assert await stream.look() == [Emitted("early", 1)]
            in_order = "select array_agg(name order by changed) from postmill.run_events"
            assert await watched.adb.fetchval(in_order) == ["early", "n"], "else this test shows nothing"
        finally:
            await early.close()
    async with watched.stream(position) as again:
        events = await again.look()
        assert Emitted("early", 1) in events, "who goes on from the position before has it too"


@pytest.mark.usefixtures("looks_often")
async def test_a_pinned_horizon_repeats_nothing_within_a_stream(watched: Watched) -> None:
    """A transaction of another program that never ends kept every position where it was, and each look told
    all that had happened since.
    """
    pin = await asyncpg.connect(watched.url)
    try:
        await pin.execute("begin; select pg_current_xact_id()")
        async with watched.stream() as stream:
            await stream.look()
            for number in range(3):
                await watched.say(number)
                assert await stream.look() == [Emitted("n", number, "first")]
            await watched.settle("first")
            assert await stream.look() == [
                StepChanged("first", "completed"),
                StepChanged("second", "started"),
            ]
            position = stream.position
        async with watched.stream(position) as again:
            repeated = await again.look()
            assert {Emitted("n", number, "first") for number in range(3)} <= set(repeated), "harmless"
            await watched.settle("second")
            assert await again.look() == [StepChanged("second", "completed"), RunChanged("completed")]
    finally:
        await pin.close()


async def test_a_stream_goes_on_where_another_one_was_cut(watched: Watched) -> None:
    async with watched.stream() as stream:
        told = await stream.look()
    await watched.settle("first")
    async with watched.stream(stream.position, told) as again:
        assert await again.look() == [StepChanged("first", "completed"), StepChanged("second", "started")]
        told += again.seen
    await watched.settle("second")
    async with watched.stream(again.position, told) as last:
        assert await last.look() == [StepChanged("second", "completed"), RunChanged("completed")]
        told += last.seen
    async with watched.stream(last.position, told) as nothing:
        assert (await nothing.look(), nothing.is_over) == ([], True)


async def test_a_position_of_another_server_begins_anew(watched: Watched) -> None:
    """After a restore, numbers of transactions are smaller than those that clients remember."""
    async with watched.stream(str(2**40)) as stream:
        assert await stream.look() == [RunChanged("running"), FIRST]


@pytest.mark.parametrize("position", ["", "-1", "x", "\uff11", "1.5", str(2**64), "9" * 5000])
async def test_what_is_no_position_is_refused(watched: Watched, position: str) -> None:
    with pytest.raises(InvalidOption, match="no position"):
        async with watched.stream(position) as stream:
            await stream.look()


async def test_many_values_come_in_pages_and_all_of_them_before_the_end(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "PAGE", 10)
    await watched.say(*range(35))
    await watched.settle("first")
    await watched.settle("second")
    async with watched.stream() as stream:
        while not stream.is_over:
            assert len(await stream.look()) <= 10 + 3
        said = [event.value for event in stream.seen if isinstance(event, Emitted)]
        assert said == list(range(35))
        assert stream.seen[-1] == RunChanged("completed")
        assert stream.seen.count(RunChanged("completed")) == 1


async def test_a_slow_reader_makes_nothing_wait_and_nothing_grow(watched: Watched, told_only: None) -> None:
    """Nothing is read for it before it has taken what was read: then it sees the steps as they are."""
    async with watched.stream() as stream:
        await stream.look()
        await watched.settle("first")
        await watched.settle("second")
        assert await stream.look() == [
            StepChanged("first", "completed"),
            StepChanged("second", "completed"),
            RunChanged("completed"),
        ]


async def test_nothing_is_notified_when_nobody_watches(watched: Watched) -> None:
    """The control: the channel of a client that asks is told, and one that has gone is not."""
    heard: list[str] = []
    await watched.adb.add_listener("control", lambda *args: heard.append(args[3]))
    await watched.adb.execute(
        "insert into postmill.waiters values ('#runs', $1, 'control')", watched.run_id + 1
    )
    await watched.settle("first")
    await watched.adb.execute("update postmill.waiters set msg_id = $1", watched.run_id)
    await watched.settle("second")
    assert heard == [f"{watched.run_id} #runs"], "of two settlements, that which was watched"
    await watched.adb.execute("delete from postmill.waiters")


async def test_watchers_share_one_connection_and_wake_together(watched: Watched, told_only: None) -> None:
    async with watched.stream() as one, watched.stream() as other:
        await one.look()
        await other.look()
        listeners = (
            "select count(*) from pg_stat_activity where datname = current_database() and query ~* 'listen'"
        )
        assert await watched.adb.fetchval("select count(distinct channel) from postmill.waiters") == 1
        assert await watched.adb.fetchval(f"{listeners} and pid <> pg_backend_pid()") <= 1
        await watched.settle("first")
        assert await one.look() == await other.look() != []


async def test_a_cut_connection_is_replaced_and_nothing_is_missed(watched: Watched, told_only: None) -> None:
    async with watched.stream() as stream:
        await stream.look()
        await watched.settle("first")
        await watched.adb.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
        assert await stream.look() == [StepChanged("first", "completed"), StepChanged("second", "started")]
        await watched.settle("second")
        assert await stream.look() == [StepChanged("second", "completed"), RunChanged("completed")]


async def test_a_database_that_stays_away_ends_the_stream(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "OUTAGE_S", 0.2)
    monkeypatch.setattr(watching, "RETRY_S", 0.05)
    async with watched.stream() as stream:
        await stream.look()

        async def away(_: object) -> list[Any]:
            raise DatabaseUnavailable("It is away.")

        monkeypatch.setattr(watched.executor, "look", away)
        with pytest.raises(DatabaseUnavailable):
            await stream.look()


async def test_a_run_that_is_gone_is_not_found(watched: Watched) -> None:
    await watched.adb.execute("delete from postmill.runs")
    with pytest.raises(NotFound, match="no run"):
        async with watched.stream() as stream:
            await stream.look()


async def test_a_callers_connection_is_watched_on_unless_it_is_in_a_transaction(
    watched: Watched, told_only: None
) -> None:
    connection = await asyncpg.connect(watched.url)
    try:
        mine = Watched(watched.url, watched.adb, watched.run_id, async_executor(connection))
        async with mine.stream() as stream:
            await stream.look()
            await mine.settle("first")
            assert len(await stream.look()) == 2
        async with connection.transaction():
            with pytest.raises(Refused):
                async with mine.stream() as stream:
                    await stream.look()
    finally:
        await connection.close()


class Named:
    """What a handle asks of the flow that it is a run of."""

    name = "f"
    worker_options = WorkerOptions(queue="f")


async def test_a_handle_tells_its_events_and_where_it_is(watched: Watched) -> None:
    async with AsyncClient(watched.url) as client, asyncpg.create_pool(watched.url) as pool:
        run: Run[Any] = Run(watched.run_id, cast("Any", Named), pool)
        stream = run.events()
        first = (await anext(stream), stream.position)
        assert first == (RunChanged("running"), None), "a batch of which a part was taken is told again"
        second = (await anext(stream), stream.position)
        assert second == (FIRST, ANY)
        assert second[1] is not None
        await stream.aclose()
        await watched.settle("first")
        await watched.settle("second")
        events = [event async for event in run.events(stream.position)]
        assert events[-1] == RunChanged("completed")
        assert {StepChanged("first", "completed"), StepChanged("second", "completed")} <= {*events}
        assert (await client.runs.state(watched.run_id)).has_ended


@pytest.mark.parametrize("how", ["break", "with"])
async def test_a_loop_that_is_left_early_ends_its_stream(watched: Watched, how: str) -> None:
    """The garbage collector ended it some time, all of its generators at once, which broke each other's end:
    errors were printed.
    """
    async with asyncpg.create_pool(watched.url) as pool:
        run: Run[Any] = Run(watched.run_id, cast("Any", Named), pool)
        asked = "select count(*) from postmill.waiters"
        gc.disable()
        try:
            if how == "break":
                async for _ in run.events():
                    assert await watched.adb.fetchval(asked) == 1
                    break
                async with asyncio.timeout(GIVE_UP_S):
                    while await watched.adb.fetchval(asked):  # noqa: ASYNC110 - nobody tells
                        await asyncio.sleep(0.01)
            else:
                async with run.events() as stream:
                    await anext(stream)
                    assert await watched.adb.fetchval(asked) == 1
                assert await watched.adb.fetchval(asked) == 0
        finally:
            gc.enable()

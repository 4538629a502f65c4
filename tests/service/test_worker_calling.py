"""Whatever a handler is made of: its work is done before its message is completed."""

from __future__ import annotations

import asyncio
import functools
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from postmill import Context, Retry, worker
from postmill.handlers.returned import finished as finished_result
from postmill.model.errors import InvalidHandler, Refused
from postmill.model.events import Event
from tests.service.running import finished, running

if TYPE_CHECKING:
    from collections.abc import Callable

done: list[str] = []


@pytest.fixture(autouse=True)
def nothing_done() -> None:
    done.clear()


async def work(payload: Any) -> None:
    await asyncio.sleep(0)
    done.append("work")


def handing_on(function: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator that knows nothing of coroutines."""

    @functools.wraps(function)
    def hand_on(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return hand_on


async def forgets_to_await(payload: Any) -> Any:
    return work(payload)


async def starts_a_task(payload: Any) -> Any:
    return asyncio.create_task(work(payload))


def gathers(payload: Any) -> Any:
    return twice(payload)


async def twice(payload: Any) -> Any:
    return asyncio.gather(work(payload))


def in_a_pool(payload: Any) -> Any:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(done.append, "work")


class Deferred:
    def __init__(self, payload: Any) -> None:
        self._payload = payload

    def __await__(self) -> Any:
        return work(self._payload).__await__()


@pytest.mark.parametrize(
    "function",
    [
        handing_on(work),
        handing_on(handing_on(work)),
        lambda payload: work([payload]),
        functools.partial(lambda _number, payload: work(payload), 1),
        forgets_to_await,
        starts_a_task,
        gathers,
        in_a_pool,
        Deferred,
        handing_on(forgets_to_await),
    ],
)
async def test_what_can_be_awaited_is_awaited(database_url: str, function: Any) -> None:
    """A plain function round the work, or a forgotten await: it was completed, and nothing ran."""
    async with running(database_url, worker(function)) as run:
        await run.send("{}")
        assert (await finished(run, 1))["archive"] == 1
    assert done == ["work"]


def lazily(payload: Any) -> Any:
    done.append("work")
    yield


async def lazily_async(payload: Any) -> Any:
    done.append("work")
    yield


async def returns_a_generator(payload: Any) -> Any:
    return lazily_async(payload)


async def returns_coroutines(payload: Any) -> Any:
    return [work(payload)]


async def leaves_a_task(payload: Any) -> Any:
    return [asyncio.create_task(asyncio.sleep(3600))]


async def returns_a_builtin_method(payload: Any) -> Any:
    return done.append


class Later:
    """An object that was meant to be called once more."""

    async def __call__(self) -> None:
        done.append("work")


def with_options(times: int) -> Any:
    """A decorator that is used without its parentheses."""
    return lambda function: functools.wraps(function)(lambda payload: (times, payload))


@pytest.mark.filterwarnings("ignore:coroutine 'work' was never awaited:RuntimeWarning")
@pytest.mark.parametrize(
    "function",
    [
        handing_on(lazily),
        handing_on(lazily_async),
        returns_a_generator,
        returns_coroutines,
        lambda payload: map(done.append, payload),
        contextmanager(lazily),
        with_options(work),  # type: ignore[arg-type]
        lambda _payload: functools.partial(done.append, "work"),
        lambda payload: {"first": work(payload)},
        lambda payload: [[work(payload)]],
        lambda payload: {work(payload)},
        lambda payload: [Deferred(payload)],
        lambda payload: (1, lazily_async(payload)),
        lambda payload: [map(done.append, payload)],
        lambda _payload: [lambda: done.append("work")],
        lambda _payload: Retry,
        lambda _payload: Later(),
        leaves_a_task,
        returns_a_builtin_method,
    ],
)
async def test_code_that_waits_to_be_run_is_a_failure(database_url: str, function: Any) -> None:
    """A generator or a function as the result: nothing has been done, so nothing is completed."""
    async with running(database_url, worker(retry=Retry.none)(function)) as run:
        await run.send("{}")
        assert await finished(run, 1) == {"queue": 0, "archive": 0, "dead": 1, "claims": 0}
        failure = await run.db.fetchrow("select error_type, error_message from postmill.failures")
    assert failure["error_type"] == "InvalidHandler"
    assert "has not been done" in failure["error_message"]
    assert done == []


@pytest.mark.parametrize("function", [lazily, lazily_async, functools.partial(lazily)])
@pytest.mark.parametrize("options", [{}, {"batch": 3}, {"executor": "process"}])
def test_a_generator_function_is_refused_at_decoration(function: Any, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidHandler, match="yield"):
        worker(**options)(function)
    with pytest.raises(InvalidHandler, match="yield"):
        worker(queue="tasks").task(lazily)


@pytest.mark.parametrize("result", [{"a": 1}, [1, 2], "text", 3, b"bytes", (1,), {1}, [[{"a": [1]}]]])
async def test_ordinary_results_stay_what_they_are(result: object) -> None:
    assert await finished_result(result) == result


@pytest.mark.parametrize("options", [{}, {"batch": 1}])
async def test_an_error_that_is_returned_is_a_failure(database_url: str, options: dict[str, Any]) -> None:
    """A single handler's returned error was completed, a batch handler's failed."""

    @worker(retry=Retry.none, **options)
    async def handle(payload: Any) -> Any:
        error = ValueError("returned")
        return [error] if options else error

    async with running(database_url, handle) as run:
        await run.send("{}")
        assert (await finished(run, 1))["dead"] == 1
        assert await run.db.fetchval("select error_message from postmill.failures") == "returned"


class RunsItsOwnLoop:
    """A decorator written as a class, under the name that many of them give to what they wrap."""

    def __init__(self, func: Any) -> None:
        self.func = func

    def __call__(self, payload: Any) -> None:
        asyncio.run(self.func(payload))


async def test_a_callable_object_is_called_as_it_is(database_url: str) -> None:
    """The async function that it wraps was taken for the handler, and the object was called on the loop."""
    async with running(database_url, worker(RunsItsOwnLoop(work))) as run:
        await run.send("{}")
        assert (await finished(run, 1))["archive"] == 1
    assert done == ["work"]


async def test_the_items_of_a_batch_are_awaited_one_by_one(database_url: str) -> None:
    """Forgotten awaits in a list: each message has the outcome of its own work."""

    async def double(number: int) -> int:
        if number == 2:
            raise ValueError("two")
        done.append(str(number))
        return number * 2

    @worker(batch=4, retry=Retry.none, keep_results=True)
    async def handle(numbers: list[int]) -> Any:
        return [double(number) if number < 4 else lazily(number) for number in numbers]

    async with running(database_url, handle, begin=False) as run:
        await run.db.execute("select postmill.create_queue('tasks')")
        for number in range(1, 5):
            await run.send(str(number))
        await run.engine.start()
        assert await finished(run, 4) == {"queue": 0, "archive": 2, "dead": 2, "claims": 0}
        results = await run.db.fetch("select result from postmill.results order by msg_id")
    assert [row["result"] for row in results] == ["2", "6"]
    assert done == ["1", "3"]


async def test_what_a_thread_returns_after_its_time_is_not_begun(database_url: str) -> None:
    """A plain function returns a coroutine after its time limit: the work would run without a limit."""
    release = threading.Event()

    def slow(payload: Any) -> Any:
        release.wait(20)
        return work(payload)

    async with running(database_url, worker(timeout=0.2, retry=Retry.none)(slow)) as run:
        msg_id = await run.send("{}")
        await run.until(Event.MESSAGE_CLAIMED)
        slot = run.worker.dispatcher.slot_of_id(msg_id)
        assert slot is not None
        await run.true_in_database("pg_sleep(0.5) is not null")  # the limit passes
        assert slot.reason == "timeout"
        release.set()
        assert (await finished(run, 1))["dead"] == 1
        assert await run.db.fetchval("select kind from postmill.failures") == "timeout"
    assert done == []


async def test_a_context_can_be_read_and_not_used_when_its_handler_has_ended(database_url: str) -> None:
    """What it was asked to send after the end was dropped, and nothing said so."""
    kept: list[Context] = []

    @worker
    async def handle(payload: dict[str, Any], ctx: Context) -> None:
        kept.append(ctx)

    async def transact(ctx: Context) -> None:
        async with ctx.transaction():
            pass

    async with running(database_url, handle) as run:
        msg_id = await run.send("{}")
        await run.until(Event.MESSAGE_COMPLETED)
        (ctx,) = kept
        assert (ctx.message.msg_id, ctx.attempt, ctx.queue) == (msg_id, 1, "tasks")
        uses: list[Callable[[], Any]] = [
            lambda: ctx.send("tasks", {}),
            lambda: ctx.progress(0.5),
            lambda: ctx.extend(1),
            lambda: ctx.db,
            lambda: ctx.wait_for(work({})),
        ]
        for use in uses:
            with pytest.raises(Refused, match="after the handler had ended"):
                use()
        with pytest.raises(Refused, match="after the handler had ended"):
            await transact(ctx)
        assert await run.account() == {"queue": 0, "archive": 1, "dead": 0, "claims": 0}
    assert done == []


async def test_waiting_on_the_event_loop_for_the_event_loop_is_refused(database_url: str) -> None:
    """An async handler that calls wait_for would stop its worker for ever."""

    @worker(retry=Retry.none)
    async def handle(payload: dict[str, Any], ctx: Context) -> None:
        ctx.wait_for(work(payload))

    async with running(database_url, handle) as run:
        await run.send("{}")
        assert (await finished(run, 1))["dead"] == 1
        assert await run.db.fetchval("select error_type from postmill.failures") == "Refused"

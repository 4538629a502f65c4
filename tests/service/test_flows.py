"""Graph flows in real workers: steps, maps, conditions, failures, and what each step is given."""

from __future__ import annotations

import asyncio
import os
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from postmill import AsyncClient, Context
from postmill.db.tools import runs
from postmill.db.tools.connect import connect
from postmill.flows.flow import Flow
from postmill.flows.run import Run
from postmill.flows.running.handlers import handlers_of
from postmill.flows.running.inputs import InputQueries
from postmill.flows.steps import each
from postmill.model.config.address import Address
from postmill.model.errors import KeyConflict, NotFound, Refused, RunFailed
from postmill.model.events import Event
from postmill.model.flow.partial import Partial
from postmill.model.queue.outcome import Completed, Failed, Retry, Snooze
from postmill.model.queue.retry import Dead
from tests.service.running import GIVE_UP_S, running

if TYPE_CHECKING:
    import asyncpg

NOW = Retry.fixed(0, max_attempts=3)
"""Three attempts, without a pause."""


@dataclass
class Site:
    url: str
    pages: int = 3


async def result_of(flow: Flow[Any], given: Any, db: asyncpg.Connection, **options: Any) -> dict[str, Any]:
    """What a run of this flow gives."""
    run: Run[dict[str, Any]] = await flow.options(connection=db, **options).start(given)
    return await run.result(timeout=GIVE_UP_S)


async def failure_of(flow: Flow[Any], given: Any, db: asyncpg.Connection) -> RunFailed:
    with pytest.raises(RunFailed) as caught:
        await result_of(flow, given, db)
    return caught.value


async def test_a_chain_passes_typed_values_on(database_url: str, adb: asyncpg.Connection) -> None:
    flow = Flow("chain", input=Site)

    @flow.step
    async def fetch(url: str = flow.input.url) -> Site:
        return Site(url + "/", 5)

    @flow.step
    def count(site: Site = fetch.out) -> int:
        assert isinstance(site, Site)
        assert threading.current_thread() is not threading.main_thread()
        return site.pages

    @flow.step
    async def report(pages: int = count.out, url: str = fetch.out.url) -> str:
        return f"{url} {pages}"

    async with running(database_url, flow.handler()) as worker:
        run = await flow.options(connection=adb).start(Site("a"))
        assert await run.result(timeout=GIVE_UP_S) == {"report": "a/ 5"}
        assert await run.output(fetch) == Site("a/", 5)
        assert await worker.count("pgmq.q_chain") == 0
        assert await worker.count("pgmq.a_chain") == 0
        await worker.let_go()


async def test_a_fan_out_meets_again_once(database_url: str, adb: asyncpg.Connection) -> None:
    flow, joined = Flow("fan", input=int), []

    @flow.step
    async def left(n: int = flow.input) -> int:
        return n + 1

    @flow.step
    async def right(n: int = flow.input) -> int:
        return n * 2

    @flow.step
    async def join(a: int = left.out, b: int = right.out) -> list[int]:
        joined.append((a, b))
        return [a, b]

    async with running(database_url, flow.handler()):
        found = await asyncio.gather(*(result_of_in_pool(flow, n, database_url) for n in range(20)))
    assert found == [{"join": [n + 1, n * 2]} for n in range(20)]
    assert len(joined) == 20


async def result_of_in_pool(flow: Flow[Any], given: Any, url: str) -> dict[str, Any]:
    run = await flow.options(connection=url).start(given)
    found: dict[str, Any] = await run.result(timeout=GIVE_UP_S)
    return found


@pytest.mark.parametrize("window", [None, 2])
async def test_a_map_gives_its_results_in_order(
    window: int | None, database_url: str, adb: asyncpg.Connection
) -> None:
    flow = Flow("mapped", input=list[int], max_concurrent=20)
    at_once, most = 0, 0
    options: dict[str, Any] = {} if window is None else {"max_concurrent": window}

    @flow.map(**options)
    async def double(n: int = each(flow.input)) -> int:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.01 if n % 3 else 0)
        at_once -= 1
        return n * 2

    @flow.step
    async def total(all_of_them: list[int] = double.out) -> list[int]:
        return all_of_them

    async with running(database_url, flow.handler()):
        assert await result_of(flow, list(range(30)), adb) == {"total": [n * 2 for n in range(30)]}
        assert await result_of(flow, [], adb) == {"total": []}
    assert window is None or most <= window


async def test_items_that_fail_are_collected(database_url: str, adb: asyncpg.Connection) -> None:
    flow = Flow("collecting", input=list[int], retry=NOW)

    @flow.map(on_dead="collect")
    async def invert(n: int = each(flow.input)) -> float:
        return 1 / n

    @flow.step
    async def told(found: Partial[float] = invert.partial) -> dict[str, Any]:
        assert isinstance(found, Partial)
        return {"results": found.results, "failed": [error.item for error in found.errors]}

    async with running(database_url, flow.handler()):
        assert await result_of(flow, [1, 0, 2], adb) == {"told": {"results": [1.0, 0.5], "failed": [1]}}


async def test_a_condition_decides_what_is_skipped(database_url: str, adb: asyncpg.Connection) -> None:
    flow = Flow("choosing", input=Site)

    @flow.step(when=flow.input.pages == 3, on_unmet="skip")
    async def thrice(url: str = flow.input.url) -> str:
        return url * 3

    @flow.step
    async def told(text: str | None = thrice.maybe) -> str:
        return text or "nothing"

    async with running(database_url, flow.handler()):
        assert await result_of(flow, Site("a", 3), adb) == {"told": "aaa"}
        assert await result_of(flow, Site("a", 4), adb) == {"told": "nothing"}


@pytest.mark.parametrize("falsy", [0, "", False, None, [], {}])
async def test_a_falsy_output_is_an_output(falsy: object, database_url: str, adb: asyncpg.Connection) -> None:
    flow = Flow("falsy", input=Site)

    @flow.step
    async def gives(_url: str = flow.input.url) -> Any:
        return falsy

    @flow.step
    async def passes_on(value: Any = gives.out) -> Any:
        return [value]

    async with running(database_url, flow.handler()):
        run = await flow.options(connection=adb).start(Site("a"))
        assert await run.result(timeout=GIVE_UP_S) == {"passes_on": [falsy]}
        assert await run.output(gives) == falsy


async def test_each_step_has_its_own_attempts_and_time(database_url: str, adb: asyncpg.Connection) -> None:
    """The retries and the time limit of a worker's options would hold for every step alike."""
    flow, tries = Flow("own", input=int, retry=Retry.none), {"patient": 0, "slow": 0}

    @flow.step(retry=NOW)
    async def patient(n: int = flow.input) -> int:
        tries["patient"] += 1
        if tries["patient"] < 3:
            raise OSError("not yet")
        return n

    @flow.step(timeout=0.05)
    async def slow(n: int = patient.out) -> int:
        tries["slow"] += 1
        await asyncio.sleep(GIVE_UP_S)
        return n

    async with running(database_url, flow.handler()):
        error = await failure_of(flow, 1, adb)
    assert (error.culprit, tries) == ("slow", {"patient": 3, "slow": 1})
    assert "still running after 0.05 s" in str(error.reason)


async def test_the_time_limit_of_a_step_begins_with_its_function(
    database_url: str, adb: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that answered late failed steps that had not begun."""
    flow, asked = Flow("late", input=int, retry=Retry.none, timeout=0.1), InputQueries.of

    @flow.step
    async def quick(n: int = flow.input) -> int:
        return n

    @flow.step
    async def slow(n: int = quick.out) -> int:
        await asyncio.sleep(GIVE_UP_S)
        return n

    async def late(queries: InputQueries, *of: Any) -> Any:
        await asyncio.sleep(0.2)
        return await asked(queries, *of)

    monkeypatch.setattr(InputQueries, "of", late)
    async with running(database_url, flow.handler()):
        error = await failure_of(flow, 1, adb)
    assert (error.culprit, "still running after 0.1 s" in str(error.reason)) == ("slow", True)


@pytest.mark.parametrize("on_dead", ["skip", "skip_cascade"])
async def test_a_dead_step_may_be_skipped(on_dead: Any, database_url: str, adb: asyncpg.Connection) -> None:
    flow = Flow("forgiving", input=int)

    @flow.step(on_dead=on_dead)
    async def dies(n: int = flow.input) -> int:
        raise Dead(f"no {n}")

    @flow.step
    async def after(n: int | None = dies.maybe) -> str:
        return f"after {n}"

    async with running(database_url, flow.handler()):
        found = await result_of(flow, 1, adb)
    assert found == ({"after": "after None"} if on_dead == "skip" else {})


async def test_a_step_that_is_dead_fails_its_run_and_leaves_no_letter(
    database_url: str, adb: asyncpg.Connection
) -> None:
    flow = Flow("fails", input=int, retry=NOW)

    @flow.step
    async def breaks(n: int = flow.input) -> int:
        raise ValueError(f"bad {n}")

    async with running(database_url, flow.handler()) as worker:
        error = await failure_of(flow, 7, adb)
        (told,) = worker.events(Event.STEP_FAILED)
        assert await worker.account("fails") == {"queue": 0, "archive": 0, "dead": 0, "claims": 0}
        assert await worker.count("postmill.failures where queue_name = 'fails'") == 3
    assert error.culprit == "breaks"
    assert "ValueError: bad 7" in str(error.reason)
    assert "ValueError: bad 7" in told["error"]


@pytest.mark.parametrize(
    ("returned", "reason"),
    [(object(), "can't be written as JSON"), (float("nan"), "NaN"), ("x" * 1_100_000, "1,100,002 bytes")],
)
async def test_an_output_that_can_not_be_kept_fails_its_step(
    returned: object, reason: str, database_url: str, adb: asyncpg.Connection
) -> None:
    """A result that is no JSON is dropped where results are an extra; a step's is what others wait for."""
    flow, calls = Flow("odd", input=int, retry=NOW), []

    @flow.step
    async def makes(n: int = flow.input) -> Any:
        calls.append(n)
        return returned

    async with running(database_url, flow.handler()):
        error = await failure_of(flow, 1, adb)
    assert reason in str(error.reason)
    assert "'makes'" in str(error.reason)
    assert calls == [1], "another attempt would only do the work again"


async def test_an_input_that_does_not_fit_names_the_parameter(
    database_url: str, adb: asyncpg.Connection
) -> None:
    flow = Flow("misfit", input=Site)

    @flow.step
    async def gives(_url: str = flow.input.url) -> Any:
        return "no number"

    @flow.step
    async def takes(n: int = gives.out) -> int:
        return n

    async with running(database_url, flow.handler()):
        error = await failure_of(flow, Site("a"), adb)
    assert error.culprit == "takes"
    assert "'n' of step 'takes' does not fit" in str(error.reason)


async def test_what_a_step_may_return_or_raise_beside_its_output(
    database_url: str, adb: asyncpg.Connection
) -> None:
    flow, looks = Flow("outcomes", input=int), []

    @flow.step
    async def waits(n: int = flow.input) -> Any:
        looks.append(n)
        return Snooze(0) if len(looks) < 2 else Completed(n)

    @flow.step
    async def retries(n: int = waits.out) -> Any:
        looks.append(n)
        return Retry("again", after=0) if len(looks) < 4 else n

    async with running(database_url, flow.handler()):
        assert await result_of(flow, 5, adb) == {"retries": 5}
    assert looks == [5] * 4


async def test_a_failure_of_a_class_of_ones_own_ends_the_step(
    database_url: str, adb: asyncpg.Connection
) -> None:
    class Rejected(Failed):
        """A user's own kind of failure."""

    flow = Flow("own_failures", input=int)

    @flow.step
    async def tries(n: int = flow.input) -> Any:
        return Rejected("error", "Rejected", "not now", None, 0.0 if n else None, reason="never")

    async with running(database_url, flow.handler()) as worker:
        assert (await failure_of(flow, 0, adb)).reason == "never"
        await flow.options(connection=adb).start(1)
        await worker.until(Event.MESSAGE_RETRYING, count=2)


async def test_eight_megabytes_pass_along_a_chain(database_url: str, adb: asyncpg.Connection) -> None:
    flow = Flow("large", input=list[str])

    @flow.step
    async def first(texts: list[str] = flow.input) -> int:
        return sum(map(len, texts))

    @flow.map
    async def copied(text: str = each(flow.input)) -> str:
        return text

    @flow.step
    async def last(texts: list[str] = copied.out, before: int = first.out) -> bool:
        return sum(map(len, texts)) == before

    async with running(database_url, flow.handler()):
        assert await result_of(flow, ["x" * 1_000_000] * 8, adb) == {"last": True}


async def test_a_start_that_is_rolled_back_never_was(database_url: str, adb: asyncpg.Connection) -> None:
    flow, seen = Flow("started", input=int), []

    @flow.step
    async def see(n: int = flow.input) -> int:
        seen.append(n)
        return n

    async with running(database_url, flow.handler()):
        transaction = adb.transaction()
        await transaction.start()
        await flow.options(connection=adb).start(1)
        await transaction.rollback()
        async with adb.transaction():
            run = await flow.options(connection=adb).start(2)
        assert await run.result(timeout=GIVE_UP_S) == {"see": 2}
    assert seen == [2]


async def test_a_key_stands_for_one_run(database_url: str, adb: asyncpg.Connection) -> None:
    flow = Flow("keyed", input=int)

    @flow.step
    async def same(n: int = flow.input) -> int:
        return n

    async with running(database_url, flow.handler()):
        start = flow.options(connection=adb, key="order-1").start
        first = await start(1)
        assert (await start(1)).run_id == first.run_id
        with pytest.raises(KeyConflict):
            await start(2)


async def test_a_start_tells_the_database_of_a_flow_that_no_worker_has_told_of(
    adb: asyncpg.Connection,
) -> None:
    """Not in the caller's transaction, which would hold its locks; and a name alone may be mistyped."""
    flow = Flow("unheard_of", input=int)
    flow.sleep(3600)
    with pytest.raises(NotFound, match="unheard_of"):
        async with adb.transaction():
            await flow.options(connection=adb).start(1)
    with pytest.raises(NotFound, match="unheard_of"):
        await AsyncClient(adb).runs.start("unheard_of", 1)
    run = await flow.options(connection=adb).start(1)
    assert (await run.state()).state == "waiting"


async def test_the_context_of_a_step_refuses_what_would_end_it_early(
    database_url: str, adb: asyncpg.Connection
) -> None:
    flow, told = Flow("contexts", input=int), []

    @flow.step
    async def tries(ctx: Context, n: int = flow.input) -> int:
        async with ctx.db as connection:
            n += await connection.fetchval("select 1")
        for refused in (lambda: ctx.send("other", 1), ctx.transaction):
            with pytest.raises(Refused) as caught:
                refused()
            told.append(str(caught.value))
        return n

    async with running(database_url, flow.handler()):
        assert await result_of(flow, 1, adb) == {"tries": 2}
    assert len(told) == 2


async def test_a_run_that_fails_undoes_its_steps(database_url: str, adb: asyncpg.Connection) -> None:
    flow = Flow("undoing", input=int, retry=NOW)
    undone: list[Any] = []

    async def release(room: Site) -> None:
        undone.append(room)

    def refund(amount: int) -> None:
        undone.append(amount)
        if undone.count(amount) < 2:
            raise OSError("not yet")

    async def impossible(_text: str) -> None:
        raise Dead("it was sent")

    @flow.step(compensate=release)
    async def reserve(n: int = flow.input) -> Site:
        return Site("room", n)

    @flow.step(compensate=refund, after=[reserve])
    async def charge(n: int = flow.input) -> int:
        return n * 100

    @flow.step(compensate=impossible, after=[charge])
    async def tell(n: int = flow.input) -> str:
        return "sent"

    @flow.step(after=[tell])
    async def fails(n: int = flow.input) -> int:
        raise Dead("no")

    async with running(database_url, flow.handler()) as worker:
        error = await failure_of(flow, 7, adb)
        assert error.culprit == "fails"
        assert undone == [700, 700, Site("room", 7)]
        rows = await adb.fetch("select step, reason, undone_at from postmill.steps order by step")
        found = {row["step"]: (row["reason"], row["undone_at"] is not None) for row in rows}
        assert found["charge"] == found["reserve"] == (None, True)
        assert found["tell"] == ("not undone: it was sent", False)
        with connect(Address(database_url)) as session:
            shown = runs.one(session, 1)["steps"]
        assert [row["undone_at"] is not None for row in shown] == [True, True, False, False]
        await worker.let_go()
        assert await worker.account("undoing") == {"queue": 0, "archive": 0, "dead": 0, "claims": 0}


async def test_a_step_that_is_another_flow(database_url: str, adb: asyncpg.Connection) -> None:
    inner, outer = Flow("inner", input=int, retry=Retry.none), Flow("outer", input=Site)

    @inner.step
    async def halve(n: int = inner.input) -> float:
        if n % 2:
            raise ValueError(f"{n} is odd")
        return n / 2

    half = outer.run(inner, outer.input.pages)

    @outer.step
    async def told(found: dict[str, Any] = half.out) -> Any:
        return found["halve"]

    async with running(database_url, inner.handler(), outer.handler()):
        assert await result_of(outer, Site("a", 4), adb) == {"told": 2}
        error = await failure_of(outer, Site("a", 5), adb)
    assert error.culprit == "inner"
    assert "5 is odd" in str(error.reason)


async def test_a_sleep_ends_by_itself(database_url: str, adb: asyncpg.Connection) -> None:
    flow = Flow("sleeper", input=int)
    rest = flow.sleep(0.05)

    @flow.step(after=[rest])
    async def woke(n: int = flow.input) -> int:
        return n

    async with running(database_url, flow.handler()):
        assert await result_of(flow, 1, adb) == {"woke": 1}


async def test_a_step_may_have_a_queue_of_its_own(database_url: str, adb: asyncpg.Connection) -> None:
    flow, at = Flow("parted", input=int), []

    @flow.step(queue="elsewhere")
    async def far(ctx: Context, n: int = flow.input) -> int:
        at.append(ctx.queue)
        return n

    @flow.step
    async def near(ctx: Context, n: int = far.out) -> int:
        at.append(ctx.queue)
        return n

    handlers = handlers_of([flow])
    async with running(database_url, *handlers) as worker:
        assert await result_of(flow, 1, adb) == {"near": 1}
        assert [each.handler.options.queue for each in worker.engine.workers] == ["parted", "elsewhere"]
    assert at == ["elsewhere", "parted"]


async def test_a_step_may_run_in_a_process_of_its_own(database_url: str, adb: asyncpg.Connection) -> None:
    async with running(database_url, isolated.handler()):
        found = await result_of(isolated, 1, adb)
    assert found["apart"] != os.getpid()


isolated = Flow("isolated", input=int)


@isolated.step(executor="process")
def apart(n: int = isolated.input) -> int:
    return os.getpid() if n else 0


@dataclass
class Report:
    team: str = "a"
    pages: list[int] = field(default_factory=list)
    days: list[int] = field(default_factory=list)
    fast: bool = True


async def test_a_start_outside_of_python_has_the_defaults_of_the_input(
    database_url: str, adb: asyncpg.Connection
) -> None:
    """A schedule's run has the empty object as its input: each field of it was null."""
    flow = Flow("defaults", input=Report, retry=NOW)

    @flow.step(when=flow.input.fast)
    async def name(team: str = flow.input.team) -> str:
        return team

    @flow.map
    async def count(day: int = each(flow.input.days)) -> int:
        return day

    async with running(database_url, flow.handler()):
        client = AsyncClient(adb)
        first = await client.runs.start("defaults")
        second = await client.runs.start("defaults", {"team": "b", "days": [1]}, key="k")
        assert (
            await client.runs.start("defaults", {"team": "b", "days": [1], "fast": True}, key="k") == second
        )
        assert await Run(first, flow, adb).result(timeout=GIVE_UP_S) == {"name": "a", "count": []}
        assert await Run(second, flow, adb).result(timeout=GIVE_UP_S) == {"name": "b", "count": [1]}


async def test_a_shape_that_comes_back_is_the_one_that_runs_start_with(adb: asyncpg.Connection) -> None:
    """After a rollback no worker has the newer version: its runs would stand."""
    versions = []
    for name in ("old", "new", "old"):
        flow = Flow("rolled_back", input=int)
        flow.sleep(3600, name=name)
        for said in flow.handler().declarations:
            await adb.fetchrow(said.text, *said.arguments)
        run_id = await AsyncClient(adb).runs.start("rolled_back", 1)
        versions.append(await adb.fetchval("select version from postmill.run_list where run_id = $1", run_id))
    assert versions == [1, 2, 1]


async def test_a_step_of_another_flow_on_the_same_queue_is_not_taken_for_an_own_one(
    database_url: str, adb: asyncpg.Connection
) -> None:
    """Both have a step of this name and these parameters: whichever worker claimed the task ran its own."""

    def of(name: str) -> Flow[int]:
        flow = Flow(name, input=int, queue="shared")

        @flow.step
        async def tell(n: int = flow.input) -> str:
            return f"{name} {n}"

        return flow

    mine, other = of("mine"), of("other")
    run = await other.options(connection=adb).start(1)
    async with running(database_url, mine.handler()) as worker:
        await worker.until(Event.STEP_HELD)
        assert await result_of(mine, 2, adb) == {"tell": "mine 2"}
    async with running(database_url, other.handler()):
        assert await run.result(timeout=GIVE_UP_S) == {"tell": "other 1"}

"""Workers on several databases: each has an engine of its own, and they share the slots."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from postmill import AsyncRoutedClient, Context, Databases, Route, worker
from postmill.databases.starting import looked_up
from postmill.model.errors import InvalidOption, Refused
from postmill.model.events import Event
from tests.several import count, key_of, named_databases, prepare, working

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from postmill.embedded import Server
    from tests.servers import PrivateServer

NAMES = ("eu1", "eu2")
ROUTES = {"mail": Route(NAMES, "tenant")}


@pytest.fixture
def urls(shared_server: Server, administrator: psycopg.Connection[Any]) -> Iterator[dict[str, str]]:
    with named_databases(administrator, shared_server, *NAMES, queues=["mail"]) as made:
        yield made


@worker(queue="mail")
async def deliver(_: Any) -> None: ...


@worker(queue="mail", executor="ray")
def train(_: Any) -> None: ...


async def send(urls: dict[str, str], many: int, *, to: tuple[str, ...] = ()) -> None:
    """So many messages to each of the databases, or those named."""
    async with AsyncRoutedClient(Databases.of(urls, {"mail": Route(tuple(urls), "tenant")})) as client:
        for name in to or urls:
            await client.send_many(
                "mail", [{"n": number} for number in range(many)], shard_key=key_of(name, tuple(urls))
            )


async def test_one_process_works_on_all_of_them(urls: dict[str, str]) -> None:
    await send(urls, 200)
    async with working(urls, ROUTES, deliver) as found:
        await found.until(lambda: found.completed.total() == 400)
        assert found.engines.not_ready is None
    assert [(count(url, "pgmq.q_mail"), count(url, "pgmq.a_mail")) for url in urls.values()] == [(0, 200)] * 2
    assert found.completed == {"eu1": 200, "eu2": 200}


async def test_the_slots_are_one_number_for_all_databases(urls: dict[str, str]) -> None:
    at_once, most, release = 0, 0, asyncio.Event()

    @worker(queue="mail", max_concurrent=3)
    async def hold(_: Any) -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await release.wait()
        at_once -= 1

    await send(urls, 20)
    async with working(urls, ROUTES, hold) as found:
        while at_once < 3:  # noqa: ASYNC110 - a start is said nowhere
            await asyncio.sleep(0.01)
        assert found.engines.running == 3
        release.set()
        await found.until(lambda: found.completed.total() == 40)
    assert most == 3


async def test_a_flood_in_one_database_does_not_keep_the_other_from_its_slots(urls: dict[str, str]) -> None:
    first = asyncio.Event()

    @worker(queue="mail", max_concurrent=1)
    async def slowly(payload: dict[str, Any]) -> None:
        if payload["n"] == 5:
            first.set()
        await asyncio.sleep(0.002)

    await send(urls, 1_000, to=("eu1",))
    async with working(urls, ROUTES, slowly) as found:
        await first.wait()
        await send(urls, 3, to=("eu2",))
        await found.until(lambda: found.completed["eu2"] == 3)
        assert found.completed["eu1"] < 1_000


async def test_messages_tell_of_their_database(urls: dict[str, str]) -> None:
    async with working(urls, ROUTES, deliver) as found:
        await found.until(
            lambda: {name for event, name in found.said if event is Event.WORKER_STARTED} == set(NAMES)
        )
        assert sorted(each.place for each in found.engines.workers) == ["eu1/mail", "eu2/mail"]


async def test_a_queue_without_a_route_is_worked_on_in_the_main_database(urls: dict[str, str]) -> None:
    @worker(queue="hello")
    async def greet(_: Any) -> None: ...

    async with working(urls, ROUTES, greet, deliver, main="eu2") as found:
        await found.until(lambda: sum(event is Event.WORKER_STARTED for event, _ in found.said) == 3)
        assert sorted(each.place for each in found.engines.workers) == ["eu1/mail", "eu2/hello", "eu2/mail"]


async def test_what_a_former_route_has_left_is_worked_on_too(urls: dict[str, str]) -> None:
    await send(urls, 10)
    async with working(urls, {"mail": Route(("eu1",))}, deliver) as found:
        await found.until(lambda: found.completed == {"eu1": 10, "eu2": 10})


async def test_a_process_may_work_on_one_of_them_only(urls: dict[str, str]) -> None:
    await send(urls, 5)
    async with working(urls, ROUTES, deliver, only="eu2") as found:
        await found.until(lambda: found.completed["eu2"] == 5)
        assert list(found.engines.engines) == ["eu2"]
    assert count(urls["eu1"], "pgmq.q_mail") == 5


async def test_a_handler_sends_into_its_own_database_only(urls: dict[str, str]) -> None:
    refused: list[str] = []

    @worker(queue="mail")
    async def forward(payload: dict[str, Any], ctx: Context) -> None:
        if payload.get("again"):
            return
        here, there = key_of("eu1", NAMES), key_of("eu2", NAMES)
        try:
            ctx.send("mail", {"again": True}, shard_key=there)
        except Refused as error:
            refused.append(str(error))
        async with ctx.transaction() as transaction:
            await transaction.send("mail", {"again": True}, shard_key=here)
            await transaction.send_many("mail", [{"again": True, "tenant": here}] * 2)

    async with AsyncRoutedClient(Databases.of(urls, ROUTES)) as client:
        await client.send("mail", {}, shard_key=key_of("eu1", NAMES))
    async with working(urls, ROUTES, forward) as found:
        await found.until(lambda: found.completed["eu1"] == 4)
    assert len(refused) == 1
    assert "lives in database eu2, and this connection leads to eu1" in refused[0]
    assert count(urls["eu2"], "pgmq.a_mail") == 0


async def test_a_schedule_lives_in_one_database(urls: dict[str, str]) -> None:
    @worker(queue="mail", schedule="@yearly")
    async def yearly(_: Any) -> None: ...

    async with working(urls, ROUTES, yearly, schedules="eu2") as found:
        await found.until(lambda: sum(event is Event.WORKER_STARTED for event, _ in found.said) == 2)
    assert [count(url, "postmill.schedules") for url in urls.values()] == [0, 1]

    @worker(queue="hello", schedule="@yearly")
    async def elsewhere(_: Any) -> None: ...

    placement = looked_up(Databases.of(urls, schedules="eu2"), [elsewhere], None)
    with pytest.raises(InvalidOption, match="does not live where schedules do, in eu2"):
        placement.of([elsewhere])


def test_two_names_of_one_database_are_refused_before_anything_is_claimed(urls: dict[str, str]) -> None:
    other = urls["eu1"].replace("postgresql://", "postgres://") + "&application_name=other"
    twice = Databases.of({"eu1": urls["eu1"], "eu9": other}, {"mail": Route(("eu1", "eu9"))})
    with pytest.raises(Refused, match="database is called eu1, and not eu9"):
        looked_up(twice, [deliver], None)


def test_a_database_that_has_none_of_the_work_is_told(urls: dict[str, str]) -> None:
    @worker(queue="hello")
    async def greet(_: Any) -> None: ...

    with pytest.raises(InvalidOption, match="has work in database eu2"):
        looked_up(Databases.of(urls, ROUTES), [greet], "eu2").of([greet])


def test_a_handler_on_a_cluster_works_on_one_database_a_process(urls: dict[str, str]) -> None:
    """Its workers would share one connection to the cluster, which belongs to the one that began last."""
    with pytest.raises(InvalidOption, match="works on one database a process"):
        looked_up(Databases.of(urls, ROUTES), [train], None).of([train])
    assert list(looked_up(Databases.of(urls, ROUTES), [train], "eu2").of([train])) == ["eu2"]


async def test_a_database_that_dies_stops_its_own_share_only_and_loses_nothing(
    urls: dict[str, str], server: PrivateServer
) -> None:
    prepare(server.url, "eu3", ["mail"])
    three = {**urls, "eu3": server.url}
    async with working(three, {"mail": Route(tuple(three), "tenant")}, deliver) as found:
        await send(three, 300)
        await found.until(lambda: found.completed["eu3"] > 0)
        await asyncio.to_thread(server.stop, "immediate")
        await send(three, 300, to=NAMES)
        await found.until_empty(*urls.values())
        assert found.engines.not_ready is None
        await asyncio.to_thread(server.start)
        await send(three, 50, to=("eu3",))
        await found.until_empty(*three.values())
    assert [count(url, "pgmq.a_mail") for url in three.values()] == [600, 600, 350]


async def test_workers_start_while_one_database_is_away(urls: dict[str, str], server: PrivateServer) -> None:
    prepare(server.url, "eu3", ["mail"])
    three = {**urls, "eu3": server.url}
    await asyncio.to_thread(server.stop)
    async with working(three, {"mail": Route(tuple(three), "tenant")}, deliver) as found:
        await send(three, 20, to=NAMES)
        await found.until(lambda: found.completed.total() == 40)
        await asyncio.to_thread(server.start)
        await send(three, 20, to=("eu3",))
        await found.until(lambda: found.completed["eu3"] == 20)


async def test_a_database_that_is_added_under_load_takes_new_keys_and_nothing_is_lost(
    urls: dict[str, str], shared_server: Server, administrator: psycopg.Connection[Any]
) -> None:
    with named_databases(administrator, shared_server, "eu3", queues=["mail"]) as added:
        three = {**urls, **added}
        before, after = (
            Databases.of(urls, ROUTES),
            Databases.of(three, {"mail": Route(tuple(three), "tenant")}),
        )
        keys = [f"tenant-{number}" for number in range(60)]
        seen: list[tuple[int, str]] = []

        @worker(queue="mail")
        async def note(payload: dict[str, Any]) -> None:
            seen.append((payload["n"], payload["tenant"]))

        async def load(databases: Databases, numbers: range) -> None:
            async with AsyncRoutedClient(databases) as client:
                for number in numbers:
                    await client.send_many("mail", [{"n": number, "tenant": key} for key in keys])

        async with working(urls, ROUTES, note), working(three, after.routes, note) as new:
            await asyncio.gather(load(before, range(10)), load(after, range(10, 20)))
            await new.until_empty(*three.values())  # one that was seen may not be settled yet
        assert sorted(seen) == sorted((number, key) for number in range(20) for key in keys)
        assert [count(url, "pgmq.q_mail") for url in three.values()] == [0, 0, 0]
        moved = [key for key in keys if after.home("mail", key) == "eu3"]
        assert count(three["eu3"], "pgmq.a_mail") == 10 * len(moved) > 0

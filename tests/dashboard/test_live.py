"""The stream of versions and the hub behind it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from postmill.dashboard.live import hub as hub_module
from postmill.dashboard.live.hub import Hub
from postmill.db.reads.versions import Watched, watched
from postmill.model.errors import DatabaseUnavailable
from tests.dashboard.streams import Stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterator, Mapping

    import httpx
    import psycopg

    from postmill.dashboard.application import Dashboard

    Db = psycopg.Connection[dict[str, Any]]


@pytest.fixture
def key() -> dict[str, str]:
    """Of a reader: looking is enough to watch."""
    return {"host": "127.0.0.1", "authorization": "Bearer readers-key"}


async def test_a_stream_begins_with_its_versions_and_then_tells_what_changes(
    dashboard: Dashboard, db: Db, key: dict[str, str]
) -> None:
    db.execute("select postmill.create_queue('mail'), postmill.create_queue('other')")
    stream = Stream(dashboard, "topic=queue:mail&topic=queue:other&topic=nonsense", key)
    first = await stream.news()
    assert first is not None
    assert set(first) == {"queue:mail", "queue:other"}
    db.execute("select postmill.send('mail', '{}')")
    second = await stream.news()
    assert second is not None
    assert set(second) == {"queue:mail"}
    assert second["queue:mail"] != first["queue:mail"]
    await stream.leave()


@pytest.mark.parametrize(
    ("topic", "change"),
    [
        ("queues", "select postmill.send('mail', '{}')"),
        ("queues", "select postmill.create_queue('new')"),
        ("queue:mail", "select postmill.pause('mail', 'deploy')"),
        ("message:mail/1", "select postmill.cancel('mail', 1)"),
        (
            "workers",
            """insert into postmill.workers
                      (queue_name, function_name, hostname, pid, version, max_concurrent)
               values ('mail', 'f', 'h', 1, '1', 1)""",
        ),
    ],
)
async def test_what_people_watch_has_another_version_when_it_changes(
    dashboard: Dashboard, db: Db, key: dict[str, str], topic: str, change: str
) -> None:
    db.execute("select postmill.create_queue('mail'), postmill.send('mail', '{}')")
    stream = Stream(dashboard, f"topic={topic}", key)
    assert set(await stream.news() or ()) == {topic}
    db.execute(change)
    assert set(await stream.news() or ()) == {topic}
    await stream.leave()


async def test_streams_end_when_the_process_is_about_to_stop(
    dashboard: Dashboard, db: Db, key: dict[str, str]
) -> None:
    streams = [Stream(dashboard, "topic=failures&topic=workers", key) for _ in range(20)]
    for stream in streams:
        await stream.news()
    dashboard.end_streams()
    assert [await stream.news() for stream in streams] == [None] * 20
    late = Stream(dashboard, "topic=workers", key)
    assert await late.news() is None
    assert late.status == 503


async def test_a_stranger_watches_nothing(stranger: httpx.AsyncClient) -> None:
    assert (await stranger.get("/live?topic=queues")).status_code == 401


async def test_a_poll_that_breaks_ends_no_stream(caplog: pytest.LogCaptureFixture) -> None:
    """The poll's task had ended with the bug, and the pages that watched were told nothing any more."""
    polls: Iterator[Exception | dict[str, str]] = iter([RuntimeError("a bug"), {"runs": "1"}])

    async def poll(_: Collection[str]) -> Mapping[str, str]:
        found = next(polls)
        if isinstance(found, Exception):
            raise found
        return found

    hub = Hub(poll)
    async with asyncio.timeout(10):
        assert await anext(hub.stream(["runs"])) == {"runs": "1"}
    hub.close()
    assert "a bug" in caplog.text


class Looked(list[str]):
    """Topics that count how often their stream has looked for news of them."""

    looks = 0

    def __iter__(self) -> Iterator[str]:
        """As a list does it."""
        self.looks += 1
        return super().__iter__()


async def test_a_poll_without_news_wakes_no_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two hundred open pages cost 3 % of a core while nothing happened: each poll woke all of them."""
    monkeypatch.setattr(hub_module, "POLL_S", 0.01)

    async def poll(topics: Collection[str]) -> Mapping[str, str]:
        return dict.fromkeys(topics, "1")

    hub, topics = Hub(poll), Looked(["runs"])
    stream = hub.stream(topics)
    async with asyncio.timeout(10):
        assert await anext(stream) == {"runs": "1"}
        waits = asyncio.ensure_future(anext(stream, None))
        await asyncio.sleep(0)
        looks, polls = topics.looks, hub.polls
        while hub.polls < polls + 5:  # noqa: ASYNC110 - a poll is told nowhere
            await asyncio.sleep(0.01)
        assert topics.looks == looks
        hub.close()
        assert await waits is None


def test_a_slow_poll_makes_no_page_late_and_slow_ones_are_fewer() -> None:
    """On a busy machine a poll waited 60 ms for a processor, and the next one came 1.2 s later."""
    assert hub_module.rest_s([0.002, 0.06]) == hub_module.POLL_S
    assert hub_module.rest_s([0.05, 0.06]) == 1.0


async def test_a_page_is_told_that_nothing_can_be_read_and_that_this_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The database was away, and pages with old numbers said that they were live."""
    monkeypatch.setattr(hub_module, "STILL_HERE_S", 0.3)
    is_away = asyncio.Event()

    async def poll(topics: Collection[str]) -> Mapping[str, str]:
        if is_away.is_set():
            raise DatabaseUnavailable("The database is away.")
        return dict.fromkeys(topics, "1")

    hub = Hub(poll)
    stream = hub.stream(["runs"])
    async with asyncio.timeout(10):
        assert await anext(stream) == {"runs": "1"}
        is_away.set()
        while (news := await anext(stream)) is not None:
            assert news == {}
        is_away.clear()
        while (news := await anext(stream)) is None:
            pass
        assert news == {}
    hub.close()


async def test_all_that_watch_share_one_poll_and_nobody_polls_when_nobody_watches() -> None:
    asked: list[list[str]] = []

    async def poll(topics: Collection[str]) -> dict[str, str]:
        asked.append(sorted(topics))
        return dict.fromkeys(topics, str(len(asked)))

    hub = Hub(poll)

    async def first(topics: list[str]) -> AsyncIterator[Mapping[str, str] | None]:
        async for news in hub.stream(topics):
            yield news

    streams = [first(["queues"]), first(["failures"])]
    begun = await asyncio.gather(*(anext(stream) for stream in streams))
    assert [list(each or ()) for each in begun] == [["queues"], ["failures"]]
    assert asked[-1] == ["failures", "queues"]
    for stream in streams:
        await stream.aclose()  # type: ignore[attr-defined]
    polled = len(asked)
    await asyncio.sleep(0.6)
    assert len(asked) <= polled + 1
    hub.close()


def test_topics_that_make_no_sense_are_left_out() -> None:
    topics = [
        "queue:a/b c",
        "message:a/b/7",
        "message:x",
        "run:12",
        "run:x",
        f"run:{2**63}",
        "queues",
        "queue:\0",
    ]
    assert watched(topics) == Watched({"a/b c"}, True, {("a/b", 7)}, {12})

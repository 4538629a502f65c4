"""A page that is drawn once for many shows each what is there, and nobody what is another's."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import httpx
import pytest
import pytest_asyncio
from markupsafe import Markup

from postmill.api.desk import House
from postmill.api.viewer import Role, Viewer
from postmill.dashboard.application import application
from postmill.dashboard.rendering import Main
from postmill.dashboard.sharing import MOST_PAGES, Sharing
from postmill.db.reads import history, overview
from postmill.db.tools.sessions import Sessions
from postmill.model.config.address import parse
from postmill.service.rounds import Rounds
from tests.dashboard.conftest import client_of, words
from tests.sql.flow_scene import register, start, step

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, MutableMapping

    import psycopg

    from postmill.dashboard.application import Dashboard

    Db = psycopg.Connection[dict[str, Any]]

PARTS = {"postmill-parts": "queues"}


@pytest_asyncio.fixture
async def house(database_url: str) -> AsyncIterator[House]:
    """Over the test's database."""
    sessions = Sessions(parse(database_url))
    yield House(sessions)
    await sessions.close()


@pytest.mark.parametrize(
    ("path", "reads", "look"), [("/", overview, "busiest"), ("/queues/mail", history, "series")]
)
async def test_many_who_ask_at_once_are_shown_one_drawing(
    dashboard: Dashboard, db: Db, monkeypatch: pytest.MonkeyPatch, path: str, reads: Any, look: str
) -> None:
    db.execute("select postmill.create_queue('mail')")
    spied = Mock(wraps=getattr(reads, look))
    monkeypatch.setattr(reads, look, spied)
    async with (
        client_of(dashboard, key="operators-key") as one,
        client_of(dashboard, key="readers-key") as two,
    ):
        pages = await asyncio.gather(*(each.get(path, headers=PARTS) for each in [one, two] * 20))
    assert {page.status_code for page in pages} == {200}
    assert all("/queues/mail" in page.text for page in pages)
    assert spied.call_count < 20  # of 40 requests; some four where no other work is on the machine


async def test_what_has_changed_is_shown_to_who_asks_next(browser: httpx.AsyncClient, db: Db) -> None:
    """At once, also when another process has told of it: each change is asked for right after its commit."""
    db.execute("select postmill.create_queue('mail')")
    for number in range(1, 6):
        db.execute("select postmill.send('mail', '{}')")
        assert f'data-label="Ready">{number}<' in (await browser.get("/")).text


async def test_one_who_asks_while_it_is_drawn_is_given_a_later_drawing(house: House) -> None:
    """The first may have read before the commit that the second has heard of."""
    begun, go_on = asyncio.Event(), asyncio.Event()
    titles: list[str] = []

    async def draw() -> Main:
        titles.append(f"drawing {len(titles) + 1}")
        title = titles[-1]
        begun.set()
        await go_on.wait()
        return Main(title, Markup(), ())

    sharing = Sharing(house)
    async with asyncio.timeout(30):
        first = asyncio.create_task(sharing.drawn("/", [], draw))
        await begun.wait()
        second = asyncio.create_task(sharing.drawn("/", ["failures"], draw))
        await asyncio.sleep(0)  # it has asked
        go_on.set()
        assert (await first).main.title == "drawing 1"
        assert (await second).main.title == "drawing 2"


async def test_few_pages_are_kept_whatever_is_asked_for(house: House) -> None:
    async def draw() -> Main:
        return Main("", Markup(), ())

    sharing = Sharing(house)
    for number in range(MOST_PAGES + 5):
        await sharing.drawn(number, [], draw)
    assert len(sharing) == MOST_PAGES


async def test_a_queue_is_shown_to_each_as_it_is_and_as_the_role_may_see_it(
    browser: httpx.AsyncClient, readers: httpx.AsyncClient, db: Db
) -> None:
    db.execute("select postmill.create_queue('mail')")
    for number in range(1, 4):
        db.execute("select postmill.send('mail', '{}')")
        for client, may_send in ((browser, True), (readers, False)):
            page = await client.get("/queues/mail")
            assert f"Ready {number} " in words(page)
            assert ('action="/queues/mail/send"' in page.text) == may_send


async def test_a_reader_is_not_shown_what_was_drawn_for_an_operator(
    browser: httpx.AsyncClient, readers: httpx.AsyncClient, stranger: httpx.AsyncClient, db: Db
) -> None:
    register(db, step("a"))
    path = f"/runs/{start(db)}"
    for _ in range(2):
        for headers in ({}, {"postmill-parts": "run"}):
            assert f'action="{path}/cancel"' in (await browser.get(path, headers=headers)).text
            page = await readers.get(path, headers=headers)
            assert (page.status_code, f"{path}/" in page.text) == (200, False)
            assert (await stranger.get(path, headers=headers)).headers["location"].startswith("/sign-in")


async def test_the_name_in_its_corner_is_the_viewers_own(database_url: str, db: Db) -> None:
    async def authorize(scope: MutableMapping[str, Any]) -> Viewer:
        return Viewer(dict(scope["headers"])[b"name"].decode(), Role.READER)

    made = application(db_url=database_url, authorize=authorize)
    transport = httpx.ASGITransport(made)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        for name in ("ada", "bob", "ada"):
            page = await client.get("/", headers={"name": name})
            assert f"<summary>{name}</summary>" in page.text
            assert ("ada" in page.text, "bob" in page.text) == (name == "ada", name == "bob")
    await made.close()


async def test_what_was_done_here_is_shown_to_all(
    browser: httpx.AsyncClient, readers: httpx.AsyncClient, db: Db
) -> None:
    db.execute("select postmill.create_queue('mail')")
    assert "paused" not in words(await readers.get("/"))
    await browser.post("/queues/mail/pause", data={"reason": "deploy"})
    assert "paused" in words(await readers.get("/"))


async def test_who_joins_a_round_gets_what_began_later() -> None:
    runs: list[int] = []
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def work() -> int:
        runs.append(len(runs) + 1)
        number = runs[-1]
        begun.set()
        await go_on.wait()
        return number

    rounds: Rounds[int] = Rounds()
    first = [asyncio.create_task(rounds.join(work)) for _ in range(3)]
    await begun.wait()
    second = [asyncio.create_task(rounds.join(work)) for _ in range(3)]
    await asyncio.sleep(0)  # they have joined
    second[0].cancel()
    go_on.set()
    async with asyncio.timeout(10):
        assert await asyncio.gather(*first) == [1, 1, 1]
        assert await asyncio.gather(*second[1:]) == [2, 2]
    assert runs == [1, 2]


async def test_a_round_that_breaks_breaks_for_its_own_only() -> None:
    async def breaks() -> int:
        raise ValueError("a bug")

    async def works() -> int:
        return 1

    rounds: Rounds[int] = Rounds()
    broken = await asyncio.gather(rounds.join(breaks), rounds.join(breaks), return_exceptions=True)
    assert [type(each) for each in broken] == [ValueError, ValueError]
    assert await rounds.join(works) == 1

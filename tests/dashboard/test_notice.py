"""The sentence after an action is shown by whichever process answers, on the page that it is about, once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest_asyncio

from postmill.api.viewer import Role, Viewer
from postmill.dashboard.application import application
from postmill.dashboard.notice import COOKIE
from tests.dashboard.conftest import OWN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import psycopg

    from postmill.dashboard.application import Dashboard

    Db = psycopg.Connection[dict[str, Any]]

SENTENCE = 'class="notice ok" role="status"'


@pytest_asyncio.fixture
async def processes(database_url: str, db: Db) -> AsyncIterator[list[Dashboard]]:
    """Two of an application that says itself who may look."""
    db.execute("select postmill.create_queue('mail'), postmill.create_queue('post')")

    async def authorize(_: Any) -> Viewer:
        return Viewer("ada", Role.OPERATOR)

    made = [application(db_url=database_url, authorize=authorize) for _ in range(2)]
    yield made
    for each in made:
        await each.close()


def asked_of(process: Dashboard, cookies: httpx.Cookies) -> httpx.AsyncClient:
    """What a browser with these cookies asks a process for."""
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(process), base_url=OWN["origin"], headers=OWN, cookies=cookies
    )


async def test_a_notice_is_shown_by_another_process_on_its_own_page_once(processes: list[Dashboard]) -> None:
    one, other = processes
    async with asked_of(one, httpx.Cookies()) as browser:
        done = await browser.post("/queues/mail/pause", data={"reason": "deploy"})
        left = browser.cookies
    async with asked_of(other, left) as browser:
        assert SENTENCE not in (await browser.get("/queues/post")).text
        assert SENTENCE not in (await browser.get("/")).text
        assert SENTENCE in (await browser.get(done.headers["location"])).text
        assert SENTENCE not in (await browser.get(done.headers["location"])).text


async def test_what_is_no_notice_is_not_shown_and_breaks_nothing(processes: list[Dashboard]) -> None:
    for value in ("x", "bnVsbA==", "WzEsMl0=", "", "%00", "A" * 3000):
        async with asked_of(processes[0], httpx.Cookies({COOKIE: value})) as browser:
            page = await browser.get("/queues/mail")
            assert (page.status_code, SENTENCE in page.text) == (200, False)

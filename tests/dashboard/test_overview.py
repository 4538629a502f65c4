"""The overview."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.dashboard.conftest import words

if TYPE_CHECKING:
    import httpx
    import psycopg

    Db = psycopg.Connection[dict[str, Any]]


async def test_it_says_what_to_do_where_nothing_is_there(browser: httpx.AsyncClient, db: Db) -> None:
    assert "There is no queue yet. postmill queue create mail" in words(await browser.get("/"))


async def test_it_lists_the_queues_and_tells_nothing_there_from_nothing_that_matches(
    browser: httpx.AsyncClient, db: Db
) -> None:
    db.execute("select postmill.create_queue('mail'), postmill.send('mail', '{}')")
    page = await browser.get("/")
    assert page.status_code == 200
    assert 'href="/queues/mail"' in page.text
    assert "No queue has this in its name: zz" in words(await browser.get("/?q=zz"))

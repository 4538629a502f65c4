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


async def test_a_count_that_was_broken_off_is_no_exact_one(browser: httpx.AsyncClient, db: Db) -> None:
    """20,000 letters were 10,000, and the dozen messages beside them an estimate."""
    db.execute("select postmill.create_queue('mail'), postmill.send('mail', '{}')")
    db.execute(
        "insert into postmill.dead_letters (queue_name, msg_id, read_ct, enqueued_at, attempts, kind, reason)"
        " select 'mail', n, 1, now(), 1, 'error', 'x' from generate_series(1, 10001) as n"
    )
    for path in ("/", "/queues/mail"):
        page = await browser.get(path)
        assert "10.0\u00a0k+" in page.text
        assert "~" not in words(page)


async def test_what_queues_have_together_is_exact_where_each_was_counted(
    browser: httpx.AsyncClient, db: Db
) -> None:
    for queue in ("a", "b"):
        db.execute("select postmill.create_queue($1)", (queue,))
        db.execute(
            "insert into postmill.dead_letters"
            " (queue_name, msg_id, read_ct, enqueued_at, attempts, kind, reason)"
            " select $1, n, 1, now(), 1, 'error', 'x' from generate_series(1, 6000) as n",
            (queue,),
        )
    page = await browser.get("/")
    assert "12.0\u00a0k" in page.text
    assert "12.0\u00a0k+" not in page.text

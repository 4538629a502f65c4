"""The search on the page of messages, without JavaScript."""

from __future__ import annotations

import json
import re
from html import unescape
from typing import TYPE_CHECKING, Any

import pytest

from postmill.dashboard.pages.messages import TERMS
from postmill.model.search.language import KEYS, parse
from tests.dashboard.conftest import words

if TYPE_CHECKING:
    import httpx
    import psycopg

    Db = psycopg.Connection[dict[str, Any]]

HERE = "/queues/a%2Fb/messages"
HOSTILE = '<script>alert("x")</script>'


@pytest.fixture
def work(db: Db) -> Db:
    """Sixty messages that wait, one that is dead, one that is completed, and a secret in each."""
    db.execute("select pgmq.create('a/b'), postmill.create_queue('empty')")
    for number in range(62):
        payload = json.dumps({"n": number % 2, "text": HOSTILE, "password": "hunter2"})
        db.execute("select postmill.send('a/b', $1::text::jsonb)", (payload,))
    db.execute("select pgmq.archive('a/b', 2)")
    db.execute(
        """with gone as (delete from pgmq."q_a/b" where msg_id = 1 returning *)
           insert into postmill.dead_letters
                  (queue_name, msg_id, read_ct, enqueued_at, message, attempts, kind, reason)
           select 'a/b', msg_id, 1, enqueued_at, message, 1, 'error', 'no such mailbox' from gone"""
    )
    return db


def ids(page: httpx.Response) -> list[int]:
    return [int(each) for each in re.findall(r'data-key="message-(\d+)"', page.text)]


async def test_messages_are_found_wherever_they_are_and_it_says_how_far_it_came(
    browser: httpx.AsyncClient, work: Db
) -> None:
    page = await browser.get(HERE, params={"q": "id:1..3"})
    assert ids(page) == [3, 2, 1]
    text = words(page)
    assert "Looked at ids 1 to 3, back to" in text
    assert "That is all." in text
    assert 'value="id:1..3"' in page.text
    assert "hunter2" not in page.text
    assert ids(await browser.get(HERE, params={"q": "error:mailbox"})) == [1]


async def test_the_next_page_goes_on_below_and_has_an_address(browser: httpx.AsyncClient, work: Db) -> None:
    page = await browser.get(HERE, params={"q": "payload.n=1"})
    assert len(ids(page)) == 31
    page = await browser.get(HERE, params={"q": '"alert("'})
    seen = ids(page)
    (onward,) = re.findall(r'rel="next" href="([^"]*)"', page.text)
    rest = await browser.get(unescape(onward))
    assert seen + ids(rest) == list(range(62, 0, -1))
    assert "That is all." in words(rest)
    (newest,) = re.findall(r'class="button" href="([^"]*)">Newest', rest.text)
    assert ids(await browser.get(unescape(newest))) == seen
    assert "data-live" not in page.text.partition('id="messages"')[2].partition(">")[0]


@pytest.mark.parametrize(
    ("queue", "q", "says"),
    [
        ("a%2Fb", "payload.n=2", "No message of this queue matches."),
        ("a%2Fb", "state:running", "No message of this queue matches."),
        ("a%2Fb", "id:4000..5000", "Looked at no id."),
        ("empty", "payload.n=2", "Nothing was sent to this queue yet."),
    ],
)
async def test_nothing_there_differs_from_nothing_matches(
    browser: httpx.AsyncClient, work: Db, queue: str, q: str, says: str
) -> None:
    assert says in words(await browser.get(f"/queues/{queue}/messages", params={"q": q}))


@pytest.mark.parametrize(
    ("q", "before", "term"),
    [
        ("state:dead stat:<script>", "state:dead ", "stat:<script>"),
        ('n "open', "n ", '"open'),
        ("id:x", "", "id:x"),
    ],
)
async def test_a_text_that_means_nothing_is_shown_with_the_place(
    browser: httpx.AsyncClient, work: Db, q: str, before: str, term: str
) -> None:
    page = await browser.get(HERE, params={"q": q})
    main = page.text.partition("<main")[2]
    assert page.status_code == 400
    (shown,) = re.findall(r"<code>([^<]*)<mark>([^<]*)</mark></code>", main)
    assert [unescape(part) for part in shown] == [before, term]
    assert f"character {len(before) + 1}" in unescape(main)
    (box,) = re.findall(r'<input type="search" name="q" value="([^"]*)"', main)
    assert unescape(box) == q
    assert "<script>" not in main


async def test_all_that_match_and_the_ticked_ones_go_on_from_the_search(
    browser: httpx.AsyncClient, work: Db
) -> None:
    page = await browser.get(HERE, params={"q": "state:ready payload.n=1"})
    assert 'formaction="/queues/a%2Fb/many/cancel"' in page.text
    assert 'name="q" value="state:ready payload.n=1"' in page.text
    counted = await browser.get("/queues/a%2Fb/many/cancel", params={"q": "state:ready payload.n=1"})
    assert "30 messages match." in words(counted)
    (path,) = re.findall(r'<form method="post" action="([^"]*/messages/retry[^"]*)"', page.text)
    done = await browser.post(unescape(path).replace("/retry", "/cancel"), data={"msg_id": ["62"]})
    assert done.status_code == 303
    shown = await browser.get(done.headers["location"])
    assert "1 cancelled." in words(shown)
    assert len(ids(shown)) == 29


async def test_a_reader_searches_and_finds_no_secret(readers: httpx.AsyncClient, work: Db) -> None:
    assert ids(await readers.get(HERE, params={"q": "state:dead"})) == [1]
    assert ids(await readers.get(HERE, params={"q": "hunter2"})) == []
    refused = await readers.get(HERE, params={"q": "payload.password=hunter2"})
    assert (refused.status_code, ids(refused)) == (403, [])


async def test_the_box_completes_what_was_typed(browser: httpx.AsyncClient, work: Db) -> None:
    page = await browser.get(HERE, params={"q": "since:1h"})
    options = [unescape(each) for each in re.findall(r'<option value="([^"]*)"', page.text)]
    assert "since:1h state:dead" in options
    assert 'since:1h "two words"' in options


def test_each_key_of_the_language_is_explained() -> None:
    """But that of the queue, which the page is about. Each example means something."""
    assert {term.partition(":")[0] for term, _ in TERMS if ":" in term} == set(KEYS) - {"queue"}
    for term, _ in TERMS:
        parse(term)

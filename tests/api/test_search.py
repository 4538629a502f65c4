"""The search over the API: its pages, what it refuses, and that it tells no reader a secret."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.api.test_queues import READER

if TYPE_CHECKING:
    import httpx
    import psycopg

    Db = psycopg.Connection[dict[str, Any]]

SECRET = {"user": {"id": 7, "password": "hunter2"}, "note": "Straße"}


@pytest.fixture
def work(db: Db) -> Db:
    """Messages with a secret in the queue, the archive and the dead letters, and one without."""
    db.execute("select postmill.create_queue('mail')")
    for payload in (SECRET, SECRET, SECRET, {"note": "hunter2"}):
        db.execute(
            'select postmill.send(\'mail\', $1::text::jsonb, headers => \'{"x": 1, "cookie": "c"}\')',
            (json.dumps(payload),),
        )
    db.execute("select pgmq.archive('mail', 1)")
    db.execute(
        """with gone as (delete from pgmq.q_mail where msg_id = 2 returning *)
           insert into postmill.dead_letters
                  (queue_name, msg_id, read_ct, enqueued_at, message, attempts, kind, reason)
           select 'mail', msg_id, 1, enqueued_at, message, 1, 'error', 'no such mailbox' from gone"""
    )
    return db


async def found(api: httpx.AsyncClient, q: str, **more: Any) -> list[str]:
    headers = more.pop("headers", {})
    answer = await api.get("/queues/mail/search", params={"q": q, **more}, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.json()["next_below"] is None or more
    return [row["msg_id"] for row in answer.json()["rows"]]


@pytest.mark.parametrize(
    ("q", "ids"),
    [
        ("", ["4", "3", "2", "1"]),
        ("queue:mail state:dead", ["2"]),
        ("error:mailbox", ["2"]),
        ("state:completed payload.user.id=7", ["1"]),
        ("straße id:1..2", ["2", "1"]),
        ("header.x=1 state:ready", ["4", "3"]),
    ],
)
async def test_messages_are_found_wherever_they_are(
    api: httpx.AsyncClient, work: Db, q: str, ids: list[str]
) -> None:
    assert await found(api, q) == ids
    assert await found(api, q, headers=READER) == ids


async def test_a_page_goes_on_below_the_last_one(api: httpx.AsyncClient, work: Db) -> None:
    page = (await api.get("/queues/mail/search", params={"q": "", "limit": 3})).json()
    assert (page["low"], page["high"], page["next_below"], page["is_cut"]) == ("2", "4", "2", False)
    assert page["back_to"] is not None
    assert page["rows"][0]["message"] == {"note": "hunter2"}
    assert page["rows"][1]["message"]["user"] == {"id": 7, "password": "[redacted]"}
    assert page["rows"][1]["headers"] == {"x": 1, "cookie": "[redacted]"}
    assert await found(api, "", before=page["next_below"]) == ["1"]


@pytest.mark.parametrize(
    ("q", "says"),
    [
        ("stat:dead", "character 1: stat:dead"),
        ("queue:other", "This looks in queue mail."),
        ("since:0001-01-01T00:00+14:00", "is no time"),
    ],
)
async def test_what_means_nothing_is_refused(api: httpx.AsyncClient, work: Db, q: str, says: str) -> None:
    answer = await api.get("/queues/mail/search", params={"q": q})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-search")
    assert says in answer.json()["detail"]


@pytest.mark.parametrize(
    "q", ["since:999999999w", "before:999999999w", "since:9999-12-31T23:59Z", '"\\"\'%s$1"']
)
async def test_what_is_odd_finds_nothing_or_all(api: httpx.AsyncClient, work: Db, q: str) -> None:
    assert len(await found(api, q)) in {0, 4}


async def test_queues_that_are_not_there(api: httpx.AsyncClient, work: Db) -> None:
    assert (await api.get("/queues/nope/search", params={"q": ""})).status_code == 404
    assert (await api.get("/queues/mail/search")).status_code == 400


@pytest.mark.parametrize(
    "q",
    [
        "payload.user.password=hunter2",
        "payload.user.password=wrong",
        "header.Cookie=c",
        'payload.user="{\\"id\\": 7, \\"password\\": \\"hunter2\\"}"',
        'payload.user="{\\"id\\": 7, \\"password"',
    ],
)
async def test_a_reader_does_not_search_in_what_is_left_out(api: httpx.AsyncClient, work: Db, q: str) -> None:
    """Right or wrong, the answer is the same."""
    answer = await api.get("/queues/mail/search", params={"q": q}, headers=READER)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert (await api.get("/queues/mail/search", params={"q": q})).status_code == 200


@pytest.mark.parametrize(
    ("text", "sees", "is_there"),
    [
        ("hunter2", ["4"], ["4", "3", "2", "1"]),
        ("hunter", ["4"], ["4", "3", "2", "1"]),
        ("HUNTER2", ["4"], ["4", "3", "2", "1"]),
        ('"7, \\"password\\": \\"h"', [], ["3", "2", "1"]),
        ("redacted", [], []),
        ("password", ["3", "2", "1"], ["3", "2", "1"]),
    ],
)
async def test_a_reader_finds_a_text_only_in_what_is_shown(
    api: httpx.AsyncClient, work: Db, text: str, sees: list[str], is_there: list[str]
) -> None:
    """And a page that is full of what it does not show tells no more than one without it."""
    assert await found(api, text) == is_there
    assert await found(api, text, headers=READER) == sees
    asked = {"q": text, "limit": "1"}
    page = (await api.get("/queues/mail/search", params=asked, headers=READER)).json()
    wrong = (await api.get("/queues/mail/search", params={**asked, "q": "wrong"}, headers=READER)).json()
    assert [row["msg_id"] for row in page["rows"]] == sees[:1]
    if not sees:
        assert page == wrong

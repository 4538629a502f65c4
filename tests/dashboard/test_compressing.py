"""Answers are compressed where that is of use, and not where it could tell a secret."""

from __future__ import annotations

import asyncio
import gzip
from typing import TYPE_CHECKING, Any

import pytest

from postmill.dashboard.compressing import MOST_PADDING, gzipped, takes_gzip

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    import httpx
    import psycopg

    from postmill.dashboard.application import Dashboard

    Db = psycopg.Connection[dict[str, Any]]

GZIP = {"accept-encoding": "gzip, br"}


@pytest.fixture
def many(db: Db) -> Db:
    """Enough queues for a page and a list that are long."""
    db.execute("select count(postmill.create_queue('queue-' || i)) from generate_series(1, 30) as i")
    return db


@pytest.mark.parametrize("path", ["/", "/settings", "/api/v1/queues", "/api/v1/openapi.json"])
async def test_pages_and_lists_are_compressed(browser: httpx.AsyncClient, many: Db, path: str) -> None:
    plain = await browser.get(path, headers={"accept-encoding": "identity"})
    packed = await browser.get(path, headers=GZIP)
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert "accept-encoding" in packed.headers["vary"]
    assert int(packed.headers["content-length"]) < len(plain.content) / 3
    assert packed.text[-200:] == plain.text[-200:]


async def test_a_short_answer_is_not(browser: httpx.AsyncClient, db: Db) -> None:
    assert "content-encoding" not in (await browser.get("/api/v1/viewer", headers=GZIP)).headers


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_what_a_page_of_another_origin_asks_for_is_not_compressed(
    browser: httpx.AsyncClient, many: Db, site: str
) -> None:
    """A guess in the address would be shorter where it is right. The control: the own page asks."""
    asked = {**GZIP, "sec-fetch-site": site}
    assert "content-encoding" not in (await browser.get("/messages?q=guess", headers=asked)).headers
    own = {**GZIP, "sec-fetch-site": "same-origin"}
    assert (await browser.get("/messages?q=guess", headers=own)).headers["content-encoding"] == "gzip"


async def test_the_length_of_the_same_answer_differs(browser: httpx.AsyncClient, many: Db) -> None:
    lengths = {
        int((await browser.get("/static/style.css", headers=GZIP)).headers["content-length"])
        for _ in range(30)
    }
    assert len(lengths) > 5
    assert max(lengths) - min(lengths) <= MOST_PADDING


async def test_a_file_that_the_browser_has_is_not_sent_again(browser: httpx.AsyncClient) -> None:
    style = await browser.get("/static/style.css", headers=GZIP)
    assert style.headers["content-encoding"] == "gzip"
    again = {**GZIP, "if-none-match": style.headers["etag"]}
    assert (await browser.get("/static/style.css", headers=again)).status_code == 304


async def test_the_stream_goes_out_as_it_comes(dashboard: Dashboard, db: Db) -> None:
    """Its first event is there while it is open."""
    sent: list[MutableMapping[str, Any]] = []
    first = asyncio.Event()

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)
        if message.get("body", b"").startswith(b"data:"):
            first.set()

    headers = [
        (b"host", b"127.0.0.1"),
        (b"authorization", b"Bearer operators-key"),
        (b"accept-encoding", b"gzip"),
    ]
    scope = {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "path": "/live",
        "raw_path": b"/live",
        "root_path": "",
        "query_string": b"topic=queues",
        "headers": headers,
    }
    gone = asyncio.Event()

    async def receive() -> dict[str, Any]:
        await gone.wait()
        return {"type": "http.disconnect"}

    stream = asyncio.create_task(dashboard(scope, receive, send))
    async with asyncio.timeout(20):
        await first.wait()
        assert not stream.done()
        gone.set()
        await stream
    assert b"content-encoding" not in dict(sent[0]["headers"])


@pytest.mark.parametrize("size", [1_000, 999, 2_000_000])
async def test_whatever_the_size_the_content_is_the_same(
    browser: httpx.AsyncClient, db: Db, size: int
) -> None:
    db.execute(
        "select postmill.create_queue('mail'), postmill.send('mail', to_jsonb(repeat('é', $1)))", (size,)
    )
    answer = await browser.get("/api/v1/queues/mail/messages/1", headers=GZIP)
    assert answer.json()["message"] == "é" * size


@pytest.mark.parametrize(
    ("accepted", "takes"),
    [
        ("gzip", True),
        ("br, GZIP;q=0.5", True),
        ("gzip;q=1.0", True),
        ("gzip;q=0", False),
        ("gzip; q=0.00", False),
        ("", False),
        ("identity, x-gzip2", False),
    ],
)
def test_what_the_client_says_it_takes(accepted: str, takes: bool) -> None:
    assert takes_gzip(accepted) is takes


def test_a_head_with_padding_is_read_by_any_reader() -> None:
    assert {gzip.decompress(gzipped(b"x" * 5_000)) for _ in range(MOST_PADDING)} == {b"x" * 5_000}

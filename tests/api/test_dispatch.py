"""Paths, methods, bodies and headers, as a stranger sends them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from postmill.api.application import application, segments
from postmill.api.endpoint import MOST_BYTES
from tests.api.conftest import authorize

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import psycopg

    from postmill.api.desk import House

    Db = psycopg.Connection[dict[str, Any]]

JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    "name", ["Re-Size", "a/b", "50%", "a b", "ünïcode", 'say "hi"', "%2F", "..", "x" * 47]
)
async def test_a_queue_that_another_client_has_named_can_be_reached(
    api: httpx.AsyncClient, db: Db, name: str
) -> None:
    db.execute("select pgmq.create($1)", (name,))
    (listed,) = (await api.get("/queues")).json()["items"]
    path = f"/queues/{quote(listed['queue'], safe='')}"
    if listed["queue"] == "..":
        path = "/queues/%2E%2E"
    answer = await api.get(path)
    assert (answer.status_code, answer.json().get("queue")) == (200, listed["queue"]), answer.text
    if '"' in name:
        return  # nothing of Postmill sends to such a queue
    assert (await api.post(f"{path}/messages", json={"message": 1})).status_code == 201
    assert (await api.get(f"{path}/messages/1")).json()["message"] == 1


@pytest.mark.parametrize("prefix", ["/jobs", "/a/b/c", "/with space", "/ü"])
async def test_it_may_be_mounted_at_any_path(house: House, db: Db, prefix: str) -> None:
    db.execute("select pgmq.create('a/b')")
    mounted = Starlette(routes=[Mount(prefix, application(house, authorize))])
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(mounted),
        base_url="http://api",
        headers={"authorization": "Bearer operator"},
    ) as client:
        start = quote(prefix)
        assert (await client.get(f"{start}/queues/a%2Fb")).json()["queue"] == "a/b"
        assert (await client.get(f"{start}/queues/a/b")).status_code == 404
        assert (await client.get(f"{start}/viewer/")).json()["viewer"] == "ada"


@pytest.mark.parametrize(
    ("scope", "found"),
    [
        ({"path": "/queues/a/b", "raw_path": b"/queues/a%2Fb"}, ["queues", "a/b"]),
        (
            {"path": "/jobs/queues/a/b", "root_path": "/jobs", "raw_path": b"/jobs/queues/a%2Fb"},
            ["queues", "a/b"],
        ),
        # Some hand on only what is below the mount, with a slash at its end; raw_path stays whole.
        ({"path": "/queues/a/b", "root_path": "/jobs", "raw_path": b"/jobs/queues/a%2Fb"}, ["queues", "a/b"]),
        ({"path": "/queues/x/", "root_path": "/jobs", "raw_path": b"/jobs/queues/x"}, ["queues", "x"]),
        ({"path": "/queues/x", "raw_path": b"/queues/x?limit=1"}, ["queues", "x"]),
        ({"path": "/queues/x"}, ["queues", "x"]),
        ({"path": "/jobs", "root_path": "/jobs", "raw_path": b"/jobs"}, [""]),
        ({"path": "/jobs2/x", "root_path": "/jobs", "raw_path": b"/jobs2/x"}, ["jobs2", "x"]),
    ],
)
def test_the_path_is_cut_before_it_is_decoded(scope: dict[str, Any], found: list[str]) -> None:
    assert segments(scope) == found


async def test_head_is_get_without_the_body_and_options_says_what_there_is(
    api: httpx.AsyncClient, db: Db
) -> None:
    db.execute("select postmill.create_queue('mail')")
    got, head = await api.get("/queues/mail"), await api.head("/queues/mail")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(got.content))
    missing = await api.head("/queues/nope")
    assert (missing.status_code, missing.content) == (404, b"")
    options = await api.options("/queues/mail")
    assert (options.status_code, options.headers["allow"]) == (204, "DELETE, GET, HEAD, OPTIONS")
    refused = await api.put("/queues/mail", json={})
    assert (refused.status_code, refused.headers["allow"]) == (405, "DELETE, GET, HEAD, OPTIONS")
    assert (await api.get("/queues/mail/messages/cancel")).status_code == 405


@pytest.mark.parametrize(
    ("content", "headers", "status", "code"),
    [
        (b"{", JSON, 400, "invalid-json"),
        (b'{"reason": "\xff"}', JSON, 400, "invalid-json"),
        (b'{"reason": NaN}', JSON, 400, "invalid-json"),
        (b'{"reason": "\\u0000"}', JSON, 422, "invalid-payload"),
        (b'{"reason": 5}', JSON, 422, "invalid-payload"),
        (b"[]", JSON, 422, "invalid-payload"),
        (b"{}", {}, 415, "unsupported-media-type"),
        (b"reason=x", {"content-type": "application/x-www-form-urlencoded"}, 415, "unsupported-media-type"),
        (b"{}", {**JSON, "content-encoding": "gzip"}, 415, "unsupported-media-type"),
        (b" " * (MOST_BYTES + 1), JSON, 413, "payload-too-large"),
    ],
)
async def test_a_body_that_is_not_taken(
    api: httpx.AsyncClient, db: Db, content: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    db.execute("select postmill.create_queue('mail')")
    answer = await api.post("/queues/mail/pause", content=content, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert (await api.get("/queues/mail")).json()["paused_at"] is None


@pytest.mark.parametrize(
    "payload", ["[" * 300 + "]" * 300, '{"n": ' + "9" * 400 + "}", '"\\u0000"', '"\\ud800"']
)
async def test_a_payload_that_no_table_holds_or_no_decoder_reads(
    api: httpx.AsyncClient, db: Db, payload: str
) -> None:
    db.execute("select postmill.create_queue('mail')")
    answer = await api.post("/queues/mail/messages", content=f'{{"message": {payload}}}', headers=JSON)
    assert (answer.status_code, answer.json()["code"]) in {(422, "invalid-payload"), (400, "invalid-json")}


async def test_what_is_nested_too_deep_for_any_reader_is_refused(api: httpx.AsyncClient, db: Db) -> None:
    db.execute("select postmill.create_queue('mail')")
    content = b'{"message": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    assert (await api.post("/queues/mail/messages", content=content, headers=JSON)).status_code in {400, 422}


async def test_a_payload_that_another_client_has_nested_deep_is_shown_cut(
    api: httpx.AsyncClient, db: Db
) -> None:
    db.execute("select postmill.create_queue('mail')")
    db.execute("select postmill.send('mail', (repeat('[', 900) || repeat(']', 900))::jsonb)")
    answer = await api.get("/queues/mail/messages/1")
    assert "too deep" in answer.text


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/queues/mail/messages?cursor=!", 400, "invalid-cursor"),
        ("/queues/mail/messages?cursor=WyJ4Il0", 400, "invalid-cursor"),
        ("/queues/mail/messages?cursor=OTk5OTk5OTk5OTk5OTk5OTk5OTk5", 400, "invalid-cursor"),
        ("/queues/mail/messages?cursor=%C3%BC", 400, "invalid-cursor"),
        ("/queues/mail/messages?limit=0", 400, "invalid-option"),
        ("/queues/mail/messages?limit=x", 400, "invalid-option"),
        ("/queues/mail/messages?limit=1&limit=2", 400, "invalid-option"),
        ("/queues/mail/messages?state=asleep", 400, "invalid-option"),
        ("/queues/mail/messages/0x1", 400, "invalid-option"),
        ("/queues/mail/messages/9999999999999999999", 400, "invalid-option"),
        ("/queues/mail/messages/8999999999999999999", 404, "not-found"),
        ("/queues/%00", 400, "invalid-option"),
        ("/queues/mail?database=other", 404, "database-not-found"),
        ("/queues/mail?database=default", 200, None),
        ("/queues//messages", 400, "invalid-option"),
        (f"/queues/{'x' * 300}", 400, "invalid-option"),
    ],
)
async def test_a_path_or_query_is_understood_or_refused(
    api: httpx.AsyncClient, db: Db, path: str, status: int, code: str | None
) -> None:
    db.execute("select postmill.create_queue('mail')")
    answer = await api.get(path)
    assert (answer.status_code, answer.json().get("code")) == (status, code), answer.text


FOREIGN = [
    ({"sec-fetch-site": "cross-site"}, 403),
    ({"sec-fetch-site": "same-site"}, 403),
    ({"sec-fetch-site": "same-origin", "origin": "http://evil"}, 200),
    ({"origin": "http://evil"}, 403),
    ({"origin": "http://api.evil"}, 403),
    ({"origin": "null"}, 403),
    ({"origin": "http://api"}, 200),
    ({"origin": "https://api"}, 200),
    ({"cookie": "a=b"}, 200),
    ({}, 200),
]


@pytest.mark.parametrize(("headers", "status"), FOREIGN)
async def test_a_page_of_another_origin_changes_nothing(
    api: httpx.AsyncClient, db: Db, headers: dict[str, str], status: int
) -> None:
    db.execute("select postmill.create_queue('mail')")
    assert (await api.post("/queues/mail/pause", headers=headers)).status_code == status
    assert (await api.get("/queues/mail", headers=headers)).status_code == 200


async def test_a_cookie_alone_changes_nothing(house: House, db: Db) -> None:
    """Whoever knows viewers by a cookie is safe from other pages too: a browser says who sends."""
    db.execute("select postmill.create_queue('mail')")

    async def by_cookie(scope: Any) -> Any:
        return await authorize({"headers": [(b"authorization", b"Bearer operator")]})

    transport = httpx.ASGITransport(application(house, by_cookie))
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        cookie = {"cookie": "session=1"}
        assert (await client.post("/queues/mail/pause", headers=cookie)).json()["code"] == "foreign-origin"
        same = {**cookie, "sec-fetch-site": "same-origin"}
        assert (await client.post("/queues/mail/pause", headers=same)).status_code == 200


async def test_a_bug_is_told_without_what_it_was(house: House) -> None:
    async def broken(_: Any) -> Any:
        raise RuntimeError("postgres://user:password@host")

    transport = httpx.ASGITransport(application(house, broken), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        answer = await client.get("/queues")
    assert (answer.status_code, answer.json()["code"]) == (500, "error")
    assert "password" not in answer.text
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_body_that_comes_in_parts_is_bounded(house: House, db: Db) -> None:
    db.execute("select postmill.create_queue('mail')")
    given = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal given
        while True:
            given += 65_536
            yield b" " * 65_536

    transport = httpx.ASGITransport(application(house, authorize))
    headers = {"authorization": "Bearer operator", **JSON}
    async with httpx.AsyncClient(transport=transport, base_url="http://api", headers=headers) as client:
        answer = await client.post("/queues/mail/pause", content=endless())
    assert answer.status_code == 413
    assert given <= MOST_BYTES + 2 * 65_536
    assert json.loads(answer.content)["code"] == "payload-too-large"

"""A key that was changed, taken away or revoked opens nothing from then on, nor does what it has opened."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from postmill.api.keys import ViewerKeys
from postmill.auth import viewer_token
from postmill.auth.keys import make
from postmill.dashboard.application import application
from postmill.dashboard.security.keys import Keys
from postmill.db.tools import revoked_keys
from postmill.model.errors import DatabaseUnavailable
from tests.dashboard.conftest import KEYS, OWN
from tests.dashboard.streams import Stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import psycopg

    from postmill.api.viewer import Viewer
    from postmill.dashboard.application import Dashboard
    from postmill.web.asgi import Scope

    Db = psycopg.Connection[dict[str, Any]]

PROJECT = make(time.time())
ISSUING = replace(KEYS, issued=ViewerKeys(PROJECT, time.time))


def issued(name: str = "ada", *, after_s: float = 0) -> str:
    """An operator's key that was issued now, or will be soon, and is good for a minute."""
    return viewer_token.issue(PROJECT, name, "operator", time.time() + after_s, 60)


def id_of(key: str) -> str:
    """By which it can be revoked."""
    known = ViewerKeys(PROJECT, time.time).issued(key)
    assert known is not None
    return known.key_id


@pytest.fixture
async def dashboard(database_url: str, db: Db) -> AsyncIterator[Dashboard]:
    """With keys that were issued."""
    made = application(db_url=database_url, keys=ISSUING)
    yield made
    await made.close()


def person_at(dashboard: Dashboard) -> httpx.AsyncClient:
    """A browser at the dashboard."""
    transport = httpx.ASGITransport(dashboard)
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8420", headers=OWN)


async def signed_in(dashboard: Dashboard, key: str) -> httpx.AsyncClient:
    """Somebody who has signed in with the key."""
    client = person_at(dashboard)
    assert (await client.post("/sign-in", data={"key": key, "next": "/"})).status_code == 303
    assert (await client.get("/workers")).status_code == 200
    return client


async def test_a_revoked_key_ends_its_session_at_once_and_no_other(dashboard: Dashboard, db: Db) -> None:
    lost, kept = issued(), issued()
    by_lost, by_kept = await signed_in(dashboard, lost), await signed_in(dashboard, kept)
    revoked_keys.revoke(db, id_of(lost), time.time())
    assert (await by_lost.get("/workers")).status_code == 303
    assert (await by_lost.get("/api/v1/queues")).status_code == 401
    assert (await by_lost.get("/live?topic=queues")).status_code == 401
    assert (await by_lost.post("/queues/mail/pause", data={})).status_code == 401
    assert (await by_lost.post("/sign-in", data={"key": lost, "next": "/"})).status_code == 403
    bearer = {"authorization": f"Bearer {lost}"}
    assert (await person_at(dashboard).get("/api/v1/queues", headers=bearer)).status_code == 401
    assert (await by_kept.get("/workers")).status_code == 200


async def test_a_stream_that_is_open_ends_soon_after_its_key_and_no_other(
    dashboard: Dashboard, db: Db, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It had gone on for as long as it lived: a browser that stays was never asked again."""
    monkeypatch.setattr("postmill.dashboard.live.hub.STILL_HERE_S", 0.05)
    monkeypatch.setattr("postmill.dashboard.live.streaming.KNOWN_S", 0.05)
    lost, kept = (
        Stream(dashboard, "topic=queues", {"host": "127.0.0.1", "authorization": f"Bearer {issued(name)}"})
        for name in ("ada", "bob")
    )
    assert await lost.news()
    assert await kept.news()
    revoked_keys.revoke(db, "ada", time.time())
    assert await lost.news() is None
    db.execute(b"select postmill.create_queue('mail')")
    assert await kept.news()
    await kept.leave()


async def test_streams_stay_open_while_nobody_can_be_asked_about_their_keys(
    dashboard: Dashboard, db: Db, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that is restarted does not sign everybody out."""
    monkeypatch.setattr("postmill.dashboard.live.hub.STILL_HERE_S", 0.05)
    monkeypatch.setattr("postmill.dashboard.live.streaming.KNOWN_S", 0.05)
    asked = asyncio.Event()
    viewer, away = dashboard.access.viewer, True

    async def refused(scope: Scope) -> Viewer | None:
        if not away:
            return await viewer(scope)
        asked.set()
        raise DatabaseUnavailable("away", why="It restarts.", hint="Wait.")

    stream = Stream(dashboard, "topic=queues", {"host": "127.0.0.1", "authorization": f"Bearer {issued()}"})
    assert await stream.news()
    monkeypatch.setattr(dashboard.access, "viewer", refused)
    async with asyncio.timeout(10):
        await asked.wait()
    db.execute(b"select postmill.create_queue('mail')")
    assert await stream.news()
    away = False
    revoked_keys.revoke(db, "ada", time.time())
    assert await stream.news() is None


async def test_a_name_loses_all_its_keys_and_can_be_given_a_new_one(dashboard: Dashboard, db: Db) -> None:
    old = [await signed_in(dashboard, issued()) for _ in range(2)]
    others = await signed_in(dashboard, issued("bob"))
    revoked_keys.revoke(db, "ada", time.time())
    assert [(await each.get("/workers")).status_code for each in old] == [303, 303]
    assert (await others.get("/workers")).status_code == 200
    await signed_in(dashboard, issued(after_s=1))


async def test_a_session_ends_with_its_key(dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch) -> None:
    client, now_s = await signed_in(dashboard, issued()), time.time()
    monkeypatch.setattr("postmill.dashboard.security.access.time.time", lambda: now_s + 55)
    assert (await client.get("/workers")).status_code == 200
    monkeypatch.setattr("postmill.dashboard.security.access.time.time", lambda: now_s + 61)
    assert (await client.get("/workers")).status_code == 303


@pytest.mark.parametrize("key", ["operators-key", "readers-key"])
async def test_a_configured_key_that_was_changed_ends_its_session(
    database_url: str, dashboard: Dashboard, key: str
) -> None:
    """The process starts again with another key; the cookies' secret is the same. The control: with the same
    keys the session goes on.
    """
    client = await signed_in(dashboard, key)
    others = Keys(operator=("new",), reader=("newer",), signing=KEYS.signing)
    for keys, status in (
        (ISSUING, 200),
        (others, 303),
        (replace(ISSUING, reader=(), operator=("new",)), 303),
    ):
        again = application(db_url=database_url, keys=keys)
        async with person_at(again) as same:
            same.cookies = client.cookies
            assert (await same.get("/workers")).status_code == status
        await again.close()


async def test_a_readers_key_that_was_an_operators_acts_no_more(
    database_url: str, dashboard: Dashboard
) -> None:
    client = await signed_in(dashboard, "operators-key")
    swapped = Keys(operator=("readers-key",), reader=("operators-key",), signing=KEYS.signing)
    again = application(db_url=database_url, keys=swapped)
    async with person_at(again) as same:
        same.cookies = client.cookies
        assert (await same.get("/workers")).status_code == 303
    await again.close()


async def test_while_nothing_can_be_asked_nobody_is_let_in_by_an_issued_key() -> None:
    away = application(db_url="postgresql://nobody@127.0.0.1:9/none?connect_timeout=2", keys=ISSUING)
    async with person_at(away) as client:
        bearer = {"authorization": f"Bearer {issued()}"}
        for path in ("/workers", "/api/v1/viewer", "/live?topic=queues"):
            assert (await client.get(path, headers=bearer)).status_code == 503, path
        answer = await client.post("/sign-in", data={"key": issued(), "next": "/"})
        assert answer.status_code == 503
        assert "set-cookie" not in answer.headers
    await away.close()

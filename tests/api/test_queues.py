"""Queues over the API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import httpx
    import psycopg

    Db = psycopg.Connection[dict[str, Any]]

READER = {"authorization": "Bearer reader"}


async def test_a_queue_is_made_paused_resumed_and_dropped(api: httpx.AsyncClient, db: Db) -> None:
    assert (await api.post("/queues", json={"queue": "mail"})).json() == {"queue": "mail", "created": True}
    db.execute("select postmill.send('mail', '{}')")
    (listed,) = (await api.get("/queues")).json()["items"]
    assert (listed["queue"], listed["ready"], listed["paused_at"]) == ("mail", 1, None)
    paused = await api.post("/queues/mail/pause", json={"reason": "deploy"})
    assert (paused.status_code, paused.json()) == (200, {"queue": "mail", "paused": True})
    assert (await api.get("/queues/mail")).json()["pause_reason"] == "deploy"
    await api.post("/queues/mail/resume")
    assert (await api.get("/queues/mail")).json()["paused_at"] is None
    would = await api.delete("/queues/mail?dry_run=true")
    assert would.json() == {"queue": "mail", "dropped": False, "messages": 1, "dead_letters": 0}
    assert (await api.delete("/queues/mail")).json()["dropped"] is True
    assert (await api.get("/queues")).json() == {"items": [], "next": None}


@pytest.mark.parametrize(
    ("method", "path", "more", "status", "code"),
    [
        ("GET", "/queues/nope", {}, 404, "queue-not-found"),
        ("GET", "/queues?most=3", {}, 400, "invalid-option"),
        ("DELETE", "/queues", {}, 405, "method-not-allowed"),
        ("GET", "/nothing", {}, 404, "not-found"),
        ("POST", "/queues/mail/pause", {"content": b"{}"}, 415, "unsupported-media-type"),
        ("POST", "/queues/mail/pause", {"json": {"raeson": ""}}, 422, "invalid-payload"),
        ("POST", "/queues/mail/pause", {"json": {}, "headers": READER}, 403, "forbidden"),
        ("GET", "/queues", {"headers": {"authorization": "Bearer x"}}, 401, "unauthorized"),
    ],
)
async def test_what_is_refused_is_a_problem(
    api: httpx.AsyncClient, method: str, path: str, more: dict[str, Any], status: int, code: str
) -> None:
    answer = await api.request(method, path, **more)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_wrong_key_is_told_from_none(api: httpx.AsyncClient) -> None:
    """A person with a key of another project was told that a key was needed."""
    wrong = await api.get("/queues", headers={"authorization": "Bearer x"})
    assert wrong.json()["detail"] == "This key does not open the API."
    del api.headers["authorization"]
    assert (await api.get("/queues")).json()["detail"] == "This needs a key."

"""Queues over the API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import httpx
    import psycopg

    Db = psycopg.Connection[dict[str, Any]]

READER = {"authorization": "Bearer reader"}


async def test_a_queue_is_listed_paused_and_resumed(api: httpx.AsyncClient, db: Db) -> None:
    db.execute("select postmill.create_queue('mail'), postmill.send('mail', '{}')")
    (listed,) = (await api.get("/queues")).json()["items"]
    assert (listed["queue"], listed["ready"], listed["paused_at"]) == ("mail", 1, None)
    paused = await api.post("/queues/mail/pause", json={"reason": "deploy"})
    assert (paused.status_code, paused.json()["pause_reason"]) == (200, "deploy")
    assert (await api.post("/queues/mail/resume")).json()["paused_at"] is None


@pytest.mark.parametrize(
    ("method", "path", "more", "status", "code"),
    [
        ("GET", "/queues/nope", {}, 404, "queue-not-found"),
        ("GET", "/queues/NO", {}, 400, "invalid-option"),
        ("GET", "/queues?limit=3", {}, 400, "invalid-option"),
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

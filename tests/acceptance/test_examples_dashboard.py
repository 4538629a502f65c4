"""The dashboard mounted in other frameworks, as the examples do it."""

from __future__ import annotations

from importlib import import_module, reload
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    import psycopg

ADA = {"x-forwarded-email": "ada@example.org"}
BOB = {"x-forwarded-email": "bob@example.org"}


@pytest.mark.parametrize("framework", ["starlette", "fastapi", "litestar", "django"])
async def test_it_is_mounted_below_a_path(
    framework: str, database_url: str, db: psycopg.Connection[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    db.execute("select pgmq.create('odd/name'), postmill.create_queue('mail')")
    monkeypatch.setenv("DATABASE_URL", database_url)
    example = reload(import_module(f"examples.dashboard.with_{framework}"))
    transport = httpx.ASGITransport(example.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=ADA) as client:
        page = await client.get("/jobs/")
        assert page.status_code == 200
        assert 'href="/jobs/queues/odd%2Fname"' in page.text
        assert (await client.get("/jobs/queues/odd%2Fname")).status_code == 200
        assert (await client.get("/jobs/static/style.css")).status_code == 200
        assert (await client.get("/jobs/api/v1/queues/odd%2Fname")).json()["queue"] == "odd/name"
        paused = await client.post("/jobs/queues/mail/pause", data={"reason": "x"})
        assert (paused.status_code, paused.headers["location"]) == (303, "/jobs/queues/mail")
        assert (await client.post("/jobs/queues/mail/resume", data={}, headers=BOB)).status_code == 403
        assert (await client.get("/jobs/", headers={"x-forwarded-email": ""})).status_code == 401
        assert (await client.get("/elsewhere")).status_code == 404

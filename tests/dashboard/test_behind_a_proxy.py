"""Below a path of a proxy: links, forms, files, the API and the cookie stay below it, if the proxy passes the
path on whole or takes its part away.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from postmill.dashboard.application import application
from postmill.dashboard.prefixed import Prefixed
from postmill.model.errors import InvalidOption
from tests.dashboard.conftest import KEYS, OWN, words

if TYPE_CHECKING:
    import psycopg

    from postmill.dashboard.application import Dashboard

    Db = psycopg.Connection[dict[str, Any]]

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
HEADERS = f'{{"traceparent": "00-{TRACE}-00f067aa0ba902b7-01"}}'


@pytest.mark.parametrize("passed_on", ["/tools/jobs", ""])
async def test_all_of_it_stays_below_the_path(dashboard: Dashboard, db: Db, passed_on: str) -> None:
    db.execute("select postmill.create_queue('mail')")
    transport = httpx.ASGITransport(Prefixed(dashboard, "/tools/jobs"))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://127.0.0.1:8420", headers=OWN
    ) as person:
        first = await person.get(f"{passed_on}/queues/mail")
        assert first.status_code == 303
        assert first.headers["location"].startswith("/tools/jobs/sign-in")
        entered = await person.post(f"{passed_on}/sign-in", data={"key": "operators-key"})
        assert "Path=/tools/jobs;" in entered.headers["set-cookie"].replace("path=", "Path=")
        for name, value in entered.cookies.items():
            person.cookies.set(name, value, domain="127.0.0.1")
        page = await person.get(f"{passed_on}/queues/mail")
        assert page.status_code == 200
        inner = re.findall(r'(?:href|action|src)="(/[^"]*)"', page.text)
        assert inner
        assert [link for link in inner if not link.startswith("/tools/jobs/")] == []
        for link in (each for each in inner if "/static/" in each):
            assert (await person.get(passed_on + link.removeprefix("/tools/jobs"))).status_code == 200
        done = await person.post(f"{passed_on}/queues/mail/pause", data={"reason": ""})
        assert (done.status_code, done.headers["location"]) == (303, "/tools/jobs/queues/mail")
        assert (await person.get(f"{passed_on}/api/v1/queues/mail")).json()["paused_at"]


@pytest.mark.parametrize(
    ("url", "told", "is_secure"),
    [("http", "https", True), ("http", "HTTPS, http", True), ("http", "http", False), ("http", "", False),
     ("https", "", True), ("https", "https", True)],
)  # fmt: skip
async def test_the_session_behind_https_is_sent_over_https_only(
    dashboard: Dashboard, url: str, told: str, is_secure: bool
) -> None:
    """The dashboard's own server speaks http to the proxy, and its cookie went over plain http too."""
    headers = {**OWN, **({"x-forwarded-proto": told} if told else {})}
    transport = httpx.ASGITransport(dashboard)
    async with httpx.AsyncClient(
        transport=transport, base_url=f"{url}://127.0.0.1:8420", headers=headers
    ) as person:
        entered = await person.post("/sign-in", data={"key": "operators-key"})
        assert ("; Secure" in entered.headers["set-cookie"]) is is_secure


async def test_the_path_alone_is_its_first_page(dashboard: Dashboard) -> None:
    transport = httpx.ASGITransport(Prefixed(dashboard, "/jobs"))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8420") as person:
        assert (await person.get("/jobs")).headers["location"].startswith("/jobs/sign-in")
        assert (await person.get("/jobsearch")).headers["location"].startswith("/jobs/sign-in")


async def test_a_message_links_its_trace(database_url: str, db: Db) -> None:
    db.execute("select postmill.create_queue('mail')")
    db.execute("select postmill.send('mail', '{}', headers => $1::text::jsonb)", (HEADERS,))
    db.execute("select postmill.send('mail', '{}', headers => '{\"traceparent\": \"odd\"}')")
    made = application(db_url=database_url, keys=KEYS, trace_url="https://traces.example/t/{trace_id}?a=1&b")
    bearer = {**OWN, "authorization": "Bearer operators-key"}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(made), base_url="http://127.0.0.1:8420", headers=bearer
    ) as person:
        shown = (await person.get("/api/v1/queues/mail/messages/1")).json()
        assert (shown["trace_id"], shown["trace_url"]) == (TRACE, f"https://traces.example/t/{TRACE}?a=1&b")
        assert (await person.get("/api/v1/queues/mail/messages/2")).json()["trace_id"] is None
        page = await person.get("/queues/mail/messages/1")
        assert f'href="https://traces.example/t/{TRACE}?a=1&amp;b" rel="noreferrer"' in page.text
        assert "traceparent" not in page.text
        assert "traceparent odd" in words(await person.get("/queues/mail/messages/2"))
    await made.close()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://traces.example",
        "javascript:{trace_id}",
        "https://x/{trace_id}/{span}",
        "https://x/ {trace_id}",
    ],
)
def test_an_address_without_a_place_for_the_trace_is_refused(database_url: str, url: str) -> None:
    with pytest.raises(InvalidOption, match="trace_url"):
        application(db_url=database_url, keys=KEYS, trace_url=url)

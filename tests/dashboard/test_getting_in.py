"""Each way into the dashboard, tried by somebody who should not get in."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from postmill.dashboard.application import application
from postmill.model.errors import InvalidOption
from tests.dashboard.conftest import KEYS, OWN, client_of, words

if TYPE_CHECKING:
    import psycopg

    from postmill.dashboard.application import Dashboard

    Db = psycopg.Connection[dict[str, Any]]

BEARER = {"authorization": "Bearer operators-key"}


@pytest.fixture
def mail(db: Db) -> Db:
    """A queue that nobody who should not can pause."""
    db.execute("select postmill.create_queue('mail')")
    return db


def paused(db: Db) -> bool:
    """Whether somebody has paused it."""
    row = db.execute("select paused_at from postmill.queues where queue_name = 'mail'").fetchone()
    return row is not None and row["paused_at"] is not None


@pytest.mark.parametrize("path", ["/", "/queues/mail", "/no-such-page"])
async def test_a_stranger_is_asked_to_sign_in_also_on_loopback(
    stranger: httpx.AsyncClient, path: str
) -> None:
    answer = await stranger.get(path)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/sign-in?next={path}")
    assert answer.text == ""


async def test_a_stranger_gets_nothing_of_the_api_and_no_form_is_taken(
    stranger: httpx.AsyncClient, mail: Db
) -> None:
    assert (await stranger.get("/api/v1/queues")).status_code == 401
    assert (await stranger.post("/queues/mail/pause", data={"reason": "x"})).status_code == 401
    assert not paused(mail)


async def test_signing_in_with_a_key_leads_to_the_page_that_was_asked_for(
    stranger: httpx.AsyncClient,
) -> None:
    assert "Key of the project" in words(await stranger.get("/sign-in?next=/%3Fq%3Dx"))
    answer = await stranger.post("/sign-in", data={"key": " operators-key ", "next": "/?q=x"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/?q=x")
    (cookie,) = answer.headers.get_list("set-cookie")
    assert all(part in cookie for part in ("HttpOnly", "SameSite=lax", "Path=/"))
    assert (await stranger.get("/")).status_code == 200
    await stranger.post("/sign-out", data={})
    assert (await stranger.get("/")).status_code == 303


@pytest.mark.parametrize(
    "beside",
    [
        'prefs={{"theme":"dark"}}; {own}',
        "name=a b; {own}",
        "\u00e9=1; {own}",
        "{name}=old; {own}",
        "{own}; {name}=",
    ],
    ids=["JSON", "a space", "a letter", "an old one before it", "an old one after it"],
)
async def test_what_others_have_written_beside_the_cookie_keeps_nobody_out(
    stranger: httpx.AsyncClient, beside: str
) -> None:
    """One cookie of another application on the host that was not as the standard has it, and a person who had
    signed in was asked to sign in, again and again.
    """
    signed = await stranger.post("/sign-in", data={"key": "operators-key", "next": "/"})
    own = signed.headers["set-cookie"].partition(";")[0]
    stranger.cookies.clear()
    cookie = beside.format(own=own, name=own.partition("=")[0])
    assert (await stranger.get("/", headers={b"cookie": cookie.encode()})).status_code == 200


@pytest.mark.parametrize(
    ("referer", "to"),
    [
        ("http://127.0.0.1:8420/queues/mail/messages?q=state%3Adead", "/queues/mail/messages?q=state%3Adead"),
        ("http://127.0.0.1:8420//evil.example/", "/"),
        ("http://[", "/"),
        ("", "/"),
    ],
)
async def test_the_choice_of_a_theme_leads_back_to_what_was_shown(
    browser: httpx.AsyncClient, referer: str, to: str
) -> None:
    chosen = await browser.post("/theme", data={"theme": "dark"}, headers={"referer": referer})
    assert (chosen.status_code, chosen.headers["location"]) == (303, to)


@pytest.mark.parametrize("key", ["", "operators-ke", "operators-key2", "\u00e9"])
async def test_a_wrong_key_is_refused(stranger: httpx.AsyncClient, key: str) -> None:
    answer = await stranger.post("/sign-in", data={"key": key, "next": "/"})
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


async def test_nobody_is_led_to_another_site(stranger: httpx.AsyncClient) -> None:
    answer = await stranger.post("/sign-in", data={"key": "operators-key", "next": "//evil.example/"})
    assert answer.headers["location"] == "/"


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", ""])
async def test_a_name_that_was_made_to_point_here_is_refused(browser: httpx.AsyncClient, host: str) -> None:
    for path in ("/", "/static/style.css", "/api/v1/queues"):
        assert (await browser.get(path, headers={"host": host})).status_code == 421


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "http://evil.example"},
        {"origin": "http://127.0.0.1:54321"},  # a function's page on the gateway's port
        {"origin": "null"},
        {"origin": ""},
    ],
)
async def test_another_sites_page_can_not_act_with_the_cookie(
    browser: httpx.AsyncClient, mail: Db, headers: dict[str, str]
) -> None:
    for path in ("/queues/mail/pause", "/api/v1/queues/mail/pause", "/theme", "/sign-out"):
        answer = await browser.post(path, data={"reason": "x"}, headers=headers)
        assert answer.status_code == 403, path
    assert not paused(mail)


async def test_without_a_word_about_where_it_comes_from_a_cookie_is_refused_and_a_key_is_not(
    dashboard: Dashboard, mail: Db
) -> None:
    async with client_of(dashboard, key="operators-key") as browser:
        del browser.headers["origin"]
        refused = await browser.post("/api/v1/queues/mail/pause", json={})
        assert refused.status_code == 403
        browser.cookies.clear()
        taken = await browser.post("/api/v1/queues/mail/pause", json={}, headers=BEARER)
        assert taken.status_code == 200
    assert paused(mail)


async def test_a_reader_acts_on_nothing_also_by_a_form_that_is_not_shown(
    readers: httpx.AsyncClient, mail: Db
) -> None:
    answer = await readers.post("/queues/mail/pause", data={"reason": "x"})
    assert answer.status_code == 403
    assert "may look" in words(answer)
    assert not paused(mail)


async def test_nobody_acts_where_it_is_read_only(database_url: str, mail: Db) -> None:
    dashboard = application(db_url=database_url, keys=KEYS, read_only=True)
    async with client_of(dashboard, key="operators-key") as browser:
        assert (await browser.post("/queues/mail/pause", data={"reason": "x"})).status_code == 403
        assert "Pause" not in words(await browser.get("/queues/mail"))
    await dashboard.close()
    assert not paused(mail)


@pytest.mark.parametrize("path", ["/", "/sign-in", "/no", "/api/v1/queues", "/static/live.js"])
async def test_every_answer_tells_the_browser_what_a_page_may_do(
    browser: httpx.AsyncClient, db: Db, path: str
) -> None:
    headers = (await browser.get(path)).headers
    policy = headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cache-control"] == ("no-cache" if path.startswith("/static") else "no-store")


async def test_files_are_served_and_nothing_beside_them(browser: httpx.AsyncClient) -> None:
    style = await browser.get("/static/style.css")
    assert style.headers["content-type"].startswith("text/css")
    again = await browser.get("/static/style.css", headers={"if-none-match": style.headers["etag"]})
    assert again.status_code == 304
    for path in ("/static/%2e%2e/application.py", "/static/..%2fapplication.py", "/static/", "/static/x"):
        assert (await browser.get(path)).status_code == 404


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"--x\r\n", "multipart/form-data; boundary=x", 415),
        (b"{}", "application/json", 415),
        (b"a=1&" * 2000, "application/x-www-form-urlencoded", 400),
        (b"a=%ff", "application/x-www-form-urlencoded", 400),
        (b"reason=a%00b", "application/x-www-form-urlencoded", 400),
        (b"a=" + b"x" * 5_000_000, "application/x-www-form-urlencoded", 413),
    ],
)
async def test_forms_are_bounded(
    browser: httpx.AsyncClient, mail: Db, content: bytes, kind: str, status: int
) -> None:
    headers = {"content-type": kind, **OWN}
    answer = await browser.post("/queues/mail/pause", content=content, headers=headers)
    assert answer.status_code == status
    assert not paused(mail)


def test_a_dashboard_that_lets_everybody_in_can_not_be_made(database_url: str) -> None:
    with pytest.raises(InvalidOption, match="not told who may look"):
        application(db_url=database_url)


async def test_signing_in_leads_to_a_queue_with_a_slash_in_its_name(stranger: httpx.AsyncClient) -> None:
    asked = await stranger.get("/queues/a%2Fb/messages?state=ready")
    form = await stranger.get(asked.headers["location"])
    found = re.search('name="next" value="([^"]*)"', form.text)
    assert found is not None
    signed = await stranger.post("/sign-in", data={"key": "operators-key", "next": found[1]})
    assert signed.headers["location"] == "/queues/a%2Fb/messages?state=ready"


@pytest.mark.parametrize(
    ("path", "written"),
    [
        ("/ops/jobs board", "/ops/jobs%20board"),
        ("/работа", "/%D1%80%D0%B0%D0%B1%D0%BE%D1%82%D0%B0"),
        ("/team@work", "/team@work"),
    ],
)
async def test_it_is_mounted_at_a_path_that_a_browser_writes_otherwise(
    dashboard: Dashboard, path: str, written: str
) -> None:
    transport = httpx.ASGITransport(Starlette(routes=[Mount(path, dashboard)]))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8420", headers=OWN) as guest:
        asked = await guest.get(f"{written}/queues/mail")
        assert asked.headers["location"] == f"{written}/sign-in?next=/queues/mail"
        signed = await guest.post(f"{written}/sign-in", data={"key": "operators-key", "next": "/"})
        assert signed.headers["location"] == f"{written}/"
        assert f"Path={written};" in signed.headers["set-cookie"]
        assert (await guest.get(f"{written}/")).status_code == 200
        chosen = await guest.post(
            f"{written}/theme",
            data={"theme": "dark"},
            headers={"referer": f"http://127.0.0.1:8420{written}/audit"},
        )
        assert chosen.headers["location"] == f"{written}/audit"

"""A function's page on the gateway's port, in the browser of an operator who is signed in to the dashboard.

Ports are no border for cookies, nor for SameSite: to the browser both are one site.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.dashboard.in_chromium import CHROMIUM, opened
from tests.serving import Serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import psycopg
    from playwright.sync_api import Browser, Page

    from tests.dashboard.in_chromium import Served

    Db = psycopg.Connection[dict[str, Any]]

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="make test-deps installs chromium")

FUNCTION = '''
from starlette.responses import HTMLResponse, PlainTextResponse

PAGE = """<!doctype html><title>evil</title>
<p>loaded</p>
<form id=pause method=post action="{base}/queues/mail/pause"><input name=reason value=evil></form>
<form id=plain method=post action="{base}/api/v1/queues/mail/pause" enctype="text/plain">
<input name='{{"reason": "' value='evil"}}'></form>"""


async def handler(request):
    if request.url.path.endswith("/seen"):
        return PlainTextResponse(request.headers.get("cookie", "none"))
    return HTMLResponse(PAGE.format(base=request.query_params["base"]))
'''
SEND = """async ([base, path, mode]) => {
    const headers = mode === "cors" ? {"content-type": "application/json"} : {};
    try {
        const answer = await fetch(base + path,
            {method: "POST", credentials: "include", mode, headers, body: "{}"});
        return answer.type === "opaque" ? "" : await answer.text();
    } catch (error) { return ""; }
}"""
READ = """async ([base, path]) => {
    try {
        return await (await fetch(base + path, {credentials: "include"})).text();
    } catch (error) { return ""; }
}"""
EMBED = """([tag, url]) => new Promise(resolve => {
    const made = document.createElement(tag);
    made.onload = () => resolve("loaded");
    made.onerror = () => resolve("refused");
    made[tag === "link" ? "href" : "src"] = url;
    if (tag === "link") made.rel = "stylesheet";
    document.body.append(made);
})"""
FRAME = """url => new Promise(resolve => {
    const made = document.createElement("iframe");
    made.name = "framed";
    made.onload = () => resolve();
    made.src = url;
    document.body.append(made);
})"""


@pytest.fixture
def gateway(tmp_path: Path, database_url: str) -> Iterator[Serving]:
    """It serves the function to anybody."""
    (tmp_path / "functions" / "evil").mkdir(parents=True)
    (tmp_path / "functions" / "evil" / "main.py").write_text(FUNCTION)
    (tmp_path / "postmill.toml").write_text(
        f"[db]\nurl = {database_url!r}\n[functions.evil]\nverify_jwt = false\n"
    )
    with Serving(tmp_path, "serve", "--port", "0") as process:
        yield process


@pytest.fixture
def evil(chromium: Browser, served: Served, gateway: Serving) -> Page:
    """The function's page, opened by the operator."""
    page = opened(chromium, served, [])
    page.get_by_role("heading", name="Overview").wait_for()
    page.goto(f"{gateway.functions}/evil?base={served.url}")
    page.get_by_text("loaded").wait_for()
    return page


def is_paused(db: Db) -> bool:
    """Whether the queue was acted upon."""
    (row,) = db.execute("select paused_at from postmill.queues where queue_name = 'mail'").fetchall()
    return row["paused_at"] is not None


def attack(page: Page, base: str) -> list[str]:
    """Each way in which the page may try to act; what it could read of the answers."""
    home = page.url
    for form in ("pause", "plain"):
        with page.expect_navigation():
            page.evaluate("id => document.getElementById(id).submit()", form)
        page.goto(home)
    return [
        page.evaluate(SEND, [base, path, mode])
        for path in ("/queues/mail/pause", "/api/v1/queues/mail/pause", "/theme", "/sign-out")
        for mode in ("no-cors", "cors")
    ]


def test_it_acts_on_nothing_with_the_operators_cookie(evil: Page, served: Served, db: Db) -> None:
    assert attack(evil, served.url) == [""] * 8
    assert not is_paused(db)
    assert db.execute("select from postmill.audit").fetchall() == []
    evil.goto(served.url)  # and the operator was not signed out
    evil.get_by_role("heading", name="Overview").wait_for()


def test_without_the_check_of_the_origin_it_would_act(
    evil: Page, served: Served, db: Db, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: the browser does send the operator's cookie along."""
    for place in ("postmill.dashboard.security.guard", "postmill.api.application"):
        monkeypatch.setattr(f"{place}.is_foreign", lambda *_: False)
    attack(evil, served.url)
    assert is_paused(db)


def test_it_reads_and_shows_nothing_of_the_dashboard(evil: Page, served: Served) -> None:
    for path in ("/", "/api/v1/queues", "/queues/mail", "/live?topic=queues"):
        assert evil.evaluate(READ, [served.url, path]) == "", path
    embedded = {
        (tag, path): evil.evaluate(EMBED, [tag, served.url + path])
        for tag, path in (
            ("img", "/static/icon.svg"),
            ("script", "/static/live.js"),
            ("script", "/api/v1/queues"),
            ("link", "/static/style.css"),
        )
    }
    assert set(embedded.values()) == {"refused"}
    evil.evaluate(FRAME, f"{served.url}/")
    framed = evil.frame("framed")
    assert framed is not None
    assert "Overview" not in framed.content()
    assert framed.url.startswith("chrome-error:")


def test_a_window_that_it_opens_is_out_of_its_reach(evil: Page, served: Served) -> None:
    with evil.expect_popup() as opening:
        evil.evaluate("url => { window.theirs = window.open(url) }", f"{served.url}/")
    opening.value.get_by_role("heading", name="Overview").wait_for()
    assert evil.evaluate("window.theirs.closed")  # its opener is cut off from it
    assert opening.value.evaluate("window.opener") is None


def test_the_function_never_sees_the_operators_cookie(evil: Page, served: Served, gateway: Serving) -> None:
    kept = [each["name"] for each in evil.context.cookies(gateway.url)]
    assert any(name.startswith("postmill_session") for name in kept)  # the browser has it for this address
    evil.goto(f"{gateway.functions}/evil/seen")
    assert evil.inner_text("body") == "none"
    assert evil.evaluate("document.cookie") == ""

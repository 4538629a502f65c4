"""What people and programs put into queues is shown harmlessly, however long, odd or much it is."""

from __future__ import annotations

import html
import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import pytest

from postmill.dashboard.application import application
from postmill.dashboard.filters import CUT
from postmill.db.tools.connect import TOO_DEEP
from postmill.host.host import Host
from postmill.model.functions.settings import RuntimeSettings
from tests.dashboard.conftest import KEYS, client_of, words
from tests.dashboard.in_chromium import CHROMIUM, opened
from tests.sql.flow_scene import fail, register, settle, start, step, take

if TYPE_CHECKING:
    from pathlib import Path

    import psycopg
    from playwright.sync_api import Browser

    from tests.dashboard.in_chromium import Served

    Db = psycopg.Connection[dict[str, Any]]

MOST_OF_A_PAGE = 300_000
SCRIPT = "<script>document.title = 'taken'</script><img src=x onerror=alert(1)>"
MARKUP = re.compile(r"<script>document|<img src=x|onerror=alert\(1\)>")
FUNCTION = f"""
import logging

async def handler(request):
    print({SCRIPT!r})
    logging.getLogger({SCRIPT!r}).warning({SCRIPT!r})
    return {{"said": await request.json()}}
"""
RTL = "\u202e\u05e9\u05dc\u05d5\u05dd <b>"
LONGEST = 'a/b.c%25"<i>&?#'.ljust(47, "x")
NAMES = ("a/b", "a.b", "a%2fb", 'say"hi"', "<i>x</i>", RTL, LONGEST)
"""Names of queues that pgmq makes, of up to the 47 characters that it allows."""


def kill(db: Db, queue: str, message: Any, error: str = "", headers: Any = None) -> None:
    """A message of the queue that has failed and is dead, and one that waits."""
    text, more = json.dumps(message), json.dumps(headers or {})
    db.execute("select postmill.send($1, $2::jsonb, headers => $3::jsonb)", (queue, text, more))
    db.execute(
        """insert into postmill.dead_letters
                  (queue_name, msg_id, read_ct, enqueued_at, message, attempts, kind, reason)
           values ($1, 99, 1, now(), $2::jsonb, 1, 'error', left($3, 1000))""",
        (queue, text, error),
    )
    db.execute(
        """insert into postmill.failures
                  (queue_name, msg_id, attempt, kind, error_type, error_message, traceback)
           values ($1, 1, 1, 'error', left($2, 200), $2, $2), ($1, 99, 1, 'error', left($2, 200), $2, $2)""",
        (queue, error),
    )


@pytest.mark.parametrize("unit", ["x", '"', "<&", "\u05d0"], ids=["plain", "quotes", "markup", "rtl"])
async def test_of_five_megabytes_a_page_shows_the_beginning_and_says_so(
    browser: httpx.AsyncClient, db: Db, unit: str
) -> None:
    size = 5_000_000 // len(unit.encode())
    db.execute("select postmill.create_queue('mail')")
    kill(db, "mail", {"a": unit * size, "b": list(range(10))}, unit * 100_000, {"x-long": unit * 100_000})
    for path in ("/queues/mail/messages/1", "/queues/mail/messages", "/dead", "/dead/1", "/"):
        page = await browser.get(path)
        assert page.status_code == 200
        assert len(page.content) < MOST_OF_A_PAGE, path
    for path in ("/queues/mail/messages/1", "/dead/1"):
        assert CUT.strip() in (await browser.get(path)).text
    assert "<textarea" not in (await browser.get("/dead/1")).text.partition("<main")[2]
    told = (await browser.get("/api/v1/queues/mail/messages/1")).json()
    assert told["message"]["a"] == unit * size  # the API gives all of it


async def test_a_payload_that_is_shown_whole_can_be_edited(browser: httpx.AsyncClient, db: Db) -> None:
    """The control: what is cut would be sent back cut."""
    db.execute("select postmill.create_queue('mail')")
    kill(db, "mail", {"a": "x" * 10_000})
    page = (await browser.get("/dead/1")).text
    assert "<textarea" in page.partition("<main")[2]
    assert CUT.strip() not in page


async def test_a_queue_of_any_name_has_its_pages(browser: httpx.AsyncClient, db: Db) -> None:
    for name in NAMES:
        db.execute("select pgmq.create($1)", (name,))
        db.execute("select pgmq.send($1, '{}')", (name,))
    for name in NAMES:
        here = f"/queues/{quote(name, safe='')}"
        for path in (here, f"{here}/messages", f"{here}/messages/1"):
            page = await browser.get(path)
            assert page.status_code == 200, (name, path, words(page))
            assert "<i>" not in page.text
        sent = await browser.post(f"{here}/pause", data={"reason": "odd"})
        assert (sent.status_code, sent.headers["location"]) == (303, here)


@pytest.mark.parametrize(
    ("payload", "shown"),
    [
        ('{"n": 1e5000, "m": 1}', {"n": "1" + "0" * 5000, "m": 1}),
        (f'{{"n": {"9" * 400}.5}}', {"n": "9" * 400 + ".5"}),
        (f'{{"n": {"9" * 400}, "m": 0.5}}', {"n": int("9" * 400), "m": 0.5}),
        ('{"a":' * 3000 + "1" + "}" * 3000, TOO_DEEP),
    ],
    ids=["an integer", "a float", "one that is read", "a nest"],
)
async def test_a_payload_that_python_has_no_value_for_takes_no_page_away(
    browser: httpx.AsyncClient, db: Db, payload: str, shown: Any
) -> None:
    """One message with ``1e5000`` in it, which a send takes, and the pages of its queue and of all the dead
    letters were a bug's (500), so that it could not be cancelled or discarded there.
    """
    db.execute("select postmill.create_queue('mail')")
    db.execute("select postmill.send('mail', $1::jsonb)", (payload,))
    db.execute(
        """insert into postmill.dead_letters
                  (queue_name, msg_id, read_ct, enqueued_at, message, attempts, kind, reason)
           values ('mail', 99, 1, now(), $1::jsonb, 1, 'invalid_payload', 'x')""",
        (payload,),
    )
    here = "queues/mail/messages"
    for path in (f"/{here}", f"/{here}?q=payload.m%3D1", f"/{here}/1", "/queues/mail", "/dead", "/dead/1"):
        page = await browser.get(path)
        assert page.status_code == 200, (path, words(page))
    for path in (f"{here}/1", "dead-letters/1"):
        told = (await browser.get(f"/api/v1/{path}")).json()
        assert told["message"] == shown


@pytest.mark.parametrize("headers", ['["x-a"]', '"x-a"', "7"])
async def test_headers_that_are_no_object_are_shown(browser: httpx.AsyncClient, db: Db, headers: str) -> None:
    """Any pgmq client may send them, and the worker takes the message; its page was a bug's (500)."""
    db.execute("select postmill.create_queue('mail')")
    db.execute("select pgmq.send('mail', '1'::jsonb, $1::jsonb)", (headers,))
    page = await browser.get("/queues/mail/messages/1")
    assert page.status_code == 200
    shown = html.unescape(words(page)).partition("Headers")[2]
    assert "".join(shown.split()).startswith(headers)


def is_text(page: httpx.Response) -> bool:
    """Whether the page says the script, and nothing of it is markup."""
    text = html.unescape(page.text)
    return page.status_code == 200 and SCRIPT in text and not MARKUP.search(page.text)


def test_what_would_be_run_is_found() -> None:
    """The control."""
    assert MARKUP.search(f"<p>{SCRIPT}</p>")
    assert not MARKUP.search(html.escape(SCRIPT))
    assert not is_text(httpx.Response(200, text=f"<p>{SCRIPT}</p>"))


async def test_what_a_run_says_is_text(browser: httpx.AsyncClient, db: Db) -> None:
    """Its progress, what it emits, its values, its key and its tags."""
    register(db, step("fetch"), step("mail"))
    run = start(db, {SCRIPT: SCRIPT}, tags=[SCRIPT], key=SCRIPT)
    for name in ("progress", SCRIPT):
        db.execute(
            "insert into postmill.run_events (run_id, step, name, value)"
            " values ($1, 'fetch', $2, $3::text::jsonb)",
            (run, name, json.dumps({SCRIPT: [SCRIPT], "current": 1, "total": 2, "message": SCRIPT})),
        )
    first, second = take(db)
    settle(db, first, {SCRIPT: SCRIPT})
    fail(db, second, SCRIPT)
    for path in (f"/runs/{run}", f"/runs/{run}?step=fetch", f"/runs/{run}?step=mail", "/runs"):
        assert is_text(await browser.get(path)), path


async def test_names_and_notes_of_schedules_are_text(browser: httpx.AsyncClient, db: Db) -> None:
    db.execute("select postmill.create_queue('mail')")
    message = json.dumps({SCRIPT: SCRIPT})
    db.execute("select postmill.schedule($1, '@daily', 'mail', $2::text::jsonb)", (SCRIPT, message))
    db.execute("update postmill.schedules set problem = $1", (SCRIPT,))
    for path in ("/schedules", f"/schedules/{quote(SCRIPT, safe='')}"):
        assert is_text(await browser.get(path)), path


async def test_what_workers_call_themselves_is_text(browser: httpx.AsyncClient, db: Db) -> None:
    db.execute("select postmill.create_queue('mail')")
    db.execute(
        "insert into postmill.workers (queue_name, function_name, hostname, pid, version, max_concurrent)"
        " values ('mail', $1, $1, 1, $1, 1)",
        (SCRIPT,),
    )
    assert is_text(await browser.get("/workers"))
    for path in ("/queues/mail", "/"):
        assert not MARKUP.search((await browser.get(path)).text), path


async def test_lines_and_answers_of_functions_are_text(database_url: str, tmp_path: Path) -> None:
    (tmp_path / "hostile.py").write_text(FUNCTION)
    host = Host(tmp_path, RuntimeSettings(), {}, {}, None)
    await host.start()
    dashboard = application(db_url=database_url, keys=KEYS, functions=host)
    async with client_of(dashboard, key="operators-key") as client:
        form = {"method": "POST", "path": "/", "body": json.dumps(SCRIPT)}
        assert is_text(await client.post("/functions/hostile/call", data=form))
        assert is_text(await client.get("/functions/hostile"))
    await dashboard.close()
    await host.stop(5)


@pytest.mark.skipif(CHROMIUM is None, reason="make test-deps installs chromium")
def test_markup_anywhere_is_text_in_a_browser(
    chromium: Browser, served: Served, said: list[str], db: Db
) -> None:
    """Names are followed by their links, as a person does."""
    for name in NAMES:
        db.execute("select pgmq.create($1)", (name,))
    kill(db, "mail", {SCRIPT: SCRIPT, "rtl": RTL}, SCRIPT, {SCRIPT: SCRIPT})
    page = opened(chromium, served, said)
    page.on("dialog", lambda asked: said.append(asked.message))
    for name in NAMES:
        page.goto(f"{served.url}/")
        page.locator("main").get_by_role("link", name=name, exact=True).first.click()
        page.wait_for_url(re.compile("/queues/"))
        assert page.locator("h1 bdi").inner_text() == name
    for path in ("/queues/mail/messages/2", "/queues/mail/messages", "/dead", "/dead/1", "/errors"):
        page.goto(served.url + path)
        assert page.locator("main").count() == 1
        assert "taken" not in page.title()
        assert page.locator("main script, main img, main b, main i").count() == 0, path
        assert page.evaluate("document.documentElement.scrollWidth") <= 1440, path
    assert said == []

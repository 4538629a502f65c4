"""Every page, and every action by its form, without JavaScript."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from postmill.api.cursor import MOST_SHOWN
from postmill.dashboard.page import ACTIONS
from tests.dashboard.conftest import words
from tests.dashboard.test_running_parts import put_worker
from tests.service.test_payload_types import tell

if TYPE_CHECKING:
    import httpx
    import psycopg

    Db = psycopg.Connection[dict[str, Any]]

HOSTILE = {"x": "<script>alert(1)</script>", "rtl": "\u05e9\u05dc\u05d5\u05dd", "password": "hunter2"}


async def sent(browser: httpx.AsyncClient, path: str, form: dict[str, Any]) -> str:
    """Send a form; the words of the page that follows."""
    answer = await browser.post(path, data=form)
    assert answer.status_code == 303, words(answer)
    return words(await browser.get(answer.headers["location"]))


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/queues/mail",
        "/messages",
        "/queues/mail/messages",
        "/queues/mail/messages?state=ready",
        "/queues/mail/messages/1",
        "/queues/mail/messages/2",
        "/dead",
        "/dead?queue=mail&replayed=true",
        "/dead/1",
        "/audit",
    ],
)
async def test_what_people_sent_is_shown_harmlessly(browser: httpx.AsyncClient, work: Db, path: str) -> None:
    page = await browser.get(path)
    assert page.status_code == 200
    for markup in ("<script>alert", "<b>no</b>", "<i>bad</i>", "<u>here</u>"):
        assert markup not in page.text
    assert "hunter2" not in page.text


@pytest.mark.parametrize(
    ("path", "status"),
    [("/queues/nope", 404), ("/queues/mail/messages/x", 400), ("/dead/9", 404), ("/no", 404)],
)
async def test_what_is_not_there_is_told_as_a_page(
    browser: httpx.AsyncClient, work: Db, path: str, status: int
) -> None:
    page = await browser.get(path)
    assert page.status_code == status
    assert "To the overview" in words(page)


@pytest.mark.parametrize(
    "path",
    ["/queues/a%00b", "/dead?queue=%00", "/queues/mail/messages?q=%00", "/queues/mail?like=x"],
)
async def test_what_no_table_holds_is_refused_as_a_page(
    browser: httpx.AsyncClient, work: Db, path: str
) -> None:
    """A NUL in an address, or what is no id, was shown as a fault of Postmill's (500)."""
    page = await browser.get(path)
    assert (page.status_code, 'role="alert"' in page.text) == (400, True)


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("/queues/mail/messages/cancel", {"msg_id": ["2", "9" * 20]}),
        ("/queues/mail/messages/retry", {"msg_id": ["2", "x"]}),
        ("/dead/replay", {"letter": ["1/mail", "9" * 20 + "/mail"]}),
        ("/dead/discard", {"letter": ["1/mail", "x/mail"]}),
    ],
)
async def test_of_what_is_ticked_all_must_be_ids(
    browser: httpx.AsyncClient, work: Db, path: str, form: dict[str, list[str]]
) -> None:
    assert (await browser.post(path, data=form)).status_code == 422
    (left,) = work.execute(
        """select (select count(*) from pgmq.q_mail) as messages,
                  (select count(*) from postmill.dead_letters where replayed_at is null) as letters"""
    )
    assert left == {"messages": 2, "letters": 1}


async def test_a_queue_is_paused_resumed_filled_and_purged(browser: httpx.AsyncClient, work: Db) -> None:
    assert "The queue is paused." in await sent(browser, "/queues/mail/pause", {"reason": "disk <full>"})
    assert "disk &lt;full&gt;" in words(await browser.get("/queues/mail"))
    assert "Workers claim again." in await sent(browser, "/queues/mail/resume", {})
    form = {"message": '{"n": 1}', "delay_s": "60", "unique_key": "k"}
    assert "Message 4 was sent." in await sent(browser, "/queues/mail/send", form)
    refused = await browser.post("/queues/mail/send", data={"message": "{not json"})
    assert refused.status_code == 422
    assert "{not json" in refused.text
    assert (await browser.post("/queues/mail/purge", data={"confirm": "mial"})).status_code == 422
    assert "3 messages were deleted." in await sent(browser, "/queues/mail/purge", {"confirm": "mail"})


async def test_messages_are_cancelled_and_retried(browser: httpx.AsyncClient, work: Db) -> None:
    assert (await browser.post("/queues/mail/messages/retry", data={})).status_code == 422
    assert "1 ready." in await sent(browser, "/queues/mail/messages/retry", {"msg_id": ["2"]})
    assert "1 cancelled." in await sent(browser, "/queues/mail/messages/cancel", {"msg_id": ["2"]})
    assert "The message is ready" in await sent(browser, "/queues/mail/messages/3/retry", {})
    assert "The message is cancelled." in await sent(browser, "/queues/mail/messages/3/cancel", {})


async def test_a_failed_attempt_shows_what_it_has_logged(browser: httpx.AsyncClient, work: Db) -> None:
    for path in ("/queues/mail/messages/1", "/dead/1"):
        page = await browser.get(path)
        assert (
            "12:00:00.000 INFO shop: &lt;s&gt;one&lt;/s&gt;\n12:00:00.100 INFO shop: two</pre>" in page.text
        )
    attempt = (await browser.get("/api/v1/queues/mail/messages/1")).json()["failures"][0]
    assert attempt["log"][1] == "12:00:00.100 INFO shop: two"


async def test_a_message_says_why_it_does_not_run(browser: httpx.AsyncClient, work: Db) -> None:
    work.execute("select postmill.pause('mail', 'the disk is full')")
    assert "the disk is full" in words(await browser.get("/queues/mail/messages/2"))


async def test_secrets_are_revealed_to_operators_and_the_audit_says_so(
    browser: httpx.AsyncClient, readers: httpx.AsyncClient, work: Db
) -> None:
    for path in ("/queues/mail/messages/2/reveal", "/dead/1/reveal"):
        assert "hunter2" in (await browser.post(path, data={})).text
        refused = await readers.post(path, data={})
        assert refused.status_code == 403
        assert "hunter2" not in refused.text
    assert words(await browser.get("/audit")).count("reveal") == 2


async def test_a_letter_is_edited_and_put_back(browser: httpx.AsyncClient, work: Db) -> None:
    form = {"message": '{"mended": true}'}
    assert "put back as message 4" in await sent(browser, "/dead/1/replay", form)
    assert work.execute("select message from pgmq.q_mail where msg_id = 4").fetchone() == {
        "message": {"mended": True}
    }
    assert "No message is dead." in words(await browser.get("/dead"))


@pytest.mark.parametrize(
    ("path", "form", "told"),
    [
        ("/dead/1/discard", {}, "Letter 1 is deleted."),
        ("/dead/replay", {"letter": ["1/mail"]}, "Put back: 1."),
        ("/dead/discard", {"letter": ["1/mail"]}, "Deleted: 1."),
    ],
)
async def test_letters_are_put_back_and_deleted(
    browser: httpx.AsyncClient, work: Db, path: str, form: dict[str, Any], told: str
) -> None:
    assert told in await sent(browser, path, form)
    waiting = work.execute("select count(*) as left from postmill.dead_letters where replayed_at is null")
    assert waiting.fetchone() == {"left": 0}


@pytest.mark.parametrize(("act", "done"), [("replay", "Put back"), ("discard", "Deleted")])
async def test_a_queue_that_refuses_takes_nothing_back_and_the_page_tells_what_was_done(
    browser: httpx.AsyncClient, work: Db, act: str, done: str
) -> None:
    """Letters of two queues were ticked, the second refused: the page said that none was put back."""
    work.execute("select postmill.create_queue('post')")
    page = await browser.post(f"/dead/{act}", data={"letter": ["1/mail", "7/post"]})
    assert page.status_code == 404
    assert f"{done} before that: 1 of mail." in words(page)
    assert "No message is dead." in words(await browser.get("/dead"))
    alone = await browser.post(f"/dead/{act}", data={"letter": ["7/post"]})
    assert "before that" not in words(alone)


async def test_no_action_is_open_to_readers(readers: httpx.AsyncClient, work: Db) -> None:
    """Each one is tried, with a form that is right."""
    names = {"queue": "mail", "msg_id": "2", "letter_id": "1", "kind": "cancel"}
    form = {"confirm": "mail", "message": "{}", "msg_id": ["2"], "letter": ["1/mail"]}
    ours = [each for each in ACTIONS if set(names_in(each.path)) <= set(names)]
    assert len(ours) >= 15
    for each in ours:
        answer = await readers.post(each.path.format(**names), data=form)
        assert answer.status_code in {403, 422, 404}, each.path
    left = work.execute("select count(*) as left from pgmq.q_mail").fetchone()
    assert left == {"left": 2}


def names_in(path: str) -> list[str]:
    return [part[1:-1] for part in path.split("/") if part.startswith("{")]


async def test_a_queue_and_its_groups_are_limited_by_forms(browser: httpx.AsyncClient, work: Db) -> None:
    told = await sent(
        browser, "/queues/mail/limit", {"of": "queue", "max_running": "30", "starts": "600", "per_s": "60"}
    )
    assert "The limit holds from the next claim on." in told
    assert "the queue 0 30 600 in 1 min" in told
    assert "each group 0 4" in await sent(browser, "/queues/mail/limit", {"of": "each", "max_running": "4"})
    one = {"of": "group", "group_key": "acme & sons", "max_running": "1"}
    assert "group acme &amp; sons 0 1" in await sent(browser, "/queues/mail/limit", one)
    refused = await browser.post("/queues/mail/limit", data={"of": "queue", "max_running": "many"})
    assert refused.status_code == 422
    assert 'value="many"' in refused.text
    assert work.execute("select max_running from postmill.limits where group_key = ''").fetchone() == {
        "max_running": 30
    }


async def test_a_worker_of_a_queue_is_drained_on_its_page(browser: httpx.AsyncClient, work: Db) -> None:
    worker = put_worker(work)
    assert "resize" in words(await browser.get("/queues/mail"))
    told = await sent(browser, f"/queues/mail/workers/{worker}/drain", {})
    assert "finishes what it runs and stops." in told
    assert "draining" in told


async def test_a_schedule_that_feeds_a_queue_is_linked_in_plain_english(
    browser: httpx.AsyncClient, work: Db
) -> None:
    work.execute("select postmill.schedule('night/ly', '30 2 * * *', 'mail')")
    page = await browser.get("/queues/mail")
    assert 'href="/schedules/night%2Fly"' in page.text
    assert "At 02:30 every day UTC" in words(page)


async def test_schedules_that_feed_a_queue_are_found_among_many(browser: httpx.AsyncClient, work: Db) -> None:
    """Only the first 200 by name were looked at."""
    for name in ("early", "late"):
        work.execute("select postmill.schedule($1, '0 3 * * *', 'mail')", (name,))
    work.execute(
        "select postmill.create_queue('others');"
        " select postmill.schedule('for others ' || n, '0 3 * * *', 'others')"
        f" from generate_series(1, {MOST_SHOWN}) as n"
    )
    page = await browser.get("/queues/mail")
    assert all(f'href="/schedules/{name}"' in page.text for name in ("early", "late"))


async def test_a_message_is_sent_like_another_unless_that_has_secrets(
    browser: httpx.AsyncClient, work: Db
) -> None:
    work.execute(
        "select postmill.send('mail', '{\"to\": \"ada\"}'),"
        " postmill.send('mail', '{\"password\": \"hunter2\"}')"
    )
    page = await browser.get("/queues/mail")
    assert "?like=4#send" in page.text
    assert "?like=5#send" not in page.text
    assert "&#34;to&#34;: &#34;ada&#34;" in (await browser.get("/queues/mail?like=4")).text
    assert "[redacted]" not in (await browser.get("/queues/mail?like=5")).text


async def test_a_message_links_what_it_waits_for_and_what_waits_for_it(
    browser: httpx.AsyncClient, work: Db
) -> None:
    work.execute("select postmill.send('mail', '{}', after => array['mail:2', 'mail:3'])")
    page = await browser.get("/queues/mail/messages/4")
    found = page.text.partition("It waits for</h2>")[2].partition("<h2>")[0]
    assert 'href="/queues/mail/messages/2"' in found
    assert 'href="/queues/mail/messages/3"' in found
    page = await browser.get("/queues/mail/messages/2")
    found = page.text.partition("What waits for it</h2>")[2].partition("<h2>")[0]
    assert 'href="/queues/mail/messages/4"' in found
    assert "postmill-dependents" not in page.text


async def test_the_form_shows_it_and_refuses_what_does_not_fit(browser: httpx.AsyncClient, work: Db) -> None:
    tell(work)
    page = await browser.get("/queues/mail")
    assert "send_mail takes to (a text), and if given copies (a whole number)." in words(page)
    assert "{\n  &#34;to&#34;: &#34;&#34;\n}</textarea>" in page.text
    form = {"message": '{"copies": 2}'}
    refused = await browser.post("/queues/mail/send", data=form)
    assert (refused.status_code, "The field to is missing." in words(refused)) == (422, True)
    assert "{&#34;copies&#34;: 2}</textarea>" in refused.text
    assert (await browser.post("/queues/mail/send", data={**form, "unchecked": "1"})).status_code == 303
    task = {"message": '{"month": "may"}', "task": "report"}
    assert (await browser.post("/queues/mail/send", data=task)).status_code == 303
    (row,) = work.execute("select headers from pgmq.q_mail where msg_id = 5").fetchall()
    assert row["headers"]["postmill-task"] == "report"

"""Pages of what is done to many messages at once, and of errors; without JavaScript."""

from __future__ import annotations

import json
import re
from html import unescape
from typing import TYPE_CHECKING, Any

import pytest

from postmill.db.reads import versions
from postmill.db.tools import many
from tests.dashboard.conftest import words

if TYPE_CHECKING:
    import httpx
    import psycopg

    Db = psycopg.Connection[dict[str, Any]]

HOSTILE = "<i>bad</i> & worse"


@pytest.fixture
def work(db: Db) -> Db:
    """Two queues with messages that wait. One of mail has failed, and a letter is dead of the same error."""
    for queue in ("mail", "a/b"):
        db.execute("select pgmq.create($1)", (queue,))
        db.execute("select postmill.send($1, '{}', delay => '1 hour') from generate_series(1, 3)", (queue,))
    db.execute(
        "insert into postmill.failures"
        " (queue_name, msg_id, attempt, kind, error_type, error_message, traceback)"
        " select 'mail', msg_id, 1, 'error', '<b>ValueError</b>', $1, 'Traceback <u>here</u>'"
        " from generate_series(1, 4, 3) as msg_id",
        (HOSTILE,),
    )
    db.execute(
        "insert into postmill.dead_letters"
        " (queue_name, msg_id, read_ct, enqueued_at, message, attempts, kind, reason)"
        " values ('mail', 4, 1, now(), '{}', 1, 'error', 'no')"
    )
    return db


def fingerprint(db: Db) -> str:
    row = db.execute("select fingerprint from postmill.error_list()").fetchone()
    assert row is not None
    return str(row["fingerprint"])


def carried_out(db: Db, operation_id: int) -> None:
    while many.take_page(db, operation_id) is not None:
        pass


def form_of(page: httpx.Response) -> tuple[str, dict[str, str]]:
    """Where the form that asks for the name sends what, as a browser reads it."""
    path, rest = re.findall(
        r'<form class="stack" method="post" action="([^"]*)">(.*?)</form>', page.text, re.S
    )[0]
    hidden = re.findall(r'type="hidden" name="([^"]*)" value="([^"]*)"', rest)
    return unescape(path), {name: unescape(value) for name, value in hidden}


async def test_all_that_match_are_counted_confirmed_and_cancelled(
    browser: httpx.AsyncClient, work: Db
) -> None:
    """What is sent after the count is left alone; a wrong name changes nothing."""
    listed = await browser.get("/queues/a%2Fb/messages?state=scheduled")
    assert 'formaction="/queues/a%2Fb/many/cancel"' in listed.text
    assert '<input type="hidden" name="q" value="state:scheduled">' in listed.text
    page = await browser.get("/queues/a%2Fb/many/cancel", params={"q": "state:scheduled id:1..2 since:1h"})
    assert "2 messages match." in words(page)
    path, form = form_of(page)
    work.execute("select postmill.send('a/b', '{}', delay => '1 hour')")
    refused = await browser.post(path, data={**form, "confirm": "b/a", "per_second": "5"})
    assert refused.status_code == 422
    assert "the name that was typed is another one" in words(refused)
    assert 'value="5"' in refused.text
    assert (await browser.get("/operations")).text.count('data-key="operation-') == 0
    done = await browser.post(path, data={**form, "confirm": "a/b"})
    assert (done.status_code, done.headers["location"]) == (303, "/operations/1")
    text = words(await browser.get("/operations/1"))
    assert "Operation 1 has begun." in text
    assert "queued" in text
    assert "0 of 2" in text
    carried_out(work, 1)
    text = words(await browser.get("/operations/1"))
    assert "Done 2 " in text
    assert "done" in text
    assert "0 of 2" not in text
    assert (await browser.get("/operations/1")).text.count("/queues/a%2Fb/messages/") == 2
    waiting = work.execute('select msg_id from pgmq."q_a/b" order by msg_id').fetchall()
    assert [row["msg_id"] for row in waiting] == [3, 4]


async def test_what_was_sent_after_the_count_is_left_alone(browser: httpx.AsyncClient, work: Db) -> None:
    path, form = form_of(await browser.get("/queues/mail/many/cancel"))
    assert form == {"upper_id": "3", "expected": "3"}
    work.execute("select postmill.send('mail', '{}')")
    await browser.post(path, data={**form, "confirm": "mail"})
    carried_out(work, 1)
    assert work.execute("select msg_id from pgmq.q_mail").fetchall() == [{"msg_id": 4}]


async def test_letters_are_put_back_by_an_operation(browser: httpx.AsyncClient, work: Db) -> None:
    assert (
        'formaction="/queues/mail/many/replay"'
        in (await browser.get("/queues/mail/messages?state=dead")).text
    )
    page = await browser.get("/queues/mail/many/replay?q=state:dead")
    assert "1 dead letter matches." in words(page)
    path, form = form_of(page)
    await browser.post(path, data={**form, "confirm": "mail", "per_second": "50"})
    carried_out(work, 1)
    shown = await browser.get("/operations/1")
    assert "at most 50" in words(shown)
    assert 'href="/dead/1"' in shown.text
    assert 'href="/queues/mail/messages/4">4</a>' in shown.text


@pytest.mark.parametrize(
    ("q", "says"),
    [
        ("stat:<script>", "character 1"),
        ("stat:ready", "There is no key &#39;stat&#39;."),
        ("state:dead", "can&#39;t be about state:dead."),
        ("state:ready worker:0198c", "can&#39;t be about worker:0198c."),
    ],
)
async def test_a_search_that_no_operation_can_carry_out_is_told(
    browser: httpx.AsyncClient, work: Db, q: str, says: str
) -> None:
    page = await browser.get("/queues/mail/many/cancel", params={"q": q})
    assert page.status_code == 400
    main = page.text.partition("<main")[2]
    assert says in main
    assert "<script>" not in main


async def test_messages_are_moved_to_the_queue_that_is_typed(browser: httpx.AsyncClient, work: Db) -> None:
    asked = {"q": "id:2..3"}
    page = await browser.get("/queues/mail/many/move", params=asked)
    assert (page.status_code, 'name="confirm"' in page.text) == (200, False)
    page = await browser.get("/queues/mail/many/move", params={**asked, "target": "a/b"})
    assert "2 messages match." in words(page)
    path, form = form_of(page)
    await browser.post(path, data={**form, "confirm": "mail"})
    carried_out(work, 1)
    assert 'href="/queues/a%2Fb' in (await browser.get("/operations/1")).text
    assert work.execute('select count(*) as now from pgmq."q_a/b"').fetchone() == {"now": 5}
    missing = await browser.get("/queues/mail/many/move", params={**asked, "target": "nope"})
    assert (missing.status_code, "nope" in words(missing)) == (404, True)


async def test_nothing_can_be_done_to_all_that_are_done(browser: httpx.AsyncClient, work: Db) -> None:
    assert "All that match" not in words(await browser.get("/queues/mail/messages?state=completed"))
    page = await browser.get("/queues/mail/many/cancel", params={"q": "id:99"})
    assert "0 messages match." in words(page)
    assert 'name="confirm"' not in page.text


async def test_an_operation_is_aborted_and_its_outcomes_are_told_apart(
    browser: httpx.AsyncClient, work: Db
) -> None:
    assert "Nothing was done to many messages at once yet." in words(await browser.get("/operations"))
    work.execute(
        "select postmill.start_operation('cancel', 'mail', $1::jsonb)", (json.dumps({"error": HOSTILE}),)
    )
    listed = await browser.get("/operations?running=true")
    assert "<i>bad</i>" not in listed.text
    assert "&lt;i&gt;bad&lt;/i&gt;" in listed.text
    done = await browser.post("/operations/1/abort", data={"": ""}, follow_redirects=True)
    assert "It ends where it is." in words(done)
    assert "aborted" in words(done)
    assert "No operation is under way." in words(await browser.get("/operations?running=true"))
    again = await browser.post("/operations/1/abort", data={"": ""}, follow_redirects=True)
    assert (again.status_code, "It ends where it is." in words(again)) == (200, True)
    work.execute(
        "insert into postmill.operation_rows values (1, 1, 'cancelled', null), (1, 2, 'failed', $1)",
        (HOSTILE,),
    )
    failed = await browser.get("/operations/1?outcome=failed")
    assert failed.text.count('data-key="row-') == 1
    assert "<i>bad</i>" not in failed.text
    assert (await browser.get("/operations/9")).status_code == 404


async def test_rows_of_an_operation_go_on_where_the_page_ends(browser: httpx.AsyncClient, work: Db) -> None:
    work.execute("select postmill.start_operation('cancel', 'mail')")
    work.execute(
        "insert into postmill.operation_rows select 1, id, 'cancelled' from generate_series(1, 60) as id"
    )
    page = await browser.get("/operations/1")
    seen = re.findall(r'data-key="row-(\d+)"', page.text)
    onward = re.findall(r'rel="next" href="([^"]*)"', page.text)
    rest = await browser.get(unescape(onward[0]))
    seen += re.findall(r'data-key="row-(\d+)"', rest.text)
    assert seen == [str(number) for number in range(1, 61)]
    assert 'rel="next"' not in rest.text


async def test_an_error_is_resolved_ignored_and_reopened(browser: httpx.AsyncClient, work: Db) -> None:
    path = f"/errors/{fingerprint(work)}"
    listed = await browser.get("/errors")
    assert f'href="{path}"' in listed.text
    assert 'aria-label="2 in the last 24 hours, by hour"' in listed.text
    page = await browser.get(path)
    for markup in ("<b>ValueError", "<i>bad", "<u>here"):
        assert markup not in page.text
        assert markup not in listed.text
    assert "&lt;i&gt;bad&lt;/i&gt; &amp; worse" in page.text
    assert page.text.partition('class="chart"')[2].partition("</svg>")[0].count('<rect class="dead"') == 1
    for what, told, state in (
        ("resolve", "It is resolved", "resolved"),
        ("reopen", "It is open.", "open"),
        ("ignore", "It is ignored", "ignored"),
    ):
        done = await browser.post(f"{path}/{what}", data={"": ""}, follow_redirects=True)
        assert told in words(done)
        assert state in words(done).partition("Failed attempts")[0]
    assert "No error is open." in words(await browser.get("/errors"))
    assert path in (await browser.get("/errors?all=true&queue=mail")).text
    assert path not in (await browser.get("/errors?all=true&queue=a/b")).text
    assert (await browser.get("/errors/0f0f")).status_code == 404
    assert (await browser.get("/errors?queue=nope")).status_code == 404


async def test_an_error_leads_to_the_messages_that_are_there(browser: httpx.AsyncClient, work: Db) -> None:
    """Of those that are gone it says so: its links led to nothing."""
    path, sent = f"/errors/{fingerprint(work)}", "/queues/mail/messages"
    page = await browser.get(path)
    assert (f'href="{sent}/1"' in page.text, f'href="{sent}/4"' in page.text) == (True, True)
    work.execute("select nextval('pgmq.q_mail_msg_id_seq'), pgmq.delete('mail', 1)")  # 4 is the dead one's
    work.execute("select postmill.replay('mail')")
    page = await browser.get(path)
    assert "Message 1 is gone: it was deleted" in words(page)
    assert "Message 4 died and was put back: letter 1" in words(page)
    for link in re.findall(
        r'href="([^"]*)"', page.text.partition('id="failures"')[2].partition("</section")[0]
    ):
        assert (await browser.get(unescape(link))).status_code == 200, link
    work.execute("delete from pgmq.meta where queue_name = 'mail'")
    assert "Message 1 is gone" in words(await browser.get(path))


async def test_what_failed_alike_is_tried_again(browser: httpx.AsyncClient, work: Db) -> None:
    """The message that waits, and the letter; once both are done, nothing is left to try."""
    path = f"/errors/{fingerprint(work)}"
    wrong = await browser.post(f"{path}/retry", data={"per_second": "fast"})
    assert wrong.status_code == 422
    assert 'value="fast"' in wrong.text
    done = await browser.post(f"{path}/retry", data={"per_second": "10"}, follow_redirects=True)
    assert "2 operations have begun." in words(done)
    for number in (1, 2):
        carried_out(work, number)
    ready = work.execute(
        "select msg_id from pgmq.q_mail where vt <= clock_timestamp() order by msg_id"
    ).fetchall()
    assert [row["msg_id"] for row in ready] == [1, 4]
    work.execute("delete from pgmq.q_mail")
    again = await browser.post(f"{path}/retry", data={"": ""}, follow_redirects=True)
    assert "No message waits, and no letter is dead of it." in words(again)


async def test_readers_count_and_start_nothing(readers: httpx.AsyncClient, work: Db) -> None:
    path = f"/errors/{fingerprint(work)}"
    work.execute("select postmill.start_operation('cancel', 'mail')")
    page = await readers.get("/queues/mail/many/cancel")
    assert "3 messages match." in words(page)
    assert 'name="confirm"' not in page.text
    assert 'method="post"' not in (await readers.get(path)).text.partition("<main")[2]
    for action in (
        *(f"{path}/{each}" for each in ("resolve", "ignore", "reopen", "retry")),
        "/operations/1/abort",
    ):
        assert (await readers.post(action, data={"": ""})).status_code == 403, action
    forced = await readers.post("/queues/mail/many/cancel", data={"confirm": "mail"})
    assert forced.status_code == 403
    rows = work.execute("select state from postmill.operations").fetchall()
    assert rows == [{"state": "queued"}]


def test_an_operation_has_another_version_whenever_it_goes_on(work: Db) -> None:
    seen = []

    def look() -> None:
        seen.append(versions.read(work, versions.watched(["operations"]))["operations"])

    look()
    work.execute("select postmill.start_operation('cancel', 'mail', per_second => 2)")
    look()
    many.take_page(work, 1)
    look()
    many.abort(work, 1)
    look()
    assert len(set(seen)) == 4

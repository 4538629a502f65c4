"""Pages of what runs beside queues: workers, schedules, calls and functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

from tests.dashboard.conftest import words

if TYPE_CHECKING:
    import httpx
    import psycopg

    Db = psycopg.Connection[dict[str, Any]]


def put_worker(db: Db, **more: Any) -> str:
    """A worker on record, as its heartbeat leaves it."""
    worker_id = str(uuid4())
    values = {
        "worker_id": worker_id,
        "function_name": "resize",
        "queue_name": "mail",
        "hostname": "host",
        "pid": 7,
        "version": "1",
        "max_concurrent": 1,
        **more,
    }
    names, places = ", ".join(values), ", ".join(f"${place}" for place in range(1, len(values) + 1))
    db.execute(f"insert into postmill.workers ({names}) values ({places})", list(values.values()))
    return worker_id


async def test_workers_are_told_apart_and_drained(browser: httpx.AsyncClient, db: Db) -> None:
    assert "No worker is alive. postmill worker run" in words(await browser.get("/workers"))
    db.execute("select postmill.create_queue('mail')")
    alive = put_worker(db, hostname="web-<1>", max_concurrent=8)
    put_worker(db, function_name="gone", stopped_at="2026-05-01", stop_reason="SIGTERM")
    put_worker(db, function_name="lost", last_heartbeat_at="2026-05-01")
    text = words(await browser.get("/workers"))
    assert "resize" in text
    assert "web-&lt;1&gt;" in text
    assert "0 of 8 slots are busy" in text
    assert "gone" not in text
    text = words(await browser.get("/workers?all=true"))
    assert "SIGTERM" in text
    assert "silent for" in text
    done = await browser.post(f"/workers/{alive}/drain", data={"": ""}, follow_redirects=True)
    assert "finishes what it runs and stops." in words(done)
    assert "draining" in words(done)


async def test_a_schedule_in_plain_english_and_two_zones(browser: httpx.AsyncClient, db: Db) -> None:
    assert "There is no schedule yet. postmill schedule add" in words(await browser.get("/schedules"))
    db.execute("select postmill.create_queue('mail')")
    db.execute("select postmill.schedule('night/ly', '30 2 * * *', 'mail', timezone => 'Europe/Berlin')")
    listed = await browser.get("/schedules")
    assert 'href="/schedules/night%2Fly"' in listed.text
    page = await browser.get("/schedules/night%2Fly?zone=America/New_York")
    assert page.status_code == 200, words(page)
    text = words(page)
    assert "02:30" in text
    assert text.count("02:30:00") == 5
    assert "20:30:00" in text
    assert "It has not fired yet." in text
    assert (await browser.get("/schedules/night%2Fly?zone=Mars/Base")).status_code == 400


async def test_a_schedule_is_fired_paused_and_resumed(browser: httpx.AsyncClient, db: Db) -> None:
    db.execute("select postmill.create_queue('mail')")
    db.execute("select postmill.schedule('nightly', '0 3 * * *', 'mail')")

    async def post(what: str) -> str:
        return words(await browser.post(f"/schedules/nightly/{what}", data={"": ""}, follow_redirects=True))

    assert "nightly was fired." in await post("run")
    page = await browser.get("/schedules/nightly")
    assert 'class="strip"' in page.text
    assert "mail 1" in words(page)
    assert "nightly is paused" in await post("pause")
    assert "It is paused: these ticks pass unless it is resumed." in words(
        await browser.get("/schedules/nightly")
    )
    assert "fires again" in await post("resume")
    missing = await browser.post("/schedules/nope/run", data={"": ""})
    assert missing.status_code == 404


async def test_calls_by_state_and_host(browser: httpx.AsyncClient, db: Db) -> None:
    assert "No call was asked for in the last six hours." in words(await browser.get("/calls"))
    db.execute("select postmill.call('https://example.org/<x>?q=1')")
    page = await browser.get("/calls")
    text = words(page)
    assert "https://example.org/&lt;x&gt;?q=1" in text
    assert "https://example.org" in page.text.partition('id="hosts"')[2].partition("</section>")[0]
    assert "No call is failed." in words(await browser.get("/calls?state=failed"))
    call = await browser.get("/calls/1")
    assert (call.status_code, "waiting" in words(call)) == (200, True)
    assert (await browser.get("/calls/9")).status_code == 404


async def test_the_secrets_of_an_answer_are_revealed_and_the_audit_says_so(
    browser: httpx.AsyncClient, db: Db
) -> None:
    db.execute(
        """insert into postmill.call_responses
                  (call_id, method, url, status_code, headers, content, attempts, created_by)
           values (7, 'GET', 'https://example.org/', 200, '{"set-cookie": "hunter2"}', 'ok', 1, 'ada')"""
    )
    hidden = await browser.get("/calls/7")
    assert ("hunter2" in hidden.text, "Reveal secrets" in words(hidden)) == (False, True)
    assert "hunter2" in (await browser.post("/calls/7/reveal", data={})).text
    assert db.execute("select action, target from postmill.audit").fetchall() == [
        {"action": "call.reveal", "target": {"call_id": "7"}}
    ]


async def test_without_a_host_the_page_says_where_functions_are(browser: httpx.AsyncClient) -> None:
    assert "This process serves no functions." in words(await browser.get("/functions"))
    assert (await browser.post("/functions/hello/stop", data={"": ""})).status_code == 404

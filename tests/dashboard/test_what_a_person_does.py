"""What a person does with the pages in a browser: by mouse and keys, in many tabs, while things change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.dashboard.in_chromium import CHROMIUM, opened
from tests.dashboard.test_running_parts import put_worker
from tests.sql.flow_scene import register, start, step

if TYPE_CHECKING:
    import psycopg
    from playwright.sync_api import Browser, Page

    from tests.dashboard.in_chromium import Served

    Db = psycopg.Connection[dict[str, Any]]

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="make test-deps installs chromium")
TABS = 9
"""More than the six connections that a browser opens to a host: with a stream each, the seventh hangs."""


def live(page: Page, address: str) -> None:
    """Go there, and wait until the page is told of changes."""
    page.goto(address)
    page.locator("[data-stream=live]").wait_for(state="attached")


def press(page: Page, name: str) -> None:
    """Press the button of that name."""
    page.get_by_role("button", name=name, exact=True).click()


def test_messages_are_found_sent_cancelled_and_purged(
    chromium: Browser, served: Served, said: list[str], db: Db
) -> None:
    page = opened(chromium, served, said)
    page.keyboard.press("/")
    page.keyboard.type("mai")
    page.keyboard.press("Enter")
    page.wait_for_url("**/?q=mai")
    page.get_by_role("link", name="mail", exact=True).first.click()
    page.get_by_text("Send…", exact=True).click()
    page.get_by_label("Payload, as JSON").fill('{"to": "ada"}')
    press(page, "Send")
    page.wait_for_url("**/queues/mail/messages/2")
    page.get_by_text("Cancel…", exact=True).click()
    press(page, "Cancel")
    page.get_by_text("The message is cancelled.").wait_for()
    page.goto(f"{served.url}/queues/mail/messages")
    page.get_by_label("Tick all").check()
    assert (
        page.locator("input[name=msg_id]:checked").count() == page.locator("input[name=msg_id]").count() > 0
    )
    page.goto(f"{served.url}/queues/mail")
    page.get_by_text("Purge…", exact=True).click()
    page.get_by_label("Type mail").fill("male")
    press(page, "Purge")
    page.get_by_text("Nothing was done: the name that was typed is another one.").wait_for()
    page.get_by_text("Purge…", exact=True).click()
    page.get_by_label("Type mail").fill("mail")
    press(page, "Purge")
    page.get_by_text("1 messages were deleted.").wait_for()
    assert db.execute("select count(*) from pgmq.q_mail").fetchone() == {"count": 0}
    assert [line for line in said if "422" not in line] == []


def test_ids_are_copied_and_times_are_exact_in_the_zone_of_who_looks(
    chromium: Browser, served: Served, said: list[str], db: Db
) -> None:
    """Plain http off this machine has no clipboard: the id is selected then, to be copied by hand."""
    page = opened(chromium, served, said, timezone_id="Asia/Kathmandu", locale="en-GB")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{served.url}/queues/mail/messages/1")
    press(page, "Copy 1")
    page.get_by_text("copied", exact=True).wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == "1"
    (sent,) = db.execute(
        "select to_char(enqueued_at at time zone 'Asia/Kathmandu', 'HH24:MI:SS') as at from pgmq.q_mail"
    ).fetchall()
    assert sent["at"] in (page.locator("time").first.get_attribute("title") or "")
    page.add_init_script("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.reload()
    press(page, "Copy 1")
    page.wait_for_function("getSelection().toString() === '1'")
    assert said == []


def test_what_is_open_selected_scrolled_or_focused_stays_while_the_page_changes(
    chromium: Browser, served: Served, said: list[str], db: Db
) -> None:
    for attempt in (1, 2):
        db.execute(
            "insert into postmill.failures (queue_name, msg_id, attempt, kind, error_type, traceback)"
            " values ('mail', 1, $1, 'error', 'ValueError', repeat(E'a line of the stack\\n', 100))",
            (attempt,),
        )
    page = opened(chromium, served, said)
    live(page, f"{served.url}/queues/mail/messages/1")
    first = page.locator("details[data-key^=attempt-1]")
    first.locator("summary").click()
    stack = first.locator("pre")
    stack.evaluate("each => { each.scrollTop = 300; getSelection().selectAllChildren(each); }")
    first.locator("summary").focus()
    page.evaluate("scrollTo(0, 120)")
    db.execute("select postmill.pause('mail', 'for a while')")
    page.get_by_text("for a while").wait_for()
    assert first.get_attribute("open") is not None
    assert stack.evaluate("each => each.scrollTop") == 300
    assert page.evaluate("getSelection().toString()").startswith("a line of the stack")
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"
    assert page.evaluate("scrollY") == 120
    assert said == []


def test_a_form_that_was_refused_stays_while_the_page_changes(
    chromium: Browser, served: Served, said: list[str], db: Db
) -> None:
    """It is shown at an address of its own: the page was taken for a stranger's, and the form sent again."""
    page = opened(chromium, served, said)
    page.goto(f"{served.url}/queues/mail")
    page.get_by_text("Send…", exact=True).click()
    page.get_by_label("Payload, as JSON").fill('{"typed": ')
    press(page, "Send")
    page.get_by_text("The payload is not JSON.").wait_for()
    page.locator("[data-stream=live]").wait_for(state="attached")
    db.execute("select postmill.send('mail', '{}')")
    page.locator("#head .tiles b", has_text="2").first.wait_for()
    assert page.input_value("textarea[name=message]") == '{"typed": '
    assert page.get_by_text("The payload is not JSON.").is_visible()
    assert [line for line in said if "422" not in line] == []


def test_a_run_is_approved_paused_resumed_forked_and_cancelled(
    chromium: Browser, served: Served, said: list[str], db: Db
) -> None:
    register(db, step("ask", kind="wait", signal="approved"), step("charge", "ask"))
    run = start(db, {"order": 1})
    page = opened(chromium, served, said)
    live(page, f"{served.url}/runs/{run}")
    press(page, "Approve")
    page.locator(".box.started", has_text="charge").wait_for()
    for title, word in (("Pause", "paused"), ("Resume", "running")):
        if title == "Pause":
            page.get_by_text("Pause…", exact=True).click()
        press(page, title)
        page.locator(f"#head .state.{word}").wait_for()
    page.get_by_text("Fork…", exact=True).click()
    page.locator("textarea[name=input]").fill('{"order": 2}')
    press(page, "Start the new run")
    page.wait_for_url(f"**/runs/{run + 1}")
    page.get_by_text(f"run {run}", exact=True).wait_for()
    page.get_by_text("Cancel…", exact=True).click()
    page.locator(".ask[open]").get_by_label("Why, for whoever looks at it later").fill("a test")
    press(page, "Cancel")
    page.locator("#head .state.cancelled").wait_for()
    found = db.execute("select input from postmill.runs where run_id = $1", (run + 1,)).fetchone()
    assert found == {"input": {"order": 2}}
    assert said == []


def test_schedules_workers_and_functions_are_steered(
    chromium: Browser, served: Served, said: list[str], db: Db
) -> None:
    db.execute("select postmill.schedule('nightly', '0 3 * * *', 'mail')")
    put_worker(db, last_heartbeat_at=datetime.now(UTC) + timedelta(minutes=5))  # alive for the test's time
    page = opened(chromium, served, said)
    page.goto(f"{served.url}/workers")
    press(page, "Drain")
    page.get_by_text("finishes what it runs and stops.").wait_for()
    page.goto(f"{served.url}/schedules/nightly")
    press(page, "Run now")
    page.get_by_role("link", name="mail 2").wait_for()
    press(page, "Pause")
    page.get_by_text("It is paused: these ticks pass unless it is resumed.").wait_for()
    live(page, f"{served.url}/functions/hello")
    watching = page.context.new_page()
    live(watching, f"{served.url}/functions/hello")
    press(page, "Call")
    page.get_by_text('{"hello":"Ada"}').wait_for()
    watching.get_by_text("a line of its own").wait_for()
    assert said == []


def test_a_theme_is_chosen_and_a_person_signs_out(chromium: Browser, served: Served, said: list[str]) -> None:
    page = opened(chromium, served, said)
    light = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    page.locator(".menu > summary").click()
    press(page, "Dark")
    page.locator("html[data-theme=dark]").wait_for(state="attached")
    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") != light
    page.locator(".menu > summary").click()
    press(page, "Sign out")
    page.get_by_label("Key of the project").wait_for()
    page.goto(f"{served.url}/queues/mail")
    page.get_by_label("Key of the project").wait_for()
    assert said == []


def test_nine_tabs_share_one_stream(chromium: Browser, served: Served, said: list[str], db: Db) -> None:
    first = opened(chromium, served, said)
    tabs = [first, *(first.context.new_page() for _ in range(TABS - 1))]
    for tab in tabs:
        live(tab, f"{served.url}/queues/mail")
    db.execute("select postmill.pause('mail', 'seen by all')")
    for tab in tabs:
        tab.get_by_text("seen by all").wait_for()
    assert served.streams == 1
    assert said == []

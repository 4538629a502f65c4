"""What needs a browser: pages that follow the database, keys, both themes, a narrow screen; and that nothing
is said on the console, asked of another host, or against the content security policy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from examples import busy
from tests.dashboard.in_chromium import CHROMIUM, opened
from tests.sql.flow_scene import register, settle, start, step, take_one

if TYPE_CHECKING:
    import psycopg
    from playwright.sync_api import Browser

    from tests.dashboard.in_chromium import Served

    Db = psycopg.Connection[dict[str, Any]]

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="make test-deps installs chromium")


def test_a_page_follows_the_database_and_leaves_alone_what_a_person_is_busy_with(
    chromium: Browser, served: Served, said: list[str], db: Db
) -> None:
    page = opened(chromium, served, said)
    page.locator("[data-stream=live]").wait_for(state="attached")
    page.fill("[type=search]", "half a wo")
    db.execute("select postmill.send('mail', '{}')")
    page.locator("tr[data-key=queue-mail] td[data-label=Ready]", has_text="2").wait_for()
    assert page.input_value("[type=search]") == "half a wo"
    assert page.evaluate("document.activeElement.name") == "q"
    page.goto(f"{served.url}/queues/mail")
    page.locator("[data-stream=live]").wait_for(state="attached")
    page.get_by_text("Send…", exact=True).click()
    page.fill("textarea", '{"typed": ')
    db.execute("select postmill.pause('mail', 'deploy')")
    page.get_by_text("deploy").wait_for()
    assert page.input_value("textarea") == '{"typed": '
    assert said == []


def test_a_person_pauses_a_queue_and_goes_about_with_keys(
    chromium: Browser, served: Served, said: list[str], db: Db
) -> None:
    page = opened(chromium, served, said)
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/queues/mail")
    page.get_by_text("Pause…", exact=True).click()
    page.get_by_label("Why").fill("disk full")
    page.get_by_role("button", name="Pause").click()
    page.get_by_text("The queue is paused.").wait_for()
    assert db.execute("select pause_reason from postmill.queues").fetchone() == {"pause_reason": "disk full"}
    page.keyboard.press("?")
    assert page.locator("#keys").is_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("a")
    page.wait_for_url("**/audit")
    page.get_by_text("queue.pause").wait_for()
    assert said == []


def do_some(db: Db) -> None:
    """As workers write down what they have done."""
    db.execute(
        "insert into postmill.minutes values (date_trunc('minute', now()), 'mail', 0, 9, 9, 3, 1, 70, 80);"
        "insert into postmill.workers (worker_id, queue_name, function_name, hostname, pid, version,"
        " max_concurrent, sums_written) values (gen_random_uuid(), 'mail', 'f', 'h', 1, '1', 1, 1);"
        "select postmill.prune()"
    )


def test_charts_follow_what_workers_write(chromium: Browser, served: Served, said: list[str], db: Db) -> None:
    """Sums come up to two seconds after the last message: the counters of the queue do not change then."""
    page = opened(chromium, served, said)
    page.goto(f"{served.url}/queues/mail")
    page.locator("[data-stream=live]").wait_for(state="attached")
    assert page.locator("#past rect.completed").count() == 0
    do_some(db)
    page.locator("#past rect.completed").wait_for(state="attached")
    page.locator("#past a", has_text="6 hours").click()
    page.locator("#past a[aria-current]", has_text="6 hours").wait_for()
    assert said == []


@pytest.mark.timeout(600)  # axe looks at 37 pages, each some seconds on a busy machine
@pytest.mark.parametrize(("theme", "width"), [("light", 1440), ("dark", 390)])
def test_pages_are_accessible_and_fit_the_screen(
    chromium: Browser, served: Served, said: list[str], db: Db, theme: str, width: int
) -> None:
    """Every page, on a database in which much goes on."""
    paths = busy.pages(db, busy.filled(db))
    page = opened(chromium, served, said, width, theme)
    for path in paths.values():
        busy.beat(db)
        page.goto(served.url + path)
        found = Axe().run(page).response["violations"]
        assert [(path, each["id"], each["nodes"][0]["html"]) for each in found] == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    assert [line for line in said if "axe" not in line] == []


def test_a_run_lights_up_while_it_works(chromium: Browser, served: Served, said: list[str], db: Db) -> None:
    register(db, step("fetch"), step("mail", "fetch"))
    run = start(db)
    page = opened(chromium, served, said)
    page.goto(f"{served.url}/runs/{run}")
    page.locator("[data-stream=live]").wait_for(state="attached")
    page.locator(".box.started", has_text="fetch").wait_for()
    settle(db, take_one(db))
    page.locator(".box.completed", has_text="fetch").wait_for()
    page.locator(".box.started", has_text="mail").wait_for()
    settle(db, take_one(db))
    page.locator("#head .state.completed").wait_for()
    assert said == []


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_a_run_is_accessible_and_fits_the_screen(
    chromium: Browser, served: Served, said: list[str], db: Db, width: int, theme: str
) -> None:
    """At 390 pixels the steps stand before the graph, and the page is as wide as the screen."""
    register(db, step("fetch"), step("mail", "fetch", when={"of": "fetch", "path": [], "equals": 1}))
    run = start(db, tags=["nightly"])
    settle(db, take_one(db), 1)
    page = opened(chromium, served, said, width, theme)
    page.goto(f"{served.url}/runs/{run}?step=fetch")
    assert Axe().run(page).response["violations"] == []
    tops = [page.locator(part).bounding_box() for part in ("#steps", "#graph")]
    assert tops[0] is not None
    assert tops[1] is not None
    assert (tops[0]["y"] < tops[1]["y"]) == (width == 390)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert said == []

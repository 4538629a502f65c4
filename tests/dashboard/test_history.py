"""What queues have done, on the overview and on their pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from postmill.dashboard.past import IN_WORDS
from tests.dashboard.conftest import words

if TYPE_CHECKING:
    import httpx
    import psycopg

    Db = psycopg.Connection[dict[str, Any]]

MINUTES = """
insert into postmill.minutes (minute, queue_name, slot, started, completed, failed, dead, ran_ms, waited_ms)
select at, 'mail', 0, 90, 90, 10, 1, 500, 18000
from generate_series(date_trunc('minute', now()) - interval '2 hours', now(), '1 minute') as at
"""


async def test_the_overview_shows_the_last_hour_of_each_queue(browser: httpx.AsyncClient, db: Db) -> None:
    db.execute("select postmill.create_queue('mail'), postmill.create_queue('idle')")
    db.execute(MINUTES)
    page = await browser.get("/")
    assert 'data-label="Failed">10\u00a0%<' in page.text.replace(".0", "")
    assert page.text.count('class="spark"') == 1
    assert "completed in the last hour" in page.text


@pytest.mark.parametrize("span", IN_WORDS)
async def test_a_queue_shows_its_past_as_far_back_as_one_asks(
    browser: httpx.AsyncClient, db: Db, span: str
) -> None:
    db.execute("select postmill.create_queue('mail'), postmill.send('mail', '{}')")
    db.execute(MINUTES)
    db.execute("select postmill.prune()")
    page = await browser.get(f"/queues/mail?span={span}")
    said = words(page)
    assert "run 5 ms and wait 200 ms on average" in said
    for series in ("completed", "retrying", "dead", "ready"):
        assert f'<rect class="{series}"' in page.text
    assert f'href="/queues/mail?span={span}#past" aria-current="true"' in page.text


async def test_a_queue_without_a_past_has_empty_charts(browser: httpx.AsyncClient, db: Db) -> None:
    db.execute("select postmill.create_queue('mail')")
    page = await browser.get("/queues/mail")
    assert "No worker has seen messages in it." in words(page)
    assert "<rect" not in page.text.partition('id="past"')[2].partition("</section>")[0]


async def test_a_span_that_is_not_offered_is_refused(browser: httpx.AsyncClient, db: Db) -> None:
    db.execute("select postmill.create_queue('mail')")
    assert (await browser.get("/queues/mail?span=2y")).status_code == 400

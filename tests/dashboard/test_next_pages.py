"""Lists that were cut at 200 without a word go on, on the page as in the API."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.dashboard.test_running_parts import put_worker

if TYPE_CHECKING:
    import httpx
    import psycopg

    Db = psycopg.Connection[dict[str, Any]]

FIVE = {f"{each:x}" for each in range(10, 15)}


@pytest.fixture
def five(db: Db) -> Db:
    """Five workers, and five errors of which three were seen at the same time."""
    db.execute("select postmill.create_queue('mail')")
    for name in sorted(FIVE):
        put_worker(db, function_name=name, started_at="2026-05-01")
        db.execute(
            """insert into postmill.failures (queue_name, msg_id, attempt, kind, error_type, failed_at)
               values ('mail', 1, 1, 'error', $1, date_trunc('hour', now())
                                                 - case when $1 > 'b' then interval '1 h' else '0' end)""",
            (name,),
        )
    return db


@pytest.mark.parametrize(("path", "name"), [("/workers", "worker"), ("/errors", "error_type")])
async def test_each_is_listed_once_over_its_pages(
    browser: httpx.AsyncClient, five: Db, path: str, name: str
) -> None:
    seen, cursor = [], ""
    for _ in range(3):
        part = (await browser.get(f"/api/v1{path}?limit=2{cursor}")).json()
        seen += [each[name] for each in part["items"]]
        cursor = f"&cursor={part['next']}"
    assert (sorted(seen), part["next"]) == (sorted(FIVE), None)


@pytest.mark.parametrize(
    "path", ["/workers?limit=3", "/errors?limit=3", "/errors?limit=3&all=true&queue=mail"]
)
async def test_a_page_leads_to_the_next_and_back(browser: httpx.AsyncClient, five: Db, path: str) -> None:
    page = await browser.get(path)
    assert "slots are busy" not in page.text  # of these three; there are more
    (more,) = re.findall(r'rel="next" href="([^"]*)"', page.text)
    last = await browser.get(html.unescape(more))
    assert last.status_code == 200
    assert ('rel="next"' in last.text, ">Newest<" in last.text) == (False, True)

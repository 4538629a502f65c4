"""Thousands of queues: each read answers within its time limit, and looks into a page of them only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from postmill.cli.terminal.top_frame import MAX_QUEUES, Reader
from postmill.db.reads import overview
from postmill.db.tools import checks
from postmill.db.tools.sessions import READ_LIMIT_S
from postmill.model.config.address import parse

if TYPE_CHECKING:
    import httpx
    import psycopg

    Db = psycopg.Connection[dict[str, Any]]

MANY = 3000
"""Queues of the test. At 3,000 the overview was answered with 504; they are made in some 30 s."""
AT_ONCE = 20
"""Queues that one transaction makes. Each locks some ten relations, and the server has room for thousands."""


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_with_thousands_of_queues_all_answer_and_the_one_that_is_stuck_is_seen(
    browser: httpx.AsyncClient, db: Db, database_url: str
) -> None:
    """The overview looked at the size of each table, and `doctor` into each queue, several times."""
    for first in range(0, MANY, AT_ONCE):
        db.execute(
            "select postmill.create_queue('q' || number) from generate_series($1::integer, $2) as number",
            (first, first + AT_ONCE - 1),
        )
    db.execute("select postmill.send('q777', '1')")
    db.execute("select pg_stat_force_next_flush()")

    page = await browser.get("/")
    assert (page.status_code, 'href="/queues/q777"' in page.text) == (200, True)
    shown = (await browser.get("/api/v1/overview?limit=50")).json()
    next_page = (await browser.get("/api/v1/overview", params={"limit": 50, "cursor": shown["next"]})).json()
    names = [row["queue"] for row in shown["queues"] + next_page["queues"]]
    assert (names[0], len(set(names))) == ("q777", 100)
    found = {each["check"]: each for each in shown["problems"]}
    assert list(found) == ["queues"]
    assert found["queues"]["about"] == ["q777"]
    assert "(300 of 3,000 queues looked into" in found["queues"]["found"]

    listed = (await browser.get("/api/v1/queues?limit=100")).json()
    assert [row["queue"] for row in listed["items"]] == sorted(f"q{number}" for number in range(MANY))[:100]

    db.execute(f"set statement_timeout = '{READ_LIMIT_S}s'".encode())
    failed = [each for each in checks.run(db, parse(database_url)) if each.status == "fail"]
    assert failed == []
    assert len(overview.metrics(db, slots=None, target_wait_s=10)) == MANY
    assert len(overview.queues(db)) == MANY
    frame = Reader(db).read()
    assert ("q777" in {row["queue"] for row in frame.queues}, len(frame.queues)) == (True, MAX_QUEUES)

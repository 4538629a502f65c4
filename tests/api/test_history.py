"""What queues have done, over the API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import httpx
    import psycopg

    Db = psycopg.Connection[dict[str, Any]]

MINUTES = """
insert into postmill.minutes (minute, queue_name, slot, started, completed, failed, dead, ran_ms, waited_ms)
select at, 'mail', 0, 3, 3, 1, 1, 40, 60
from generate_series(date_trunc('minute', now()) - interval '59 minutes', now(), '1 minute') as at
"""


async def test_the_past_of_a_queue_comes_in_even_steps(api: httpx.AsyncClient, db: Db) -> None:
    db.execute("select postmill.create_queue('mail'), postmill.send('mail', '{}')")
    db.execute(MINUTES)
    db.execute("select postmill.prune()")
    found = (await api.get("/queues/mail/history")).json()
    assert (found["queue"], found["span"], found["step_s"], len(found["items"])) == ("mail", "1h", 60, 60)
    *_, before, last = found["items"]
    assert {name: before[name] for name in ("started", "completed", "failed", "dead")} == {
        "started": 3,
        "completed": 3,
        "failed": 1,
        "dead": 1,
    }
    assert (before["ran_ms"], before["waited_ms"], before["ready"]) == (40, 60, None)
    assert last["ready"] == 1
    by_hour = (await api.get("/queues/mail/history?span=30d")).json()
    assert (by_hour["step_s"], len(by_hour["items"])) == (3600, 720)
    assert sum(each["completed"] for each in by_hour["items"]) == 180


@pytest.mark.parametrize(
    ("path", "status"), [("/queues/nope/history", 404), ("/queues/mail/history?span=2y", 400)]
)
async def test_what_has_no_past_is_refused(api: httpx.AsyncClient, db: Db, path: str, status: int) -> None:
    db.execute("select postmill.create_queue('mail')")
    assert (await api.get(path)).status_code == status


async def test_the_overview_says_what_was_done_lately(api: httpx.AsyncClient, db: Db) -> None:
    db.execute("select postmill.create_queue('mail'), postmill.create_queue('idle')")
    db.execute(MINUTES)
    found = {each["queue"]: each for each in (await api.get("/overview")).json()["queues"]}
    assert found["mail"]["failed_percent"] == 25
    assert 3 <= found["mail"]["completed_per_minute"] <= 3.75
    assert sum(found["mail"]["last_hour"]) >= 177  # a minute may begin in between
    assert found["mail"]["dead"] == 0  # letters that wait now, not those of the hour
    assert (found["idle"]["failed_percent"], found["idle"]["last_hour"]) == (None, [0] * 12)

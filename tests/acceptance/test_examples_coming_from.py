"""The ported examples of the coming-from pages run as they stand there, and do what their pages say."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from postmill import AsyncClient
from postmill.testing import drain

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

    Db = psycopg.Connection[dict[str, Any]]
    Shown = Callable[[str, str], Any]

PAGES = Path(__file__).parents[2] / "docs" / "coming-from"


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Shown:
    """The Python block of a page in which a function is defined, loaded as a module."""

    def load(page: str, function: str) -> Any:
        text = (PAGES / f"{page}.md").read_text(encoding="utf-8")
        blocks = re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S)
        (block,) = (block for block in blocks if f"def {function}(" in block)
        module = ModuleType(f"shown_{function}")
        monkeypatch.setitem(sys.modules, module.__name__, module)
        exec(compile(block, page, "exec"), module.__dict__)
        return module

    return load


def test_the_statements_of_pg_crons_users_go_on_working(db: Db) -> None:
    text = (PAGES / "pg-cron.md").read_text(encoding="utf-8")
    statements = re.findall(r"^```sql\n(.*?)^```$", text, re.M | re.S)[0].strip().split(";\n")
    for statement in statements:
        db.execute(statement.encode())
    jobs = db.execute(
        "select coalesce(jobname, '') as name, schedule from cron.job order by jobid"
    ).fetchall()
    assert [tuple(job.values()) for job in jobs] == [("purge", "59 seconds"), ("", "0 0 $ * *")]


def most_at_once(db: Db, queue: str) -> None:
    """Note the most messages of a group that held a place after any claim."""
    db.execute("create table most (group_key text primary key, most bigint)")
    db.execute(
        "create function note() returns trigger language plpgsql as $$ begin"
        " insert into public.most select group_key, count(*) from postmill.gates"
        f" where claim_id is not null and queue_name = '{queue}' group by 1"
        " on conflict (group_key) do update set most = greatest(most.most, excluded.most);"
        " return null; end $$"
    )
    db.execute(
        "create trigger note after update on postmill.gates for each statement execute function note()"
    )


def noted(db: Db) -> dict[str, int]:
    return {row["group_key"]: row["most"] for row in db.execute("select * from most").fetchall()}


async def test_celerys_chord_is_a_message_that_waits_for_others(shown: Shown, database_url: str) -> None:
    page = shown("celery", "make_album")
    async with AsyncClient(database_url) as client:
        album = await page.make_album(client)
        account = await drain(page.album, page.resize, database=database_url)
        assert [ended.queue for ended in account.attempts] == ["sizes"] * 3 + ["albums"]
        assert await client.result("albums", album) == ["100.webp", "400.webp", "1600.webp"]


async def test_celerys_canvas_is_a_flow(
    shown: Shown, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POSTMILL_DB_URL", database_url)
    page = shown("celery", "pictures")
    await drain(page.photos, database=database_url)  # a worker that starts says what it has
    run = await page.photos.start(page.Folder(["a.jpg", "b.txt", "c.jpg"]))
    await drain(page.photos, database=database_url)
    assert await run.output(page.bind) == "an album of a-small.webp, c-small.webp"


async def test_procrastinates_locks_are_a_group_and_a_unique_key(
    shown: Shown, database_url: str, db: Db
) -> None:
    page = shown("procrastinate", "close_month")
    async with AsyncClient(database_url) as client:
        await page.set_up(client)
        most_at_once(db, "bills")
        for month in ("2026-09", "2026-10", "2026-11"):
            await page.close_month(client, 7, month)
    account = await drain(page.bill, page.report, database=database_url)
    assert [ended.queue for ended in account.attempts].count("reports") == 1
    bills = [ended.msg_id for ended in account.attempts if ended.queue == "bills"]
    assert bills == sorted(bills)
    assert noted(db) == {"customer 7": 1}


async def test_obans_partitions_are_groups(shown: Shown, database_url: str, db: Db) -> None:
    page = shown("oban", "import_all")
    orders = [page.Import(number % 2, f"{number}.csv") for number in range(12)]
    async with AsyncClient(database_url) as client:
        await page.set_up(client)
        most_at_once(db, "imports")
        await page.import_all(client, [*orders, orders[0]])
    account = await drain(page.import_file, database=database_url)
    assert len(account.attempts) == len(orders), "the second message with a file's key was not sent"
    assert set(noted(db)) == {"account 0", "account 1"}
    assert max(noted(db).values()) <= 2


async def test_solid_queues_concurrency_controls_are_a_limit_of_groups(
    shown: Shown, database_url: str, db: Db
) -> None:
    page = shown("solid-queue", "announce_to")
    contacts = [page.Announcement(number % 3, number) for number in range(12)]
    async with AsyncClient(database_url) as client:
        await page.set_up(client)
        most_at_once(db, "announcements")
        await page.announce_to(client, contacts)
    assert len((await drain(page.announce, database=database_url, delays="leave")).attempts) == 0
    account = await drain(page.announce, database=database_url)
    assert len(account.attempts) == len(contacts)
    assert set(noted(db)) == {"account 0", "account 1", "account 2"}
    assert max(noted(db).values()) <= 2


@pytest.mark.parametrize(
    ("page", "name", "queue", "result"),
    [("apscheduler", "send_digest", "digests", "sales, "), ("celery", "send_digest", "digests", None)],
)
async def test_the_digest_of_beat_and_apscheduler_is_a_schedule(
    shown: Shown, database_url: str, db: Db, page: str, name: str, queue: str, result: str | None
) -> None:
    """Run by hand it has no tick of its own second; the message is the one that each tick sends."""
    ported = shown(page, name)
    async with AsyncClient(database_url) as client:
        await ported.set_up(client)
        await ported.set_up(client)  # as at each start of an application
        sent = await client.run_schedule("digest")
        assert sent is not None
        account = await drain(ported.send_digest, database=database_url)
        assert [attempt.outcome for attempt in account.attempts] == ["completed"]
        if result is not None:
            assert str(await client.result(sent)).startswith(result)
    [made] = db.execute("select recurrence, timezone, target from postmill.schedule_list").fetchall()
    assert (made["timezone"], made["target"]["message"]) == ("Europe/Berlin", {"team": "sales"})
    assert made["recurrence"].startswith("0 7 * * ")
    assert (sent.queue, sent) == (queue, 1)


async def test_procrastinates_timestamp_is_the_tick(shown: Shown, database_url: str, db: Db) -> None:
    ported = shown("procrastinate", "run_healthchecks")
    async with AsyncClient(database_url) as client:
        await client.create_queue("healthchecks")
        db.execute(
            "select postmill.declare_schedule('healthchecks', 'run_healthchecks', '*/10 * * * *', 'UTC')"
        )
        by_hand = await client.run_schedule("healthchecks.run_healthchecks")
        assert by_hand is not None
        await drain(ported.run_healthchecks, database=database_url)
        tick = await client.result(by_hand)
    [run] = db.execute(
        "select extract(epoch from tick)::float8 as tick from postmill.schedule_runs"
    ).fetchall()
    assert tick == pytest.approx(run["tick"], abs=1e-5)

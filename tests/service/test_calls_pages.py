"""The statements of the pages about calls run as they stand there, and do what the pages say."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.service.calling import making_calls, serving, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

    from tests.service.calling import Target

PAGES = Path(__file__).parents[2] / "docs"
ELSEWHERE = re.compile(r"https://(?:mail\.)?example\.com|http://127\.0\.0\.1:54321")


@pytest.fixture
async def target() -> AsyncIterator[Target]:
    async with serving() as made:
        yield made


def statements(page: str, target: Target) -> list[str]:
    """The SQL blocks of a page, with the test's web server in place of others."""
    text = (PAGES / page).read_text(encoding="utf-8")
    return [
        ELSEWHERE.sub(target.url, block) for block in re.findall(r"^```sql\n(.*?)^```$", text, re.M | re.S)
    ]


async def test_a_trigger_written_for_pg_net_works_unchanged(
    database_url: str, adb: asyncpg.Connection, target: Target
) -> None:
    trigger, asked = statements("coming-from/pg-net.md", target)
    async with making_calls(database_url):
        await adb.execute(trigger)
        (response,) = await until(lambda: adb.fetch(asked))
    assert (response["status_code"], response["error_msg"]) == (200, None)
    assert target.at == {"/functions/v1/hello": 1}
    assert json.loads(target.bodies[0]) == {"order": 1, "total": 12.5}


async def test_supaqueues_pipeline_is_three_call_queues(
    database_url: str, adb: asyncpg.Connection, target: Target
) -> None:
    _grants, pipeline, listed = statements("coming-from/supaqueue.md", target)
    async with making_calls(database_url, target):
        await adb.execute(pipeline)
        await until(lambda: adb.fetchval("select count(*) = 3 from postmill.results"))
    assert [request.path.rpartition("/")[2] for request in target.seen] == ["fetch", "resize", "publish"]
    assert {row["queue"]: row["workers"] for row in await adb.fetch(listed)} == {
        "fetch": 2,
        "publish": 1,
        "resize": 2,
    }


async def test_what_the_how_to_of_calls_shows(
    database_url: str, adb: asyncpg.Connection, target: Target
) -> None:
    await adb.execute("select postmill.grant_secret('MAIL_KEY', current_user::name)")
    async with making_calls(database_url, secrets={"MAIL_KEY": "s3cret"}):
        for block in statements("howto/calls.md", target):
            await adb.execute(block)
        await until(lambda: adb.fetchval("select count(*) = 4 from postmill.call_responses"))
    assert target.at == {"/hook": 1, "/items": 1, "/pay": 1, "/send": 1}
    by_path = {request.path: request for request in target.seen}
    assert by_path["/items"].query_string == "page=2"
    assert by_path["/pay"].headers["Idempotency-Key"] == "order-7"
    assert by_path["/send"].headers["Authorization"] == "Bearer s3cret"


async def test_what_the_how_to_of_call_queues_shows(
    database_url: str, adb: asyncpg.Connection, target: Target
) -> None:
    await adb.execute("select postmill.grant_secret('HOOK_KEY', current_user::name)")
    async with making_calls(database_url, target, secrets={"HOOK_KEY": "s3cret"}):
        for block in statements("howto/call-queues.md", target):
            await adb.execute(block)
        await until(lambda: adb.fetchval("select count(*) = 3 from postmill.results"))
    assert target.at == {"/functions/v1/resize": 2, "/functions/v1/thumbnail": 1}

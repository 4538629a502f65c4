"""Schedules whose ticks make calls, from the tick to the end of the call: what fires and what calls run."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from postmill.model.events import Event
from tests.service.calling import SERVICE_KEY, Target, answering, making_calls, serving
from tests.service.commands import ended, firing, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

SCHEDULE = "select postmill.schedule_call('job', $1, url => $2, overlap => $3, timeout => '30 s')"
AT_LEAST = "select count(*) >= $2 from postmill.schedule_history where status = $1"
FIRE = (
    "select postmill.fire_schedules(array[schedule_id], array[$1::timestamptz], array[$1::timestamptz],"
    " array[$1::timestamptz], array[null]) from postmill.schedules"
)


@pytest.fixture
async def target() -> AsyncIterator[Target]:
    async with serving() as made:
        yield made


async def test_each_tick_calls_and_its_run_ends_with_the_answer(
    database_url: str, adb: asyncpg.Connection, target: Target
) -> None:
    async with making_calls(database_url), firing(database_url) as said:
        await adb.execute(SCHEDULE, "1 second", target.url + "/tick", "skip")
        run = await ended(adb)
        await until(adb, AT_LEAST, "succeeded", 2)
    assert (run["status"], run["returned"], run["reason"]) == ("succeeded", "HTTP 200", None)
    assert target.at["/tick"] >= 2
    fired = [fields for event, fields in said if event is Event.SCHEDULE_FIRED]
    assert {key: fired[0][key] for key in ("schedule", "call_id")} == {
        "schedule": "job",
        "call_id": run["call_id"],
    }


async def test_a_function_is_called_with_the_service_key_and_a_url_is_not(
    database_url: str, adb: asyncpg.Connection, target: Target
) -> None:
    function = (
        "select postmill.schedule_call('job', '@daily', function => 'resize', method => 'PUT',"
        """ body => '{"size": 2}', headers => '{"Authorization": "Bearer mine", "X-A": "1"}')"""
    )
    async with making_calls(database_url, target):
        await adb.execute(function)
        await adb.execute("select postmill.run_schedule('job')")
        assert (await ended(adb))["status"] == "succeeded"
        await adb.execute(SCHEDULE, "@daily", target.url + "/plain", "skip")
        await adb.execute("select postmill.run_schedule('job')")
        await until(adb, "select count(*) = 2 from postmill.call_responses")
    to_function, to_url = target.seen
    assert (to_function.method, to_function.path) == ("PUT", "/functions/v1/resize")
    assert to_function.headers["Authorization"] == f"Bearer {SERVICE_KEY}"
    assert (to_function.headers["X-A"], to_function.content_type) == ("1", "application/json")
    assert json.loads(target.bodies[0]) == {"size": 2}
    assert "Authorization" not in to_url.headers


async def test_a_process_without_functions_leaves_their_calls_to_others(
    database_url: str, adb: asyncpg.Connection, target: Target
) -> None:
    await adb.execute("select postmill.schedule_call('job', '@daily', function => 'resize')")
    await adb.execute("select postmill.run_schedule('job')")
    async with making_calls(database_url):
        await adb.execute("select postmill.call($1)", target.url + "/other")
        await until(adb, "select exists (select from postmill.call_responses)")
        assert (
            await adb.fetchval("select state from postmill.call_list where function = 'resize'") == "waiting"
        )
        async with making_calls(database_url, target):
            assert (await ended(adb))["status"] == "succeeded"


async def test_a_failed_call_is_a_failed_run_once_its_attempts_are_used(
    database_url: str, adb: asyncpg.Connection, target: Target
) -> None:
    target.answers["/busy"] = answering(429, Retry_After="0")
    await adb.execute(
        "select postmill.schedule_call('job', '@daily', $1, max_attempts => 3)", target.url + "/busy"
    )
    async with making_calls(database_url):
        await adb.execute("select postmill.run_schedule('job')")
        run = await ended(adb)
    assert (run["status"], run["reason"]) == ("failed", "HTTP 429")
    assert target.at["/busy"] == 3
    assert len({request.headers["Idempotency-Key"] for request in target.seen}) == 1


@pytest.mark.parametrize(("overlap", "status", "count"), [("queue", "sent", 2), ("skip", "skipped", 1)])
async def test_while_a_call_runs_the_next_tick_does_as_overlap_says(
    database_url: str, adb: asyncpg.Connection, target: Target, overlap: str, status: str, count: int
) -> None:
    target.answers["/slow"] = target.hang
    await adb.execute(SCHEDULE, "1 second", target.url + "/slow", overlap)
    async with making_calls(database_url), firing(database_url):
        await target.arrived.wait()
        await until(adb, AT_LEAST, status, count)
        assert target.now == 1
        target.release.set()
        await until(adb, AT_LEAST, "succeeded", 2)
    assert target.most == 1


async def test_a_call_that_waited_begins_when_the_one_before_has_ended(
    database_url: str, adb: asyncpg.Connection, target: Target
) -> None:
    """It is told, and does not wait for the next look, which comes after 15 seconds."""
    target.answers["/slow"] = target.hang
    await adb.execute(SCHEDULE, "@daily", target.url + "/slow", "queue")
    async with making_calls(database_url):
        for day in (1, 2):
            await adb.execute(FIRE, datetime(2026, 5, day, tzinfo=UTC))
        await target.arrived.wait()
        target.arrived.clear()
        target.release.set()
        async with asyncio.timeout(5):
            await target.arrived.wait()
    assert target.most == 1

"""Calls that are asked for in SQL: made once, in time, to where they may go, and each answered by itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.service.calling import answered, making_calls, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

    from tests.service.calling import Target


@pytest.fixture
async def target() -> AsyncIterator[Target]:
    async with serving() as made:
        yield made


async def test_a_call_is_made_after_the_commit_and_its_answer_is_kept(
    database_url: str, adb: asyncpg.Connection, target: Target
) -> None:
    async with making_calls(database_url):
        async with adb.transaction():
            call_id = await adb.fetchval(
                "select net.http_post($1, $2, params => $3, headers => $4)",
                *(target.url + "/path", '{"a": 1}', '{"q": "x y&z"}', '{"X-Mine": "1"}'),
            )
        found = await answered(adb, call_id)
    (request,) = target.seen
    assert (request.method, request.path_qs) == ("POST", "/path?q=x%20y%26z")
    assert (request.headers["X-Mine"], request.content_type) == ("1", "application/json")
    assert json.loads(target.bodies[0]) == {"a": 1}
    assert (found["status_code"], found["error_msg"], json.loads(found["content"])) == (
        200,
        None,
        {"ok": True},
    )
    assert await adb.fetchval("select count(*) from net.http_request_queue") == 0


async def test_a_call_that_is_rolled_back_is_not_made(
    database_url: str, adb: asyncpg.Connection, target: Target
) -> None:
    async with making_calls(database_url):
        undone = adb.transaction()
        await undone.start()
        await adb.execute("select net.http_get($1)", target.url + "/never")
        await undone.rollback()
        await answered(adb, await adb.fetchval("select net.http_get($1)", target.url + "/after"))
    assert [request.path for request in target.seen] == ["/after"]

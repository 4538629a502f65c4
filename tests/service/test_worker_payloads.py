"""From JSON to what the handler's annotation asks for, and from a header to the task that is meant."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import msgspec
import pydantic
import pytest

from postmill import Retry, worker
from postmill.model.events import Event
from tests.service.running import finished, running


@dataclass
class Page:
    url: str
    depth: int = 0


class Visit(msgspec.Struct):
    url: str
    depth: int = 0


class Order(pydantic.BaseModel):
    url: str
    depth: int = 0


PAGE = '{"url": "a", "depth": 2}'


@pytest.mark.parametrize(
    ("annotation", "sent", "got"),
    [
        (dict, PAGE, {"url": "a", "depth": 2}),
        (dict[str, Any], PAGE, {"url": "a", "depth": 2}),
        (Page, PAGE, Page("a", 2)),
        (Visit, PAGE, Visit("a", 2)),
        (Order, PAGE, Order(url="a", depth=2)),
        (list, "[1, 2]", [1, 2]),
        (list[int], "[1, 2]", [1, 2]),
        (int | None, "null", None),
        (str, '"ä"', "ä"),
        (object, "null", None),
        (Any, "1.5", 1.5),
        (None, "null", None),
    ],
    ids=str,
)
async def test_a_payload_is_decoded_to_the_annotation(
    database_url: str, annotation: Any, sent: str, got: Any
) -> None:
    seen = []

    async def handle(payload):  # type: ignore[no-untyped-def]
        seen.append(payload)

    handle.__annotations__["payload"] = annotation
    async with running(database_url, worker(handle)) as run:
        await run.send(sent)
        assert (await finished(run, 1))["archive"] == 1
    assert seen == [got]


@pytest.mark.parametrize(
    ("annotation", "sent"),
    [
        *(
            (annotation, '{"url": 3}') for annotation in (Page, Visit, Order, list[int])
        ),  # any object fits a dict
        *product((dict, Page, Visit, Order, list[int]), ("null", '"text"', '["a"]')),
    ],
    ids=str,
)
async def test_a_payload_that_does_not_fit_is_dead_at_once(
    database_url: str, annotation: Any, sent: str
) -> None:
    seen = []

    async def handle(payload):  # type: ignore[no-untyped-def]
        seen.append(payload)

    handle.__annotations__["payload"] = annotation
    async with running(database_url, worker(handle)) as run:
        await run.send(sent)
        assert await finished(run, 1) == {"queue": 0, "archive": 0, "dead": 1, "claims": 0}
        kinds = await run.db.fetchval(
            "select f.kind || ' ' || d.kind from postmill.failures as f, postmill.dead_letters as d"
        )
    assert (seen, kinds) == ([], "invalid_payload invalid_payload")


@pytest.mark.parametrize("annotation", [dict, Any, Page, Order, list[int]], ids=str)
@pytest.mark.parametrize(
    "sent", ["1" + "0" * 400, "[" * 3000 + "]" * 3000], ids=["a number of 401 digits", "nested 3,000 deep"]
)
async def test_json_that_only_postgres_can_read_is_an_invalid_payload(
    database_url: str, annotation: Any, sent: str
) -> None:
    """jsonb holds numbers and depths that no decoder here takes: running it again would not help."""

    async def handle(payload):  # type: ignore[no-untyped-def]
        pass

    handle.__annotations__["payload"] = annotation
    async with running(database_url, worker(handle)) as run:
        await run.send(sent)
        assert (await finished(run, 1))["dead"] == 1
        assert await run.db.fetchval("select kind from postmill.failures") == "invalid_payload"


async def test_an_sql_null_is_read_as_json_null(database_url: str) -> None:
    seen = []

    @worker
    async def handle(payload: Any) -> None:
        seen.append(payload)

    async with running(database_url, handle) as run:
        await run.db.execute("select pgmq.send('tasks', null::jsonb)")
        assert (await finished(run, 1))["archive"] == 1
    assert seen == [None]


async def test_an_invalid_payload_may_be_retried_for_a_rolling_deployment(database_url: str) -> None:
    @worker(on_invalid="retry", retry=Retry.fixed(0, 2))
    async def handle(page: Page) -> None:
        pass

    async with running(database_url, handle) as run:
        msg_id = await run.send("{}")
        assert (await finished(run, 1))["dead"] == 1
        assert run.ends(msg_id) == [Event.MESSAGE_RETRYING, Event.MESSAGE_DEAD]


async def test_a_header_names_the_task(database_url: str) -> None:
    seen: list[tuple[str, object]] = []
    tasks = worker(queue="tasks")

    @tasks.task
    async def fetch(page: Page) -> None:
        seen.append(("fetch", page))

    @tasks.task
    def parse(payload: dict[str, Any]) -> None:
        seen.append(("parse", payload))

    async with running(database_url, tasks) as run:
        await run.send('{"url": "a"}', task="fetch")
        await run.send('{"n": 1}', task="parse")
        await run.send("{}", task="unknown")
        await run.send("{}")
        assert await finished(run, 4) == {"queue": 0, "archive": 2, "dead": 2, "claims": 0}
        reasons = await run.db.fetch("select reason from postmill.dead_letters order by msg_id")
    assert sorted(seen) == [("fetch", Page("a")), ("parse", {"n": 1})]
    assert [row["reason"] for row in reasons] == [
        "invalid payload: unknown task 'unknown' (known: fetch, parse)",
        (
            "invalid payload: the message names no task, and this worker has no default handler"
            " (tasks: fetch, parse)"
        ),
    ]


@pytest.mark.parametrize("headers", ["null", "[]", '"text"', "{}", '{"postmill-task": null}'])
async def test_headers_that_name_no_task_reach_the_default_handler(database_url: str, headers: str) -> None:
    seen = []

    @worker
    async def handle(payload: int) -> None:
        seen.append(payload)

    async with running(database_url, handle) as run:
        await run.db.execute("select pgmq.send('tasks', '7', $1::jsonb)", headers)
        assert (await finished(run, 1))["archive"] == 1
    assert seen == [7]

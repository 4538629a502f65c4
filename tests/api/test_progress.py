"""How far runs are, over the API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.sql.flow_scene import fail, map_over, register, settle, start, step, take, take_one

if TYPE_CHECKING:
    import httpx
    import psycopg

    Db = psycopg.Connection[dict[str, Any]]


@pytest.fixture
def run(db: Db) -> int:
    """A run whose map has an item that has failed."""
    register(
        db,
        step("fetch"),
        map_over("pages", "fetch", on_dead="collect"),
    )
    made = start(db, {"site": "example.org", "token": "secret"})
    settle(db, take_one(db), [1, 2])
    fail(db, take(db)[0], "404")
    return made


async def test_progress_has_the_steps_and_what_they_need(api: httpx.AsyncClient, run: int) -> None:
    found = (await api.get(f"/runs/{run}/progress")).json()
    assert found["run_id"] == str(run)
    assert found["input"] == {"site": "example.org", "token": "[redacted]"}
    assert [(each["step"], each["needs"]) for each in found["steps"]] == [("fetch", []), ("pages", ["fetch"])]
    assert "output" not in found["steps"][0]


async def test_a_step_has_what_it_was_given_and_has_given(api: httpx.AsyncClient, run: int) -> None:
    fetch = (await api.get(f"/runs/{run}/steps/fetch")).json()
    assert (fetch["state"], fetch["input"], fetch["output"]) == ("completed", {}, [1, 2])
    pages = (await api.get(f"/runs/{run}/steps/pages")).json()
    assert [each["reason"] for each in pages["failed_items"]] == ["404"]


async def test_events_come_latest_first(api: httpx.AsyncClient, db: Db, run: int) -> None:
    for number in range(3):
        db.execute(
            "insert into postmill.run_events (run_id, name, value) values ($1, 'at', $2::text::jsonb)",
            [run, str(number)],
        )
    found = (await api.get(f"/runs/{run}/events?limit=2")).json()["items"]
    assert [each["value"] for each in found] == [2, 1]


@pytest.mark.parametrize("path", ["/runs/77/progress", "/runs/77/events", "/runs/77/steps/a"])
async def test_of_no_run_there_is_nothing(api: httpx.AsyncClient, path: str) -> None:
    assert (await api.get(path)).status_code == 404

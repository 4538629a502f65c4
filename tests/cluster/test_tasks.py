"""``executor="ray"``: a message runs as a task on a cluster, and ends as any other."""

from __future__ import annotations

import json
import logging
import os
from typing import TYPE_CHECKING

from postmill import Retry
from postmill.handlers.cluster.orders import LARGEST_JSON
from postmill.model.events import Event
from tests.cluster.handlers import finishing, noted, on_ray
from tests.service.running import finished, running

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.cluster.ray_node import RayNode


async def test_a_task_runs_on_the_cluster_and_its_result_is_kept(
    ray_node: RayNode, database_url: str
) -> None:
    async with running(database_url, on_ray(keep_results=True)) as run:
        await run.send('{"do": "add"}')
        assert await finished(run, 1) == {"queue": 0, "archive": 1, "dead": 0, "claims": 0}
        result = json.loads(await run.db.fetchval("select result from postmill.results"))
    pid = result.pop("pid")
    assert result == {"sum": 2, "attempt": 1, "queue": "tasks"}
    assert pid != os.getpid()


async def test_nothing_of_the_node_is_heard_outside_of_this_machine(ray_node: RayNode) -> None:
    """Says something of the tests: no other machine reaches the node that they start."""
    assert ray_node.addresses() == {"127.0.0.1"}


async def test_what_finish_writes_commits_with_the_message(ray_node: RayNode, database_url: str) -> None:
    async with running(database_url, finishing) as run:
        await run.db.execute("create table recorded (what text, sum int)")
        await run.send('{"do": "add"}')
        assert (await finished(run, 1))["archive"] == 1
        assert await run.db.fetchrow("select * from recorded") == ("add", 2)
        await run.true_in_database("exists (select from postmill.results)")
        assert json.loads(await run.db.fetchval("select result from postmill.results")) == {"kept": 2}


async def test_a_finish_that_fails_is_a_failed_attempt_and_writes_nothing(
    ray_node: RayNode, database_url: str
) -> None:
    async with running(database_url, finishing) as run:
        await run.send('{"do": "add"}')  # there is no table yet
        await run.until(Event.MESSAGE_RETRYING)
        row = await run.db.fetchrow("select kind, error_type from postmill.failures")
        assert row == ("error", "UndefinedTableError")
        assert (await run.account())["queue"] == 1


async def test_what_a_task_raises_is_told_with_its_own_traceback(
    ray_node: RayNode, database_url: str
) -> None:
    async with running(database_url, on_ray(retry=Retry.none)) as run:
        await run.send('{"do": "raise"}')
        assert (await finished(run, 1))["dead"] == 1
        row = await run.db.fetchrow("select * from postmill.failures")
    assert (row["kind"], row["error_type"], row["error_message"]) == ("error", "ValueError", "no such thing")
    assert 'raise ValueError("no such thing")' in row["traceback"]


async def test_outcomes_that_a_task_raises_mean_what_they_always_do(
    ray_node: RayNode, database_url: str
) -> None:
    async with running(database_url, on_ray(retry=Retry.fixed(60, 2))) as run:
        again = await run.send('{"do": "retry"}')
        later = await run.send('{"do": "snooze"}')
        enough = await run.send('{"do": "dead"}')
        await run.until(Event.MESSAGE_DEAD, count=2)
        await run.until(Event.MESSAGE_SNOOZED)
        assert run.ends(again) == [Event.MESSAGE_RETRYING, Event.MESSAGE_DEAD]  # after 0 s, not 60
        assert run.ends(later) == [Event.MESSAGE_SNOOZED]
        assert run.ends(enough) == [Event.MESSAGE_DEAD]
        reasons = {each["msg_id"]: each["reason"] for each in run.events(Event.MESSAGE_DEAD)}
        assert reasons[enough] == "enough"


async def test_a_payload_that_does_not_fit_never_reaches_the_cluster(
    ray_node: RayNode, database_url: str
) -> None:
    async with running(database_url, on_ray()) as run:
        await run.send('{"do": 5}')
        await run.send(json.dumps({"do": "add", "file": "x" * LARGEST_JSON}))
        assert (await finished(run, 2))["dead"] == 2
        rows = await run.db.fetch("select kind, error_message from postmill.failures order by msg_id")
    assert [row["kind"] for row in rows] == ["invalid_payload"] * 2
    assert "a task may be given 8,388,608" in rows[1]["error_message"]


async def test_a_result_that_is_too_large_says_so(ray_node: RayNode, database_url: str) -> None:
    async with running(database_url, on_ray(retry=Retry.none)) as run:
        await run.send('{"do": "large"}')
        assert (await finished(run, 1))["dead"] == 1
        assert "a task may return 8,388,608" in await run.db.fetchval(
            "select error_message from postmill.failures"
        )


async def test_progress_and_log_lines_reach_the_worker_before_the_end(
    ray_node: RayNode, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "postmill.handler")
    async with running(database_url, on_ray(keep_results=True, timeout=60)) as run:
        msg_id = await run.send('{"do": "report"}')
        await finished(run, 1)
        kept = float(await run.db.fetchval("select result from postmill.results"))
    said = [(each["percent"], each["note"]) for each in run.events(Event.PROGRESS)]
    assert said == [(50, "half"), (100, "")]
    (line,) = [record for record in caplog.records if record.name == "postmill.handler"]
    assert (line.getMessage(), line.levelno) == ("nearly done", logging.WARNING)
    assert line.__dict__["fields"]["msg_id"] == msg_id
    assert 0 < kept <= 60


async def test_a_process_that_dies_is_a_crash_and_ray_does_not_run_the_task_again(
    ray_node: RayNode, database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "said"
    async with running(database_url, on_ray(retry=Retry.fixed(0, 2))) as run:
        await run.send(json.dumps({"do": "die", "file": str(file)}))
        assert (await finished(run, 1))["dead"] == 1
        rows = await run.db.fetch("select kind, error_message from postmill.failures")
    assert noted(file) == ["began", "began"]
    assert [row["kind"] for row in rows] == ["crash", "crash"]
    assert rows[0]["error_message"].startswith("WorkerCrashedError: ")

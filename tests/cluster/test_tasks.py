"""``executor="ray"``: a message runs as a task on a cluster, and ends as any other."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from tests.cluster.handlers import finishing, on_ray
from tests.service.running import finished, running

if TYPE_CHECKING:
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


async def test_what_finish_writes_commits_with_the_message(ray_node: RayNode, database_url: str) -> None:
    async with running(database_url, finishing) as run:
        await run.db.execute("create table recorded (what text, sum int)")
        await run.send('{"do": "add"}')
        assert (await finished(run, 1))["archive"] == 1
        assert await run.db.fetchrow("select * from recorded") == ("add", 2)
        await run.true_in_database("exists (select from postmill.results)")
        assert json.loads(await run.db.fetchval("select result from postmill.results")) == {"kept": 2}

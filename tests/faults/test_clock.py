"""The worker's own clock may be wrong: only the server's counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.account import Account
from tests.faults.handlers import handler
from tests.faults.processes import worker_process

if TYPE_CHECKING:
    from tests.faults.scene import Scene


@pytest.mark.parametrize("off_s", [-3600, 3600])
async def test_a_worker_whose_clock_is_an_hour_off(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, off_s: float
) -> None:
    """It claims what is due and nothing else, retries in time, and is not taken for dead."""
    await scene.send(5, outcome="retry")
    await scene.db.execute("select postmill.send('tasks', '{}', delay => '30 min')")
    with worker_process(scene.url, clock_off_s=off_s, visibility_timeout=2) as worker:
        async with scene.survivor(monkeypatch, handler(queue="others")):
            await scene.until("select count(*) = 5 from pgmq.a_tasks")
            await scene.until("select count(*) = 1 from postmill.workers where pid = $1", worker.pid)
            assert (
                await scene.db.fetchval("select count(*) from postmill.failures where kind <> 'error'") == 0
            )
            lasts = await scene.db.fetch(
                "select started_at, failed_at, clock_timestamp() as now from postmill.failures"
            )
            assert all(abs((row["now"] - row["started_at"]).total_seconds()) < 600 for row in lasts)
        worker.end()
        assert await worker.exited() == 0
    scene.sent.append(6)
    assert await scene.account() == Account(completed=5, queued=1, failures={"error": 5})
    assert await scene.runs() == [2] * 5 + [0]

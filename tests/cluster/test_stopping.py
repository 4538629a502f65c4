"""How a task is brought to an end: softly, then by force; and its slot is free when it is gone."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from postmill import Retry
from postmill.model.events import Event
from tests.cluster.handlers import is_running, noted, on_ray, pid_in
from tests.service.running import GIVE_UP_S, finished, running

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cluster.ray_node import RayNode
    from tests.service.running import Running

LONG_S = 120.0
"""How long a task runs that is to be ended: longer than any test waits."""


async def begun(run: Running, file: Path, do: str = "sleep", queue: str = "tasks") -> int:
    """Send a message, and wait until its task runs."""
    msg_id = await run.send(json.dumps({"do": do, "seconds": LONG_S, "file": str(file)}), queue)
    await until(lambda: "began" in noted(file))
    return msg_id


async def until(condition: Any) -> None:
    """Wait for what a task does: it is said nowhere."""
    async with asyncio.timeout(2 * GIVE_UP_S):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_a_time_limit_interrupts_the_task(ray_node: RayNode, database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "said"
    async with running(database_url, on_ray(timeout=2, retry=Retry.none, cancel_grace=60)) as run:
        await begun(run, file)
        assert (await finished(run, 1))["dead"] == 1
        assert await run.db.fetchval("select kind from postmill.failures") == "timeout"
    assert noted(file) == ["began", "interrupted"]


async def test_a_task_that_ignores_it_is_ended_and_its_slot_is_free_when_it_is_gone(
    ray_node: RayNode, database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "said"
    options = {"timeout": 2, "retry": Retry.none, "cancel_grace": 0.5, "max_concurrent": 1}
    async with running(database_url, on_ray(**options)) as run:
        await begun(run, file, "stubborn")
        await run.until(Event.MESSAGE_DEAD)
        assert not is_running(pid_in(file))
        await run.send('{"do": "add"}')
        assert (await finished(run, 2))["archive"] == 1
    assert noted(file) == ["began", "ignored"]


async def test_a_time_limit_counts_from_the_start_of_the_task(
    ray_node: RayNode, database_url: str, tmp_path: Path
) -> None:
    """The task waits for the two CPUs of the node for longer than it may run."""
    limit_s, file = 3.0, tmp_path / "said"
    needs = {"resources": {"num_cpus": 2}}
    async with running(
        database_url, on_ray(queue="others", **needs), on_ray(timeout=limit_s, retry=Retry.none, **needs)
    ) as run:
        first = await begun(run, file, queue="others")
        await run.send('{"do": "add"}')
        await run.until(Event.MESSAGE_CLAIMED, count=2)
        await asyncio.sleep(limit_s + 0.5)
        assert await run.db.fetchval("select postmill.cancel('others', $1)", first)
        await run.until(Event.MESSAGE_COMPLETED)
        assert await run.count("postmill.failures") == 0


async def test_a_task_that_finds_no_room_snoozes_and_no_attempt_is_counted(
    ray_node: RayNode, database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "said"
    needs = {"resources": {"num_cpus": 2}}
    async with running(
        database_url, on_ray(queue="others", grace=0, **needs), on_ray(start_timeout=0.5, **needs)
    ) as run:
        await begun(run, file, queue="others")
        waits = await run.send('{"do": "add"}')
        await run.until(Event.MESSAGE_SNOOZED)
        assert run.ends(waits) == [Event.MESSAGE_SNOOZED]
        assert await run.count("postmill.failures") == 0


async def test_a_message_that_is_cancelled_interrupts_its_task(
    ray_node: RayNode, database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "said"
    async with running(database_url, on_ray(cancel_grace=60)) as run:
        msg_id = await begun(run, file)
        await run.db.fetchval("select postmill.cancel('tasks', $1)", msg_id)
        await run.until(Event.MESSAGE_CANCELLED)
    assert noted(file) == ["began", "interrupted"]


async def test_a_lost_lease_interrupts_the_task(ray_node: RayNode, database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "said"
    async with running(database_url, on_ray(cancel_grace=60, visibility_timeout=1)) as run:
        msg_id = await begun(run, file)
        await run.db.fetch("select * from pgmq.set_vt('tasks', $1::bigint, 3600)", msg_id)
        await run.until(Event.LEASE_LOST)
        await until(lambda: noted(file) == ["began", "interrupted"])


async def test_a_stop_interrupts_the_task_and_its_message_waits_for_the_next_worker(
    ray_node: RayNode, database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "said"
    async with running(database_url, on_ray(grace=0)) as run:
        await begun(run, file)
        await run.engine.stop()
        assert await run.account() == {"queue": 1, "archive": 0, "dead": 0, "claims": 0}
        assert await run.count("postmill.failures") == 0
    assert noted(file) == ["began", "interrupted"]


async def test_a_stop_outlasts_no_task_that_ignores_it(
    ray_node: RayNode, database_url: str, tmp_path: Path
) -> None:
    """Its grace is longer than a stop waits: the driver's end ends it."""
    file = tmp_path / "said"
    async with running(database_url, on_ray(grace=0, cancel_grace=3600)) as run:
        await begun(run, file, "stubborn")
        await run.engine.stop()
        assert (await run.account())["claims"] == 0
    await until(lambda: not is_running(pid_in(file)))

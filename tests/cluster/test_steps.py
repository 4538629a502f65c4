"""Steps of flows that run on a cluster: what they are given and give, and how they end."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from postmill.model.errors import RunFailed
from postmill.model.events import Event
from tests.cluster.flows import Words, count, counted, counting, limited, obeying, performing, roomless
from tests.cluster.handlers import Job, is_running, noted, pid_in
from tests.cluster.test_losses import driver_of
from tests.cluster.test_stopping import LONG_S, until
from tests.service.running import GIVE_UP_S, running

if TYPE_CHECKING:
    from pathlib import Path

    from postmill import Flow
    from postmill.flows.run import Run
    from tests.cluster.ray_node import RayNode
    from tests.service.running import Running


async def begun(run: Running, flow: Flow[Job], file: Path, do: str = "sleep") -> Run[dict[str, Any]]:
    """A run whose step is on the cluster."""
    made = await flow.options(connection=run.db).start(Job(do, LONG_S, str(file)))
    await until(lambda: "began" in noted(file))
    return made


async def test_steps_and_maps_are_given_typed_values_on_the_cluster(
    ray_node: RayNode, database_url: str
) -> None:
    async with running(database_url, counting.handler()) as run:
        made = await counting.options(connection=run.db).start([" one two ", "three"])
        assert await made.result(timeout=GIVE_UP_S) == {"total": {"one two": 2, "three": 1}}
        assert os.getpid() not in {words.pid for words in await made.output(count)}
        await run.until(Event.PROGRESS, count=2)


async def test_a_step_whose_process_dies_has_crashed(
    ray_node: RayNode, database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "said"
    async with running(database_url, performing.handler()) as run:
        made = await begun(run, performing, file, "die")
        with pytest.raises(RunFailed, match="WorkerCrashedError"):
            await made.result(timeout=GIVE_UP_S)
        assert [each["kind"] for each in run.events(Event.STEP_FAILED)] == ["crash"]
    assert noted(file) == ["began"]


async def test_a_time_limit_interrupts_the_step(ray_node: RayNode, database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "said"
    async with running(database_url, limited.handler()) as run:
        made = await begun(run, limited, file)
        with pytest.raises(RunFailed):
            await made.result(timeout=GIVE_UP_S)
        assert [each["kind"] for each in run.events(Event.STEP_FAILED)] == ["timeout"]
    assert noted(file) == ["began", "interrupted"]


async def test_a_step_whose_lease_is_lost_is_interrupted(
    ray_node: RayNode, database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "said"
    async with running(database_url, performing.handler()) as run:
        await begun(run, performing, file)
        await run.db.fetch("select pgmq.set_vt('performing', msg_id, 3600) from pgmq.q_performing")
        await run.until(Event.LEASE_LOST)
        await until(lambda: noted(file) == ["began", "interrupted"])


async def test_a_step_whose_run_is_cancelled_is_interrupted_and_its_message_is_gone(
    ray_node: RayNode, database_url: str, tmp_path: Path
) -> None:
    """It held its machine to its end, which counted for nothing."""
    file = tmp_path / "said"
    async with running(database_url, performing.handler()) as run:
        made = await begun(run, performing, file)
        assert await made.cancel()
        await run.until(Event.STEP_DROPPED)
        assert noted(file) == ["began", "interrupted"]
        assert await run.count("pgmq.q_performing") == 0
        assert await run.count("postmill.failures") == 0


async def test_a_step_that_finds_no_room_snoozes(ray_node: RayNode, database_url: str) -> None:
    async with running(database_url, roomless.handler()) as run:
        (lacks,) = run.events(Event.CLUSTER_LACKS)
        assert lacks["lacking"] == "1 lasers (the most that one machine has: 0)"
        await roomless.options(connection=run.db).start(Job("add"))
        await run.until(Event.MESSAGE_SNOOZED)
        assert await run.count("postmill.failures") == 0


async def test_a_step_whose_driver_dies_is_given_back_uncounted(
    ray_node: RayNode, database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "said"
    async with running(database_url, performing.handler()) as run:
        await begun(run, performing, file)
        pid = driver_of(run).pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await until(lambda: noted(file).count("began") == 2)
        assert await run.count("postmill.failures") == 0
        await until(lambda: not is_running(pid_in(file)))  # the first task


async def test_a_step_of_a_durable_function_runs_on_the_cluster(ray_node: RayNode, database_url: str) -> None:
    async with running(database_url, counted.handler()) as run:
        one = await counted.options(connection=run.db).start(" one two ")
        assert await one.result(timeout=GIVE_UP_S) == Words("one two", 4, 1)


async def test_a_durable_step_has_its_time_limit_on_the_cluster(
    ray_node: RayNode, database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "said"
    async with running(database_url, obeying.handler()) as run:
        made = await obeying.options(connection=run.db).start(Job("sleep", LONG_S, str(file)), in_time=True)
        with pytest.raises(RunFailed, match="Timeout"):
            await made.result(timeout=GIVE_UP_S)
    assert noted(file) == ["began", "interrupted"]


async def test_a_durable_step_whose_process_dies_is_tried_again(
    ray_node: RayNode, database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "said"
    async with running(database_url, obeying.handler()) as run:
        made = await obeying.options(connection=run.db).start(Job("die", LONG_S, str(file)))
        with pytest.raises(RunFailed, match="WorkerCrashedError"):
            await made.result(timeout=GIVE_UP_S)
    assert noted(file) == ["began", "began"]


async def test_a_durable_step_whose_driver_dies_is_tried_again_uncounted(
    ray_node: RayNode, database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "said"
    async with running(database_url, obeying.handler()) as run:
        await obeying.options(connection=run.db).start(Job("sleep", LONG_S, str(file)))
        await until(lambda: "began" in noted(file))
        pid = driver_of(run).pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await until(lambda: noted(file).count("began") == 2)
        assert await run.count("postmill.failures") == 0
        assert await run.count("postmill.steps where attempts > 0") == 0
        await until(lambda: not is_running(pid_in(file)))  # the first task


async def test_a_durable_step_whose_run_is_cancelled_is_interrupted(
    ray_node: RayNode, database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "said"
    async with running(database_url, obeying.handler()) as run:
        made = await obeying.options(connection=run.db).start(Job("sleep", LONG_S, str(file)))
        await until(lambda: "began" in noted(file))
        assert await made.cancel()
        await run.until(Event.STEP_DROPPED)
        assert noted(file) == ["began", "interrupted"]
        assert await run.count("pgmq.q_obeying") == 0

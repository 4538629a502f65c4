"""What is lost beside a task: its driver, its worker, the head of the cluster; and clusters that refuse."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from postmill import Retry, worker
from postmill.handlers.cluster.driver import Driver
from postmill.model.errors import Refused
from postmill.model.events import Event
from tests.cluster.handlers import is_running, noted, on_ray, pid_in
from tests.cluster.test_stopping import LONG_S, begun, until
from tests.service.running import finished, running

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cluster.ray_node import RayNode
    from tests.service.running import Running


def driver_of(run: Running) -> Driver:
    """That of the only worker."""
    driver = run.worker.backend
    assert isinstance(driver, Driver)
    return driver


def not_ready(run: Running) -> str:
    """Why ``/ready`` answers 503; empty: it does not."""
    return run.engine.not_ready or ""


async def test_a_driver_that_dies_is_replaced_and_what_ran_is_given_back_uncounted(
    ray_node: RayNode, database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "said"
    async with running(database_url, on_ray(grace=0)) as run:
        msg_id = await begun(run, file)
        pid = driver_of(run).pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await run.until(Event.CLUSTER_LOST)
        await run.until(Event.CLUSTER_BACK)
        await until(lambda: noted(file).count("began") == 2)
        assert driver_of(run).pid not in {None, pid}
        assert run.ends(msg_id) == []
        assert await run.count("postmill.failures") == 0
        await until(lambda: not is_running(pid_in(file)))  # the first task


async def test_the_worker_is_killed_and_ray_ends_its_tasks(
    ray_node: RayNode, database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "said"
    command = (sys.executable, "-m", "postmill.cli.main", "worker", "run", "tests.cluster.handlers:killed")
    async with running(database_url, worker(queue="elsewhere")(_nothing)) as run:
        await run.db.execute("select postmill.create_queue('tasks')")
        killed = subprocess.Popen([*command, "--db-url", database_url])  # noqa: ASYNC220
        try:
            await begun(run, file)
        finally:
            killed.kill()
            killed.wait()
        await until(lambda: not is_running(pid_in(file)))
        await run.true_in_database("not exists (select from postmill.claims)")  # rescued as ever
    async with running(database_url, on_ray(grace=0)) as run:
        await until(lambda: noted(file).count("began") == 2)


async def _nothing(_: dict[str, str]) -> None: ...


@pytest.mark.slow  # two machines are started, and Ray takes many seconds to miss one
@pytest.mark.timeout(300)
async def test_a_machine_that_dies_with_a_task_on_it_is_a_crash_and_the_message_is_tried_again(
    own_node: RayNode, database_url: str, tmp_path: Path
) -> None:
    file, resources = tmp_path / "said", {"num_cpus": 0, "lasers": 1}
    dying = own_node.add_machine("lasers")
    async with running(database_url, on_ray(retry=Retry.fixed(0, 2), resources=resources)) as run:
        msg_id = await begun(run, file)
        assert own_node.addresses() == {"127.0.0.1"}
        own_node.kill_machine(dying)
        await until(lambda: run.events(Event.MESSAGE_RETRYING))
        assert not is_running(pid_in(file))
        assert not_ready(run) == ""  # the cluster is there
        (failure,) = await run.db.fetch("select kind, error_message from postmill.failures")
        assert failure["kind"] == "crash", failure["error_message"]
        await asyncio.to_thread(own_node.add_machine, "lasers")  # a loop that hangs loses its leases
        await until(lambda: noted(file).count("began") == 2)
        assert await run.account() == {"queue": 1, "archive": 0, "dead": 0, "claims": 1}
        await run.db.fetchval("select postmill.cancel('tasks', $1)", msg_id)
        await run.until(Event.MESSAGE_CANCELLED)
        await run.let_go()
        assert await run.account() == {"queue": 0, "archive": 0, "dead": 0, "claims": 0}
        assert run.ends(msg_id) == [Event.MESSAGE_RETRYING, Event.MESSAGE_CANCELLED]


async def test_what_no_machine_has_is_told_at_the_start(ray_node: RayNode, database_url: str) -> None:
    needs = {"num_cpus": 64, "lasers": 1}
    async with running(database_url, on_ray(resources=needs)) as run:
        (lacks,) = run.events(Event.CLUSTER_LACKS)
    assert lacks["lacking"] == (
        "64 CPU (the most that one machine has: 2); 1 lasers (the most that one machine has: 0)"
    )


async def test_a_wrong_token_is_refused_before_anything_is_claimed(
    ray_node: RayNode, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 64)
    async with running(database_url, on_ray(), begin=False) as run:
        await run.db.execute("select postmill.create_queue('tasks')")
        await run.send('{"do": "add"}')
        with pytest.raises(Refused, match="does not accept this worker's token"):
            await run.engine.start()
        assert await run.db.fetchval("select read_ct from pgmq.q_tasks") == 0


OTHER_VERSION = """
import json, sys
from ray._raylet import GcsClient
client = GcsClient(address=sys.argv[1])
found = json.loads(client.internal_kv_get(b"CLUSTER_METADATA", b"cluster"))
client.internal_kv_put(
    b"CLUSTER_METADATA", json.dumps({**found, "ray_version": "2.0.0"}).encode(), True, b"cluster"
)
"""
"""Has the head say that it is of another version, as an old one would."""


async def test_another_version_is_refused_before_anything_is_claimed(
    own_node: RayNode, database_url: str
) -> None:
    address = own_node.environment["RAY_ADDRESS"]
    subprocess.run([sys.executable, "-c", OTHER_VERSION, address], check=True)  # noqa: ASYNC221
    async with running(database_url, on_ray(), begin=False) as run:
        await run.db.execute("select postmill.create_queue('tasks')")
        await run.send('{"do": "add"}')
        with pytest.raises(Refused, match=r"another version.*2\.0\.0"):
            await run.engine.start()
        assert await run.db.fetchval("select read_ct from pgmq.q_tasks") == 0


@pytest.mark.slow  # it waits for 90 s, in which Ray ends a driver of its own
@pytest.mark.timeout(600)
async def test_the_head_is_lost_and_comes_back(own_node: RayNode, database_url: str, tmp_path: Path) -> None:
    """Ray ends a driver's process some time after its head has died: the worker is there 90 s later."""
    file = tmp_path / "said"
    async with running(database_url, on_ray()) as run:
        msg_id = await begun(run, file)
        assert not_ready(run) == ""
        own_node.kill("gcs_server")
        await run.until(Event.CLUSTER_LOST)
        await run.let_go()
        ends = asyncio.get_running_loop().time() + 90
        await run.send('{"do": "add"}')
        while asyncio.get_running_loop().time() < ends:
            assert "Ray cluster" in not_ready(run)
            await asyncio.sleep(1)
        assert await run.account() == {"queue": 2, "archive": 0, "dead": 0, "claims": 0}
        assert await run.count("postmill.failures") == 0
        own_node.kill()
        own_node.start()
        await run.until(Event.CLUSTER_BACK)
        await until(lambda: noted(file).count("began") == 2)
        await run.db.fetchval("select postmill.cancel('tasks', $1)", msg_id)
        assert (await finished(run, 2))["archive"] == 1
        assert not_ready(run) == ""


async def test_a_cluster_that_is_not_there_yet_is_waited_for(own_node: RayNode, database_url: str) -> None:
    own_node.kill()
    async with running(database_url, on_ray()) as run:
        await run.send(json.dumps({"do": "add", "seconds": LONG_S}))
        assert "does not answer" in not_ready(run)
        assert (await run.account())["claims"] == 0
        own_node.start()
        assert (await finished(run, 1))["archive"] == 1

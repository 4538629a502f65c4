"""Flows served by the function host: a module that defines some is kept at work, replaced without a gap."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from postmill.model.events import Event
from postmill.model.functions.failures import BootFailed
from postmill.model.functions.limits import EndReason
from tests.runtime.functions.scene import is_alive
from tests.runtime.functions.test_workers import HostDatabase, working

if TYPE_CHECKING:
    from pathlib import Path


async def start(database: HostDatabase, flow: str, given: Any) -> int:
    """A run, started the way another client would."""
    text = json.dumps(given)
    run_id: int = await database.db.fetchval("select postmill.start_flow($1, $2::jsonb)", flow, text)
    return run_id


async def result(database: HostDatabase, run_id: int) -> Any:
    """What a run has come to."""
    await database.until(f"(select ended_at is not null from postmill.runs where run_id = {run_id})")
    return json.loads(await database.value(f"postmill.run_result({run_id})"))


async def serving(database: HostDatabase) -> None:
    """Until the flows are known and claimed for."""
    await database.started("site_flow")
    await database.until("(select count(*) from postmill.idle_workers) = 2")


async def test_a_module_that_defines_flows_is_served(tmp_path: Path, database_url: str) -> None:
    """Flows and workflows alike; workflows on one queue share a worker: each would claim the other's."""
    async with working(tmp_path / "f", database_url, "site_flow") as database:
        await serving(database)
        assert {info.slug: info.kind for info in database.scene.host.functions()}["site_flow"] == "worker"
        await database.db.execute("insert into gates values ('a')")
        run = await start(database, "site", {"url": "a"})
        assert (await result(database, run))["output"]["report"][0] == "a"
        for flow, greeting in (("greet", "hello ANN"), ("leave", "bye ANN")):
            run = await start(database, flow, {"name": "ann"})
            assert (await result(database, run))["output"] == greeting


async def test_a_run_in_flight_outlasts_its_workers_replacement(tmp_path: Path, database_url: str) -> None:
    """What it runs is finished by the old process, and its next step is done by the new one."""
    async with working(tmp_path / "f", database_url, "site_flow", reload=True) as database:
        await serving(database)
        run = await start(database, "site", {"url": "slow"})
        await database.until("exists (select from runs)")
        old = await database.value("pid from runs")
        path = tmp_path / "f" / "site_flow.py"
        path.write_bytes(path.read_bytes() + b"\n")
        await database.scene.until(Event.FUNCTION_RETIRED, "site_flow")
        assert is_alive(old)
        await database.db.execute("insert into gates values ('slow'), ('next')")
        url, reporter = (await result(database, run))["output"]["report"]
        assert (url, reporter != old) == ("slow", True)
        await result(database, await start(database, "site", {"url": "next"}))
        (said, *_) = await database.scene.until(Event.FUNCTION_SHUTDOWN, "site_flow")
        assert (said["reason"], said["exit"]) == (EndReason.EARLY_DROP, "exit 0")
        assert await database.value("count(*) from postmill.failures") == 0
        assert await database.value("count(*) from runs") == 2, "no step ran twice"


async def test_replacements_under_load_lose_no_run(tmp_path: Path, database_url: str) -> None:
    async with working(tmp_path / "f", database_url, "site_flow") as database:
        await serving(database)
        await database.db.execute("insert into gates values ('x')")
        runs = []
        for _ in range(5):
            runs += [await start(database, "site", {"url": "x"}) for _ in range(10)]
            runs += [await start(database, "greet", {"name": "x"}) for _ in range(10)]
            await database.scene.host.recycle("site_flow")
        await database.until("not exists (select from postmill.runs where ended_at is null)")
        assert await database.value("array_agg(distinct state) from postmill.runs") == ["completed"]
        assert await database.value("count(*) from postmill.runs") == len(runs)
        assert await database.value("count(*) from runs") == len(runs) / 2, "each step ran once"
        assert await database.value("count(*) from postmill.failures") == 0


async def test_what_was_imported_to_be_started_is_not_served(tmp_path: Path, database_url: str) -> None:
    async with working(tmp_path / "f", database_url, "site_flow", "starts_flows") as database:
        await serving(database)
        await database.db.execute("insert into gates values ('other')")
        answer = orjson.loads((await database.scene.call("starts_flows")).body)
        for run in answer["runs"]:
            assert (await result(database, run))["state"] == "completed"
        kinds = {info.slug: info.kind for info in database.scene.host.functions()}
        assert (kinds["starts_flows"], kinds["site_flow"]) == ("handler", "worker")
        assert await database.value("count(*) from postmill.workers") == 2


async def test_a_flow_that_no_worker_can_run_says_why(tmp_path: Path, database_url: str) -> None:
    text = (
        "from postmill.flows import Ctx, workflow\n\n\n@workflow(name='twice', queue='q')\n"
        "async def one(ctx: Ctx) -> None: ...\n\n\n@workflow(name='twice', queue='q')\n"
        "async def other(ctx: Ctx) -> None: ...\n"
    )
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "twice.py").write_text(text, encoding="utf-8")
    async with working(tmp_path / "f", database_url) as database:
        with pytest.raises(BootFailed, match="can't share a worker"):
            await database.started("twice")


def test_a_function_without_flows_does_not_pay_for_them() -> None:
    """Every isolate of every function would import what runs flows."""
    code = "import sys, postmill.isolate.isolate; print([m for m in sys.modules if 'postmill.flows' in m])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert found.stdout.strip() == "[]"

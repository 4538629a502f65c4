"""`postmill worker run --replace`: a new release as a process beside the old one, which leaves by itself."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.acceptance.conftest import Cli

WORKER = """
import asyncio
from postmill import worker

@worker(queue="jobs", max_concurrent=4)
async def work(payload: float) -> None:
    await asyncio.sleep(payload)
"""
WITHIN_S = 60


@pytest.fixture
def start(spawn: Any, cli: Cli, db: Any, tmp_path: Path) -> Callable[..., Any]:
    """Start a release, and wait until its worker is on record."""
    (tmp_path / "jobs.py").write_text(WORKER)
    cli("queue", "create", "jobs")

    def begin(label: str, *options: str) -> Any:
        quiet = {"stdout": None, "stderr": None}
        process = spawn("worker", "run", "jobs:work", "--release", label, *options, **quiet)
        there = "select from postmill.workers where version like '%+' || $1"
        end = time.monotonic() + WITHIN_S
        while db.execute(there, [label]).fetchone() is None:
            assert time.monotonic() < end
            time.sleep(0.05)
        return process

    return begin


def test_the_old_process_ends_by_itself_and_every_message_is_done_once(
    start: Callable[..., Any], cli: Cli, db: Any
) -> None:
    old = start("1")
    send = "select postmill.send('jobs', to_jsonb($1::float8)) from generate_series(1, $2)"
    db.execute(send, [0.01, 150])
    new = start("2", "--replace")
    assert old.wait(timeout=WITHIN_S) == 0
    db.execute(send, [0.01, 50])
    end = time.monotonic() + WITHIN_S
    while db.execute("select count(*) as n from pgmq.a_jobs").fetchone()["n"] < 200:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert db.execute("select count(*) as n from pgmq.q_jobs").fetchone()["n"] == 0
    assert db.execute("select count(*) as n from postmill.failures").fetchone()["n"] == 0
    assert new.poll() is None
    found = {row["version"].partition("+")[2]: row for row in cli("worker", "list", "--all", "--json").json}
    assert (found["1"]["state"], found["1"]["stop_reason"]) == ("stopped", "deprecated")
    assert found["2"]["state"] == "active"
    new.terminate()
    assert new.wait(timeout=WITHIN_S) == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--replace", "--replace-here"), "exclude each other"),
        (("--release", "a+b"), "can't be the name of a release"),
        (("--release", ""), "can't be the name of a release"),
    ],
)
def test_refuses_what_makes_no_sense(cli: Cli, options: tuple[str, ...], said: str) -> None:
    answer = cli("worker", "run", "jobs:work", *options)
    assert answer.code == 2
    assert said in answer.err


def test_a_label_says_nothing_of_the_version_of_postmill(cli: Cli, db: Any) -> None:
    db.execute(
        "insert into postmill.workers (queue_name, function_name, hostname, pid, version, max_concurrent, "
        "last_heartbeat_at) select 'jobs', 'work', 'a', 1, version, 1, now() + interval '1 hour' "
        "from unnest(array['0.2.0+9', '0.1.0+10']) as version"
    )
    asked = cli("worker", "drain", "--older-than", "0.2.0", "--json").json
    assert [row["version"] for row in asked] == ["0.1.0+10"]

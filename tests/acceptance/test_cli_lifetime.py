"""`postmill worker run` that ends by itself: jobs of cron, CI and Kubernetes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.test_cli_running import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.conftest import Cli

WORKER = """
import asyncio
from postmill import Context, Retry, worker

@worker(queue="jobs", retry=Retry.fixed(3600), max_concurrent=4)
async def work(payload: dict, ctx: Context) -> None:
    if payload.get("fail"):
        raise ValueError("asked to")
    if payload.get("wait"):
        await ctx.stopping.wait()
    if payload.get("grow"):
        globals()["kept"] = b"x" * 200_000_000
    await asyncio.sleep(payload.get("sleep", 0))
"""


@pytest.fixture(autouse=True)
def jobs(tmp_path: Path, cli: Cli) -> None:
    (tmp_path / "jobs.py").write_text(WORKER)
    cli("queue", "create", "jobs")


def reason(db: Any) -> str:
    """Why the last worker stopped, as the database has it."""
    said: str = db.execute(
        "select stop_reason from postmill.workers order by started_at desc limit 1"
    ).fetchone()["stop_reason"]
    return said


def states(cli: Cli) -> list[str]:
    return sorted(row["state"] for row in cli("message", "list", "jobs", "--json").json)


def test_until_empty_does_what_is_ready_and_leaves_what_is_due_later(cli: Cli, spawn: Any, db: Any) -> None:
    """A retry is due later, as a delayed message is: both are for the next run."""
    for _ in range(30):
        cli("send", "jobs", '{"sleep": 0.05}')
    cli("send", "jobs", '{"sleep": 1.0}')
    cli("send", "jobs", '{"fail": true}')
    cli("send", "jobs", "{}", "--delay", "60")
    child = spawn("worker", "run", "jobs:work", "--until-empty")
    assert child.wait(timeout=60) == 0
    assert reason(db) == "empty"
    assert states(cli) == ["completed"] * 31 + ["retrying", "scheduled"]
    assert db.execute("select count(*) as n from postmill.claims").fetchone()["n"] == 0


def test_until_empty_of_an_empty_queue_ends_at_once(cli: Cli, spawn: Any, db: Any) -> None:
    assert spawn("worker", "run", "jobs:work", "--until-empty").wait(timeout=60) == 0
    assert reason(db) == "empty"


def test_until_empty_waits_for_a_message_whose_group_is_full(cli: Cli, spawn: Any, db: Any) -> None:
    db.execute("select postmill.limit_groups('jobs', max_running => 1)")
    db.execute(
        "select postmill.send('jobs', '{\"sleep\": 0.3}', group_key => 'a') from generate_series(1, 4)"
    )
    assert spawn("worker", "run", "jobs:work", "--until-empty").wait(timeout=60) == 0
    assert states(cli) == ["completed"] * 4


def test_until_empty_leaves_a_paused_queue_alone(cli: Cli, spawn: Any, db: Any) -> None:
    cli("send", "jobs", "{}")
    cli("queue", "pause", "jobs")
    assert spawn("worker", "run", "jobs:work", "--until-empty").wait(timeout=60) == 0
    assert states(cli) == ["ready"]


def test_nothing_is_lost_at_the_moment_of_leaving(cli: Cli, spawn: Any, db: Any) -> None:
    """Messages come while process after process finds the queue empty: each is done once, or still there."""
    sent = 0
    runs = 0
    while runs < 4:
        child = spawn("worker", "run", "jobs:work", "--until-empty")
        while child.poll() is None:
            db.execute("select postmill.send('jobs', '{}')")
            sent += 1
            time.sleep(0.15)
        assert child.returncode == 0
        runs += 1
    assert db.execute("select count(*) as n from postmill.claims").fetchone()["n"] == 0
    assert spawn("worker", "run", "jobs:work", "--until-empty").wait(timeout=60) == 0
    assert db.execute("select count(*) as n from pgmq.a_jobs").fetchone()["n"] == sent
    assert db.execute("select count(*) as n from pgmq.q_jobs").fetchone()["n"] == 0


def test_idle_exit_waits_for_a_while(cli: Cli, spawn: Any, db: Any) -> None:
    child = spawn("worker", "run", "jobs:work", "--idle-exit", "1s")
    until(child, "worker.started")
    began = time.monotonic()
    cli("send", "jobs", '{"sleep": 1.5}')
    until(child, "message.completed")
    assert child.wait(timeout=60) == 0
    assert time.monotonic() - began >= 2.4
    assert reason(db) == "idle"


def test_max_runtime_drains(cli: Cli, spawn: Any, db: Any) -> None:
    """What runs is finished, as on SIGTERM."""
    cli("send", "jobs", '{"wait": true, "sleep": 0.5}')
    assert spawn("worker", "run", "jobs:work", "--max-runtime", "1s").wait(timeout=60) == 0
    assert (reason(db), states(cli)) == ("max-runtime", ["completed"])


def test_max_messages_and_max_rss_end_a_process_that_nobody_replaces(cli: Cli, spawn: Any, db: Any) -> None:
    for _ in range(5):
        cli("send", "jobs", "{}")
    assert spawn("worker", "run", "jobs:work", "--max-messages", "5").wait(timeout=60) == 0
    assert reason(db) == "max-messages"
    cli("send", "jobs", '{"grow": true}')
    assert spawn("worker", "run", "jobs:work", "--max-rss", "200").wait(timeout=60) == 0
    assert reason(db) == "max-rss"


def test_a_process_that_takes_too_much_from_the_beginning_does_its_part_before_it_ends(
    cli: Cli, spawn: Any, db: Any
) -> None:
    """The program itself takes more than --max-rss. Each process that a supervisor started ended before its
    first message, and nothing was done any more.
    """
    cli("send", "jobs", "{}")
    assert spawn("worker", "run", "jobs:work", "--max-rss", "1").wait(timeout=60) == 0
    assert (reason(db), states(cli)) == ("max-rss", ["completed"])

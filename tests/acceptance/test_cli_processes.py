"""`postmill worker run --processes`: a parent that starts, watches and replaces worker processes."""

from __future__ import annotations

import os
import re
import signal
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.acceptance.conftest import Cli

WORKER = """
import asyncio, os
from postmill import worker

@worker(queue="jobs", max_concurrent=4, visibility_timeout=3)
async def work(payload: float) -> int:
    await asyncio.sleep(payload)
    return os.getpid()
"""
WITHIN_S = 60


def eventually(condition: Callable[[], Any]) -> Any:
    """Ask until it is true."""
    end = time.monotonic() + WITHIN_S
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return found


class Fleet:
    """A parent and its processes, as the database and the system see them."""

    def __init__(self, parent: Any, db: Any) -> None:
        self.parent = parent
        self.db = db

    def pids(self) -> set[int]:
        """The processes whose workers are at work, by the database."""
        found = self.db.execute(
            "select pid from postmill.workers where stopped_at is null and last_heartbeat_at > now() - "
            "interval '6 s'"
        ).fetchall()
        return {row["pid"] for row in found if alive(row["pid"])}

    def until_there_are(self, number: int) -> set[int]:
        found: set[int] = eventually(lambda: pids if len(pids := self.pids()) == number else None)
        return found

    def left(self) -> int:
        """Messages that are still to be done."""
        number: int = self.db.execute("select count(*) as n from pgmq.q_jobs").fetchone()["n"]
        return number

    def end(self, number: int = signal.SIGTERM) -> int:
        self.parent.send_signal(number)
        code: int = self.parent.wait(timeout=WITHIN_S)
        return code


def alive(pid: int) -> bool:
    """Whether there is such a process that is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def start(spawn: Any, cli: Cli, db: Any, tmp_path: Path) -> Any:
    (tmp_path / "jobs.py").write_text(WORKER)
    cli("queue", "create", "jobs")
    log = (tmp_path / "log").open("w")
    started: list[Fleet] = []

    def begin(*options: str, **environment: str) -> Fleet:
        parent = spawn("worker", "run", "jobs:work", *options, env=environment, stdout=log, stderr=log)
        started.append(Fleet(parent, db))
        return started[-1]

    yield begin
    log.close()
    for fleet in started:
        pids = fleet.pids()
        if fleet.parent.poll() is None:
            fleet.parent.kill()
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def send(db: Any, number: int, sleep_s: float = 0.02) -> None:
    db.execute(
        "select postmill.send('jobs', to_jsonb($1::float8)) from generate_series(1, $2)", [sleep_s, number]
    )


def test_as_many_as_asked_for_work_and_all_drain(start: Any, db: Any) -> None:
    fleet = start("--processes", "2")
    pids = fleet.until_there_are(2)
    assert fleet.parent.pid not in pids
    send(db, 8, 1.0)
    eventually(lambda: db.execute("select from postmill.claims").fetchone() is not None)
    assert fleet.end() == 0
    assert not any(alive(pid) for pid in pids)
    running = db.execute("select count(*) as n from postmill.claims").fetchone()["n"]
    assert running == 0
    assert db.execute("select count(*) as n from postmill.failures").fetchone()["n"] == 0


def test_one_that_is_killed_is_replaced_and_no_message_is_lost(start: Any, db: Any) -> None:
    fleet = start("--processes", "2")
    first = fleet.until_there_are(2)
    send(db, 400)
    victim = min(first)
    os.kill(victim, signal.SIGKILL)
    eventually(lambda: len(fleet.pids() - {victim}) == 2)
    eventually(lambda: fleet.left() == 0)
    assert len(fleet.pids() & first) == 1
    assert fleet.end() == 0


def test_no_process_outlives_a_parent_that_is_killed(start: Any, db: Any) -> None:
    """They drain, as on SIGTERM: what they run is done."""
    fleet = start("--processes", "2")
    pids = fleet.until_there_are(2)
    send(db, 4, 1.0)
    eventually(lambda: db.execute("select from postmill.claims").fetchone() is not None)
    fleet.end(signal.SIGKILL)
    eventually(lambda: not any(alive(pid) for pid in pids))
    assert db.execute("select count(*) as n from postmill.claims").fetchone()["n"] == 0
    reasons = db.execute("select distinct stop_reason from postmill.workers").fetchall()
    assert [row["stop_reason"] for row in reasons] == ["shutdown"]


def test_sighup_replaces_all_of_them_without_a_gap(start: Any, db: Any) -> None:
    """Under load: at every moment a process is at work, and each message is done once."""
    fleet = start("--processes", "2")
    first = fleet.until_there_are(2)
    send(db, 4000)
    fleet.parent.send_signal(signal.SIGHUP)
    fewest = 2

    def replaced() -> bool:
        nonlocal fewest
        pids = fleet.pids()
        fewest = min(fewest, len(pids))
        return len(pids) == 2 and not pids & first

    eventually(replaced)
    assert fewest == 2
    eventually(lambda: fleet.left() == 0)
    gaps = db.execute(
        "select max(archived_at - before) as gap from (select archived_at, lag(archived_at) over "
        "(order by archived_at) as before from pgmq.a_jobs) as done"
    ).fetchone()
    assert db.execute("select count(*) as n from pgmq.a_jobs").fetchone()["n"] == 4000
    assert db.execute("select count(*) as n from postmill.failures").fetchone()["n"] == 0
    assert gaps["gap"].total_seconds() < 1
    assert fleet.end() == 0


def test_one_that_is_worn_out_is_replaced_once_another_one_works(start: Any, db: Any, tmp_path: Path) -> None:
    fleet = start("--processes", "1", "--max-messages", "50")
    (first,) = fleet.until_there_are(1)
    send(db, 60)
    eventually(lambda: fleet.left() == 0)
    eventually(lambda: len(fleet.pids()) == 1 and first not in fleet.pids())
    found = db.execute(
        "select pid, started_at, stopped_at from postmill.workers order by started_at"
    ).fetchall()
    assert found[0]["pid"] == first
    assert f"replacing the worker process {first}: max-messages" in (tmp_path / "log").read_text()
    assert found[1]["started_at"] < found[0]["stopped_at"]
    assert fleet.end() == 0


def test_what_can_not_start_ends_the_parent_with_its_message(
    start: Any, tmp_path: Path, cli_without_database: Cli
) -> None:
    (tmp_path / "jobs.py").write_text("import nothing_like_it\n")
    fleet = start("--processes", "3")
    assert fleet.parent.wait(timeout=WITHIN_S) == 2
    said = (tmp_path / "log").read_text()
    assert said.count("code: ") == 1, "one message, not one of each process"


def test_a_new_release_that_can_not_start_leaves_the_old_one_at_work(
    start: Any, db: Any, tmp_path: Path
) -> None:
    fleet = start("--processes", "1")
    pids = fleet.until_there_are(1)
    (tmp_path / "jobs.py").write_text("import nothing_like_it\n")
    fleet.parent.send_signal(signal.SIGHUP)
    eventually(lambda: "another one starts in" in (tmp_path / "log").read_text())
    send(db, 10)
    eventually(lambda: fleet.left() == 0)
    assert fleet.pids() == pids
    (tmp_path / "jobs.py").write_text(WORKER)
    eventually(lambda: len(now := fleet.pids()) == 1 and not now & pids)
    assert fleet.end() == 0


def test_a_new_release_that_hangs_is_given_up_for_the_next_one(start: Any, tmp_path: Path) -> None:
    """A module waits forever while it is imported. The parent waited for that process, whatever was asked for
    afterwards.
    """
    fleet = start("--processes", "1")
    pids = fleet.until_there_are(1)
    (tmp_path / "jobs.py").write_text("import threading\nopen('hangs', 'w')\nthreading.Event().wait()\n")
    fleet.parent.send_signal(signal.SIGHUP)
    eventually((tmp_path / "hangs").exists)
    (tmp_path / "jobs.py").write_text(WORKER)
    fleet.parent.send_signal(signal.SIGHUP)
    eventually(lambda: len(now := fleet.pids()) == 1 and not now & pids)
    assert fleet.end() == 0


def test_all_that_leave_by_themselves_end_the_parent(start: Any, db: Any) -> None:
    send(db, 100)
    fleet = start("--processes", "2", "--until-empty")
    assert fleet.parent.wait(timeout=WITHIN_S) == 0
    assert fleet.left() == 0


def test_each_process_has_a_probe(start: Any, tmp_path: Path) -> None:
    fleet = start("--processes", "2", "--probe-port", "0")
    fleet.until_there_are(2)

    def urls() -> set[str]:
        return set(re.findall(r"http://127\.0\.0\.1:\d+", (tmp_path / "log").read_text()))

    eventually(lambda: len(urls()) == 2)
    for url in urls():
        eventually(partial(is_ready, url))
    assert fleet.end() == 0


def is_ready(url: str) -> bool:
    """Whether the probe there says so."""
    return httpx.get(f"{url}/ready").status_code == 200

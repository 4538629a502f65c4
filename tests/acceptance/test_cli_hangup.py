"""SIGHUP to what runs on and on: it drains, unless it was to be ignored or a parent sees to it."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from postmill.service.stop_requests import ECHO_S
from tests.acceptance.test_cli_processes import Fleet, alive, eventually, send
from tests.acceptance.test_cli_running import until
from tests.serving import Serving

if TYPE_CHECKING:
    from tests.acceptance.conftest import Cli

WORKER = """
import time
from pathlib import Path
from postmill import worker

@worker(queue="jobs", executor="process")
def work(payload: float) -> None:
    Path("begun").touch()
    while not Path("may_end").exists():
        time.sleep(0.02)
"""

FUNCTION = """
import asyncio
from pathlib import Path

async def handler():
    Path("{here}/begun").touch()
    while not Path("{here}/may_end").exists():
        await asyncio.sleep(0.02)
    return "done"
"""


def catches_sighup(pid: int) -> bool:
    """Whether a process has a handler for it."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (mask,) = [int(line.split()[1], 16) for line in lines if line.startswith("SigCgt:")]
    return bool(mask >> (signal.SIGHUP - 1) & 1)


@pytest.fixture(autouse=True)
def jobs(tmp_path: Path, cli: Cli) -> None:
    (tmp_path / "jobs.py").write_text(WORKER)
    (tmp_path / "functions").mkdir()
    (tmp_path / "functions" / "slow.py").write_text(FUNCTION.format(here=tmp_path))
    (tmp_path / "postmill.toml").write_text("[runtime]\nport = 0\n[functions.slow]\nverify_jwt = false\n")
    cli("queue", "create", "jobs")


def test_sighup_drains_and_does_not_force(cli: Cli, spawn: Any, db: Any, tmp_path: Path) -> None:
    """A terminal that closes sends it to the whole group, the handlers' processes among them. It killed all,
    and the message waited for its lease.
    """
    send(db, 1)
    child = spawn("worker", "run", "jobs:work", process_group=0)
    eventually((tmp_path / "begun").exists)
    os.killpg(child.pid, signal.SIGHUP)
    until(child, "Draining: 1 message")
    time.sleep(2 * ECHO_S)  # so that the next one is no echo
    os.killpg(child.pid, signal.SIGHUP)
    (tmp_path / "may_end").touch()
    _, said = child.communicate(timeout=60)
    assert (child.returncode, "Forcing" in said) == (0, False)
    (row,) = db.execute("select stop_reason from postmill.workers").fetchall()
    assert row["stop_reason"] == "shutdown"
    assert [row["state"] for row in cli("message", "list", "jobs", "--json").json] == ["completed"]
    assert db.execute("select from postmill.failures").fetchone() is None


@pytest.mark.parametrize("command", ["serve", "dev"])
def test_sighup_lets_a_request_end(cli: Cli, db: Any, tmp_path: Path, command: str) -> None:
    """`serve` died of it, and its functions with it."""
    with Serving(tmp_path, command) as serving, ThreadPoolExecutor() as pool:
        answer = pool.submit(serving.client.get, "slow")
        eventually((tmp_path / "begun").exists)
        serving.process.send_signal(signal.SIGHUP)
        serving.said("Stopping")
        time.sleep(2 * ECHO_S)  # so that the next one is no echo
        serving.process.send_signal(signal.SIGHUP)
        (tmp_path / "may_end").touch()
        assert answer.result().text == "done"
        assert serving.process.wait(60) == 0
        assert "Forcing" not in serving.log


@pytest.mark.parametrize(
    "command", [("calls", "run"), ("schedule", "work"), ("dashboard", "--port", "0")], ids=" ".join
)
def test_sighup_ends_what_serves_no_functions(spawn: Any, command: tuple[str, ...]) -> None:
    child = spawn(*command)
    eventually(lambda: catches_sighup(child.pid))
    child.send_signal(signal.SIGHUP)
    _, said = child.communicate(timeout=60)
    assert child.returncode == 0, said


def test_under_nohup_it_goes_on(spawn: Any, db: Any, tmp_path: Path) -> None:
    (tmp_path / "may_end").touch()
    ignoring = partial(signal.signal, signal.SIGHUP, signal.SIG_IGN)
    child = spawn("worker", "run", "jobs:work", preexec_fn=ignoring)
    until(child, "worker.started")
    child.send_signal(signal.SIGHUP)
    send(db, 1)
    until(child, "message.completed")
    child.terminate()
    assert child.wait(timeout=60) == 0


def test_a_fleet_that_is_signalled_as_a_whole_keeps_its_size(spawn: Any, db: Any) -> None:
    """As `systemctl kill --signal=HUP` does it. Were a child to drain, it would end with 0 and its place with
    it.
    """
    fleet = Fleet(spawn("worker", "run", "jobs:work", "--processes", "2", stderr=None, stdout=None), db)
    first = fleet.until_there_are(2)
    for pid in (*first, fleet.parent.pid):
        os.kill(pid, signal.SIGHUP)
    eventually(lambda: len(now := fleet.pids()) == 2 and not now & first)
    assert fleet.end() == 0
    eventually(lambda: not any(alive(pid) for pid in first))

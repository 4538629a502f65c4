"""SIGHUP to `postmill worker run`: it drains, unless it was to be ignored or a parent sees to it."""

from __future__ import annotations

import os
import signal
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from postmill.service.stop_requests import ECHO_S
from tests.acceptance.test_cli_processes import Fleet, alive, eventually, send
from tests.acceptance.test_cli_running import until

if TYPE_CHECKING:
    from pathlib import Path

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


@pytest.fixture(autouse=True)
def jobs(tmp_path: Path, cli: Cli) -> None:
    (tmp_path / "jobs.py").write_text(WORKER)
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

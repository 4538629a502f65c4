"""Workers started from the command line, as processes: `postmill worker run` and `postmill dev`."""

from __future__ import annotations

import json
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from tests.acceptance.conftest import Cli

WORKER = """
from postmill import Context, worker

@worker(queue="hello")
async def greet(payload: dict, ctx: Context) -> None:
    ctx.log.info("GREETING %s", payload["name"])

@worker(queue="sleepers")
async def sleep(payload: dict, ctx: Context) -> None:
    ctx.log.info("sleeping")
    await ctx.stopping.wait()
"""


def until(child: subprocess.Popen[str], text: str) -> str:
    """The next line of the log with ``text`` in it; fails with the log when the process ends first."""
    assert child.stderr is not None
    seen = []
    for line in child.stderr:
        seen.append(line)
        if text in line:
            return line
    raise AssertionError("".join(seen))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "jobs.py").write_text(WORKER)
    return tmp_path


def test_a_worker_runs_until_sigterm(cli: Cli, spawn: Any, project: Path) -> None:
    child = spawn("worker", "run", "jobs:greet", env={"POSTMILL_LOG_FORMAT": "json"})
    started = json.loads(until(child, "worker.started"))
    assert (started["queue"], started["function"]) == ("hello", "greet")
    cli("send", "hello", '{"name": "ada"}')
    assert json.loads(until(child, "GREETING ada"))["msg_id"] == 1
    until(child, "message.completed")
    assert [row["worker"] for row in cli("worker", "list", "--json").json] == ["greet"]
    child.send_signal(signal.SIGTERM)
    until(child, "Draining: nothing runs.")
    assert child.wait() == 0
    assert cli("worker", "list", "--json").json == []
    (message,) = cli("message", "list", "hello", "--json").json
    assert message["state"] == "completed"


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        ("debug", ["worker.started", "message.claimed", "message.completed", "message.dead"]),
        ("info", ["worker.started", "message.completed", "message.dead"]),
        ("error", ["message.dead"]),
    ],
)
def test_edge_workers_variable_sets_the_log_level(
    cli: Cli, spawn: Any, project: Path, level: str, shown: list[str]
) -> None:
    """The payload of the second message does not fit, which is an error at once."""
    environment = {"EDGE_WORKER_LOG_LEVEL": level, "POSTMILL_LOG_FORMAT": "json"}
    cli("send", "hello", '{"name": "ada"}', "--create")
    child = spawn("worker", "run", "jobs:greet", env=environment)
    while cli("message", "list", "hello", "--state", "completed", "--json").json == []:
        pass
    cli("send", "hello", "7")
    said = []
    while "message.dead" not in said:
        said.append(json.loads(until(child, '"event"'))["event"])
    watched = ("worker.started", "message.claimed", "message.completed", "message.dead")
    assert sorted(set(said) & set(watched)) == sorted(shown)


def test_ctrl_c_says_what_still_runs(cli: Cli, spawn: Any, project: Path) -> None:
    child = spawn("worker", "run", "jobs:sleep", "jobs:greet")
    until(child, "worker.started")
    cli("send", "sleepers", "{}", "--create")
    until(child, "sleeping")
    child.send_signal(signal.SIGINT)
    until(child, "Draining: 1 message still running. Ctrl-C again to force.")
    assert child.wait() == 0


@pytest.mark.parametrize("target", ["nowhere:greet", "jobs:nobody", "jobs:WORKER"])
def test_what_names_no_worker_is_refused(cli: Cli, project: Path, target: str) -> None:
    answer = cli("worker", "run", target)
    assert (answer.code, answer.error_code) == (2, "invalid-handler")


def test_a_worker_needs_the_schema(cli: Cli, db: Any, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It runs in this process, where another test's module of that name may be loaded."""
    monkeypatch.delitem(sys.modules, "jobs", raising=False)
    db.execute("drop schema postmill cascade")
    answer = cli("worker", "run", "jobs:greet")
    assert (answer.code, answer.error_code) == (6, "schema-missing")


def test_dev_reloads_on_change_and_ends_on_ctrl_c(cli: Cli, spawn: Any, project: Path) -> None:
    child = spawn("dev")
    until(child, "Workers: jobs:greet, jobs:sleep")
    until(child, "worker.started")
    cli("send", "hello", '{"name": "ada"}')
    until(child, "GREETING ada")
    (project / "jobs.py").write_text(WORKER.replace("GREETING", "WELCOME"))
    until(child, "Changed: jobs.py")
    cli("send", "hello", '{"name": "bob"}')
    until(child, "WELCOME bob")
    child.send_signal(signal.SIGINT)
    assert child.wait() == 0
    assert cli("worker", "list", "--json").json == []


def test_what_dev_had_started_ends_when_dev_is_killed(spawn: Any, project: Path) -> None:
    """Workers, and a host with its port, went on for ever, and the next dev could not have that port."""
    (project / "functions").mkdir()
    (project / "functions" / "hello.py").write_text("def handler():\n    return 'hello'\n")
    (project / "postmill.toml").write_text("[runtime]\nport = 0\n")
    child = spawn("dev")
    assert child.stderr is not None
    missing = {"function.booted", "worker.started"}
    while missing:
        line = child.stderr.readline()
        missing = {event for event in missing if event not in line}
    child.kill()
    rest: list[str] = []
    reading = threading.Thread(target=lambda: rest.append(child.stderr.read()), daemon=True)
    reading.start()  # the log ends with the last process that holds it
    reading.join(60)
    assert rest, "a process lives on"
    assert "worker.stopped" in rest[0]
    assert "function.shutdown" in rest[0]


def test_dev_waits_for_a_repair_when_the_code_does_not_run(cli: Cli, spawn: Any, project: Path) -> None:
    (project / "jobs.py").write_text(WORKER + "\nraise RuntimeError('not yet')\n")
    child = spawn("dev")
    until(child, "not yet")
    (project / "jobs.py").write_text(WORKER)
    until(child, "worker.started")
    child.send_signal(signal.SIGTERM)
    assert child.wait() == 0

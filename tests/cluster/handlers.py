"""Handlers that run on a cluster: importable there by name."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from postmill import Completed, Context, Dead, RemoteContext, Retry, Snooze, worker
from postmill.handlers.cluster.orders import LARGEST_JSON


@dataclass
class Job:
    """What a task is to do."""

    do: str
    seconds: float = 0.0
    file: str = ""


def perform(job: Job, task: RemoteContext) -> Any:
    """Do what the job says."""
    match job.do:
        case "add":
            return {"sum": 1 + 1, "pid": os.getpid(), "attempt": task.attempt, "queue": task.queue}
        case "report":
            task.progress(0.5, "half")
            task.log.warning("nearly %s", "done")
            task.progress(1)
            return task.deadline
        case "raise":
            raise ValueError("no such thing")
        case "die":
            note(job, "began")
            os._exit(3)
        case "large":
            return "x" * LARGEST_JSON
        case "sleep":
            return _interruptible(job)
        case "stubborn":
            return _stubborn(job)
    raise {"retry": Retry("again", after=0), "snooze": Snooze(60, "later"), "dead": Dead("enough")}[job.do]


def _interruptible(job: Job) -> str:
    """Says in a file that it runs, and how it ends."""
    note(job, "began")
    deadline = time.monotonic() + job.seconds
    try:
        while time.monotonic() < deadline:
            time.sleep(0.01)
    except KeyboardInterrupt:
        note(job, "interrupted")
        raise
    note(job, "ended")
    return "slept"


def _stubborn(job: Job) -> None:
    note(job, "began")
    deadline = time.monotonic() + job.seconds
    while time.monotonic() < deadline:
        try:
            time.sleep(0.01)
        except KeyboardInterrupt:
            note(job, "ignored")


def note(job: Job, what: str) -> None:
    """Add a line to the task's file."""
    with open(job.file, "a") as file:  # noqa: PTH123
        file.write(f"{what} {os.getpid()}\n")


def noted(file: Path) -> list[str]:
    """What tasks have noted, without their process ids."""
    return [line.split()[0] for line in file.read_text().splitlines()] if file.exists() else []


def pid_in(file: Path) -> int:
    """The process of the first task that has noted something."""
    return int(file.read_text().split()[1])


def is_running(pid: int) -> bool:
    """False also once it only waits for its parent to take note of its end."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def on_ray(**options: Any) -> Any:
    """The handler with these options: each test has its own."""
    return worker(executor="ray", **{"resources": {"num_cpus": 0}, **options})(perform)


finishing = worker(queue="tasks", executor="ray", resources={"num_cpus": 0}, keep_results=True)(perform)


killed = on_ray()


@finishing.finish
async def record(job: Job, result: dict[str, Any], ctx: Context) -> Completed:
    """Writes the result in the transaction that completes the message."""
    async with ctx.transaction() as transaction:
        await transaction.execute("insert into recorded values ($1, $2)", job.do, result["sum"])
    return Completed({"kept": result["sum"]})

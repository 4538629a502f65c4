"""Unique keys under races: twenty connections send, of which five at a time are killed, while a client that
knows nothing of keys reads, archives, deletes and pops, and keys are pruned.

An index that only the test has finds two messages of one key.
"""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.faults.processes import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import asyncpg

    from tests.faults.scene import Scene

PROCESSES = 4
KILLS = 8
ENOUGH = 1_500
"""Messages consumed before a race counts: by then each of the 30 keys was taken over some fifty times."""

TWO = "UniqueViolationError"
ALL = "create unique index on pgmq.q_tasks ((headers ->> 'postmill-unique-key'))"
UNREAD = f"{ALL} where read_ct = 0"
"""A message that runs has its successor beside it, when that is meant to replace it."""


@contextmanager
def senders(url: str, how: str, on_conflict: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process of five connections; whatever goes wrong is written to ``log``."""
    command = [sys.executable, "-m", "tests.faults.unique_senders", url, how, on_conflict]
    with log.open("ab") as out, subprocess.Popen(command, cwd=ROOT, stderr=out) as process:
        try:
            yield process
        finally:
            process.kill()


async def consume(db: asyncpg.Connection) -> int:
    """What another client does with a few messages; returns how many are gone."""
    ids = [row[0] for row in await db.fetch("select msg_id from pgmq.read('tasks', 30, 10)")]
    await asyncio.sleep(0.002)
    end = random.choice(["archive", "delete"])
    await db.execute(f"select pgmq.{end}('tasks', $1::bigint[])", ids)
    popped = await db.fetch("select pgmq.pop('tasks')")
    await db.execute("update postmill.prunings set due_at = '-infinity'")
    await db.execute("select postmill.prune()")
    return len(ids) + len(popped)


async def race(
    scene: Scene, how: str, on_conflict: str, log: Path, *, kills: int = KILLS, fault: str = ""
) -> list[str]:
    """Let them race until enough was sent, or a fault of this kind was met; returns what went wrong."""
    with ExitStack() as stack:
        running = [stack.enter_context(senders(scene.url, how, on_conflict, log)) for _ in range(PROCESSES)]
        killed = consumed = 0
        while killed < kills or consumed < ENOUGH:
            consumed += await consume(scene.db)
            if has_met(fault, log):
                break
            if killed < kills and consumed > ENOUGH * killed / kills:
                running[killed % PROCESSES].kill()
                running[killed % PROCESSES] = stack.enter_context(senders(scene.url, how, on_conflict, log))
                killed += 1
    return complaints(log)


def has_met(fault: str, log: Path) -> bool:
    """Whether a sender has met this fault; '' is any."""
    return any(fault in line for line in complaints(log))


def complaints(log: Path) -> list[str]:
    """What the senders have written."""
    return log.read_text().splitlines()


@pytest.mark.parametrize(
    ("on_conflict", "index"), [("skip", ALL), ("replace", UNREAD)], ids=["skip", "replace"]
)
async def test_no_two_of_one_key_are_alive(
    scene: Scene, tmp_path: Path, on_conflict: str, index: str
) -> None:
    """Nor is there a deadlock: every batch takes its keys in the same order, whether they are new or not."""
    await scene.db.execute(index)
    assert await race(scene, "send_jobs", on_conflict, tmp_path / "log") == []
    unheld = """
        select count(*) from pgmq.q_tasks as queued where read_ct = 0 and not exists (
            select from postmill.unique_keys as known
            where known.msg_id = queued.msg_id
              and known.unique_key = queued.headers ->> 'postmill-unique-key')"""
    assert await scene.db.fetchval(unheld) == 0


async def test_the_race_finds_two_where_a_sender_looks_and_then_sends(scene: Scene, tmp_path: Path) -> None:
    """The control: with this way of sending the race above must fail."""
    await scene.db.execute(ALL)
    wrong = await race(scene, "read_then_insert", "skip", tmp_path / "log", kills=0, fault=TWO)
    assert any(TWO in line for line in wrong), wrong

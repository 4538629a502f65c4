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

import asyncpg
import pytest

from tests.faults.processes import ROOT
from tests.faults.test_durable_races import waits_for_lock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.faults.scene import Scene

PROCESSES = 4
KILLS = 8
ENOUGH = 1_500
"""Messages consumed before a race counts: by then each of the 30 keys was taken over some fifty times."""

ALL = "create unique index on pgmq.q_tasks ((headers ->> 'postmill-unique-key'))"
UNREAD = f"{ALL} where read_ct = 0"
"""A message that runs has its successor beside it, when that is meant to replace it."""


@contextmanager
def senders(url: str, on_conflict: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process of five connections; whatever goes wrong is written to ``log``."""
    command = [sys.executable, "-m", "tests.faults.unique_senders", url, on_conflict]
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


async def race(scene: Scene, on_conflict: str, log: Path) -> list[str]:
    """Let them race until enough was sent, or something went wrong; returns what."""
    with ExitStack() as stack:
        running = [stack.enter_context(senders(scene.url, on_conflict, log)) for _ in range(PROCESSES)]
        killed = consumed = 0
        while killed < KILLS or consumed < ENOUGH:
            consumed += await consume(scene.db)
            if complaints(log):
                break
            if killed < KILLS and consumed > ENOUGH * killed / KILLS:
                running[killed % PROCESSES].kill()
                running[killed % PROCESSES] = stack.enter_context(senders(scene.url, on_conflict, log))
                killed += 1
    return complaints(log)


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
    assert await race(scene, on_conflict, tmp_path / "log") == []
    unheld = """
        select count(*) from pgmq.q_tasks as queued where read_ct = 0 and not exists (
            select from postmill.unique_keys as known
            where known.msg_id = queued.msg_id
              and known.unique_key = queued.headers ->> 'postmill-unique-key')"""
    assert await scene.db.fetchval(unheld) == 0


LOOK_AND_SEND = """
insert into pgmq.q_tasks (vt, message, headers)
select now(), '1', '{"postmill-unique-key": "k"}'
where not exists (select from pgmq.q_tasks where headers ->> 'postmill-unique-key' = 'k')
"""


async def test_the_index_finds_two_where_a_sender_looks_and_then_sends(
    scene: Scene, other: asyncpg.Connection
) -> None:
    """The control: with this way of sending the race above must fail."""
    await scene.db.execute(ALL)
    async with scene.db.transaction():
        await scene.db.execute(LOOK_AND_SEND)
        sending = asyncio.create_task(other.execute(LOOK_AND_SEND))
        await waits_for_lock(scene.db, other, sending)
    with pytest.raises(asyncpg.UniqueViolationError):
        await sending

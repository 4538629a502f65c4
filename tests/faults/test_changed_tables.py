"""Administrators work on a queue's table while workers do: what they rewrite, alter or copy loses nothing."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg
import pytest

from postmill import worker
from postmill.model.events import Event
from postmill.model.queue.patrol import Walk
from tests.service.running import running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.faults.scene import Scene
    from tests.service.running import Running


@worker(queue="tasks", max_poll_seconds=0.3)
async def handle(payload: dict[str, int]) -> None:
    pass


@pytest.fixture
def no_patrol(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Walk, "next_step", lambda *_: None)


class Load:
    """Ids that senders were told."""

    def __init__(self) -> None:
        self.ids: list[int] = []
        self.more = asyncio.Event()

    async def grown(self, count: int) -> None:
        goal = len(self.ids) + count
        async with asyncio.timeout(30):
            while len(self.ids) < goal:
                self.more.clear()
                await self.more.wait()


@asynccontextmanager
async def load(scene: Scene, run: Running) -> AsyncIterator[Load]:
    """Messages that come while the block runs; at its end each was completed once."""
    made, over = Load(), asyncio.Event()

    async def send() -> None:
        connection = await asyncpg.connect(scene.url)
        while not over.is_set():
            rows = await connection.fetch(
                "select * from pgmq.send_batch('tasks', array_fill('{}'::jsonb, array[5]))"
            )
            made.ids += [row[0] for row in rows]
            made.more.set()
            await asyncio.sleep(0.01)
        await connection.close()

    sending = [asyncio.create_task(send()) for _ in range(2)]
    try:
        await made.grown(50)
        yield made
        await made.grown(50)
    finally:
        over.set()
        await asyncio.gather(*sending)
    await run.until_true(lambda: len(run.events(Event.MESSAGE_COMPLETED)) >= len(made.ids))
    done = [each["msg_id"] for each in run.events(Event.MESSAGE_COMPLETED)]
    assert sorted(done) == sorted(made.ids)
    await run.let_go()
    assert (await run.account())["queue"] == 0
    assert run.events(Event.WORKER_FAILED, Event.SERVICE_FAILED) == []


CHANGES = {
    "vacuum full": ["vacuum full pgmq.q_tasks"],
    "cluster": ["cluster pgmq.q_tasks using q_tasks_pkey"],
    "a column is added": ["alter table pgmq.q_tasks add column note text"],
    "a column rewrites the table": [
        "alter table pgmq.q_tasks add column note double precision default random()"
    ],
    "a type changes, and back": [
        "alter table pgmq.q_tasks alter column read_ct type bigint",
        "alter table pgmq.q_tasks alter column read_ct type integer",
    ],
    "unlogged, and back": ["alter table pgmq.q_tasks set unlogged", "alter table pgmq.q_tasks set logged"],
    "indexes are made anew": ["reindex table concurrently pgmq.q_tasks"],
    "ids in tens, of a cache": ["alter sequence pgmq.q_tasks_msg_id_seq increment 10 cache 10"],
    "its rows are copied out and in": [
        (
            "begin; lock table pgmq.q_tasks in access exclusive mode;"
            " create temp table kept on commit drop as select * from pgmq.q_tasks;"
            " truncate pgmq.q_tasks;"
            " insert into pgmq.q_tasks overriding system value select * from kept; commit"
        )
    ],
}


@pytest.mark.usefixtures("no_patrol")
@pytest.mark.parametrize("change", CHANGES)
async def test_changed_under_load(scene: Scene, change: str) -> None:
    async with running(scene.url, handle) as run, load(scene, run) as made:
        for statement in CHANGES[change]:
            await scene.db.execute(statement)
            await made.grown(30)


@pytest.mark.usefixtures("no_patrol")
async def test_ids_far_above_the_sequence(scene: Scene) -> None:
    """Given by hand, up to the highest there is: what the sequence gives afterwards is taken all the same."""
    async with running(scene.url, handle) as run:
        await scene.send(10)
        await run.until(Event.MESSAGE_COMPLETED, count=10)
        await scene.db.execute(
            "insert into pgmq.q_tasks (msg_id, vt, message) overriding system value"
            " select id, now(), '{}'"
            " from unnest(array[1000000, 4611686018427387904, 9223372036854775807]) as id"
        )
        await run.until(Event.MESSAGE_COMPLETED, count=13)
        for count in (23, 33):
            await scene.send(10)
            await run.until(Event.MESSAGE_COMPLETED, count=count)
        assert run.events(Event.WORKER_FAILED, Event.SERVICE_FAILED) == []

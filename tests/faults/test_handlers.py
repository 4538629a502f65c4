"""Handlers that do their worst: what becomes of their own message, and that nobody else's suffers."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from postmill import Retry
from postmill.model.events import Event
from tests.faults import deadly
from tests.faults.account import Account
from tests.faults.handlers import handler
from tests.faults.processes import worker_process
from tests.service.running import running

if TYPE_CHECKING:
    from tests.faults.scene import Scene


@pytest.mark.parametrize(
    ("deed", "kind"),
    [
        ("segfault", "crash"),
        ("leave", "crash"),
        pytest.param("never_end", "timeout", marks=pytest.mark.slow),
        ("eat_memory", "error"),
        ("recurse", "error"),
        ("shout", None),
    ],
)
async def test_in_a_process_of_its_own(scene: Scene, deed: str, kind: str | None) -> None:
    """The process may die; the worker, and the messages before and after, do not."""
    limit_s = 4 if deed == "never_end" else 60
    worker = handler(deadly.handle, executor="process", timeout=limit_s, retry=Retry.none)
    async with running(scene.url, worker) as run:
        await scene.send()
        await scene.send(do=deed)
        await scene.send()
        await run.until(Event.MESSAGE_COMPLETED, Event.MESSAGE_DEAD, count=3)
    if kind is None:
        assert await scene.account() == Account(completed=3)
    else:
        assert await scene.account() == Account(completed=2, dead=1, failures={kind: 1})


@pytest.mark.parametrize("deed", ["recurse", "shout"])
async def test_on_the_event_loop(scene: Scene, deed: str) -> None:
    async def handle(payload: dict[str, Any]) -> None:
        deadly.handle(payload)

    async with running(scene.url, handler(handle, max_concurrent=3, retry=Retry.none)) as run:
        await scene.send()
        await scene.send(do=deed)
        await scene.send()
        await run.until(Event.MESSAGE_COMPLETED, Event.MESSAGE_DEAD, count=3)
    if deed == "shout":
        assert await scene.account() == Account(completed=3)
    else:
        assert await scene.account() == Account(completed=2, dead=1, failures={"error": 1})


async def test_threads_that_outlive_their_handler(scene: Scene) -> None:
    """The message is completed by its handler's return, and a stop does not wait for what was left behind."""
    let_go = threading.Event()
    left_behind: list[threading.Thread] = []

    def handle(payload: dict[str, Any]) -> None:
        thread = threading.Thread(target=let_go.wait)
        thread.start()
        left_behind.append(thread)

    try:
        async with running(scene.url, handler(handle)) as run:
            await scene.send(2)
            await run.until(Event.MESSAGE_COMPLETED, count=2)
        assert [thread.is_alive() for thread in left_behind] == [True, True]
    finally:
        let_go.set()
        for thread in left_behind:
            thread.join()
    assert await scene.account() == Account(completed=2)


async def test_a_message_that_takes_its_worker_down_comes_to_an_end(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each worker that it kills is a failed attempt; after the last one it is not run again."""
    await scene.send(exit=7)
    for _ in range(2):
        with worker_process(scene.url, rescues_at_once=True) as victim:
            assert await victim.exited() == 7
            await scene.left_for_dead(victim.pid)
    async with scene.survivor(monkeypatch, handler(retry=Retry.fixed(0, 2))) as run:
        await run.until(Event.MESSAGE_DEAD)
    assert await scene.account() == Account(dead=1, failures={"crash": 2})
    assert await scene.runs() == [2]

"""One timer for all that was put off, however much that is."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

import pytest

from postmill.engine.claim.due_times import GRAIN_S, KEPT, DueTimes

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def timers(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How many timers are in the event loop that were made from now on."""
    handles: list[asyncio.TimerHandle] = []
    call_at = asyncio.BaseEventLoop.call_at

    def counted(loop: Any, when: float, action: Any, *args: Any, **named: Any) -> asyncio.TimerHandle:
        handles.append(call_at(loop, when, action, *args, **named))
        return handles[-1]

    monkeypatch.setattr(asyncio.BaseEventLoop, "call_at", counted)

    def waiting() -> int:
        now = asyncio.get_running_loop().time()
        return sum(not handle.cancelled() and handle.when() > now for handle in handles)

    return waiting


@pytest.mark.parametrize("order", ["later and later", "sooner and sooner", "the same", "any"])
async def test_a_hundred_thousand_snoozes_are_one_timer(timers: Callable[[], int], order: str) -> None:
    """Each had a timer of its own for as long as it slept: 38 MB for a day."""
    delays: list[float] = {
        "later and later": [1000.0 + n for n in range(100_000)],
        "sooner and sooner": [200_000.0 - n for n in range(100_000)],
        "the same": [86_400.0] * 100_000,
        "any": [1000 + random.random() * 86_400 for _ in range(100_000)],
    }[order]
    due = DueTimes(lambda: None)
    for delay_s in delays:
        due.add(delay_s)
    assert timers() == 1
    assert len(due) <= KEPT


async def test_every_near_time_is_kept_and_none_comes_early() -> None:
    loop = asyncio.get_running_loop()
    called: list[float] = []
    due = DueTimes(lambda: called.append(loop.time()))
    began = loop.time()
    delays = [0.03, 0.01, 0.02, 0.03, 0.0]
    for delay_s in delays:
        due.add(delay_s)
    while len(due):  # noqa: ASYNC110 - its end is what is waited for
        await asyncio.sleep(GRAIN_S)
    assert 1 <= len(called) <= len(set(delays))
    assert called[-1] >= began + max(delays)
    assert called == sorted(called)


async def test_a_time_that_is_added_while_another_comes_due_is_kept() -> None:
    loop = asyncio.get_running_loop()
    again = loop.create_future()

    def action() -> None:
        if not again.done():
            again.set_result(None)
            due.add(0.01)

    due = DueTimes(action)
    due.add(0.01)
    await again
    assert len(due) == 1

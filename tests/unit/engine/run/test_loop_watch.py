"""When the workers' event loop counts as blocked, and what is said of it."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

from postmill.engine.run.loop_watch import LOOK_S, SAY_AGAIN_S, LoopWatch


class Loop:
    """One whose turns are made by hand."""

    def __init__(self) -> None:
        self.turns = 0.0
        self.said: list[dict[str, Any]] = []
        events: Any = SimpleNamespace(emit=lambda _, **fields: self.said.append(fields))
        worker: Any = SimpleNamespace(holding=True, events=events)
        self.watch = LoopWatch([worker], events, lambda: self.turns, threading.get_ident())

    def hang(self, seconds: float) -> None:
        for _ in range(round(seconds / LOOK_S)):
            self.watch.look(LOOK_S)


def test_a_loop_that_hangs_is_told_of_once_with_the_culprit() -> None:
    loop = Loop()
    loop.hang(60)
    (said,) = loop.said
    assert 1 <= said["blocked_s"] <= 2
    assert "test_a_loop_that_hangs_is_told_of_once" in said["traceback"]


def test_a_loop_that_turns_is_not() -> None:
    loop = Loop()
    for _ in range(100):
        loop.hang(0.75)
        loop.turns += 1
    assert loop.said == []


def test_a_process_that_was_halted_is_no_loop_that_hangs() -> None:
    """A laptop that slept, SIGSTOP: the loop had no turn, and neither had anybody else."""
    loop = Loop()
    loop.watch.look(3600.0)
    loop.turns += 1
    loop.hang(1)
    assert loop.said == []


def test_one_that_hangs_again_and_again_is_told_of_now_and_then() -> None:
    loop = Loop()
    for _ in range(10):
        loop.hang(2)
        loop.turns += 1
    assert len(loop.said) == 1 + int((10 - 1) * 2 / SAY_AGAIN_S)

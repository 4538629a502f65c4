"""What `postmill worker run` says between the first Ctrl-C and the end."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from postmill.cli.commands import worker

if TYPE_CHECKING:
    import pytest


def test_the_count_is_said_again_when_it_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "COUNT_EVERY_S", 0.0)
    counts = iter([2, 2, 1, 0])
    said: list[str] = []
    finished = threading.Event()

    def say(text: str) -> None:
        said.append(text)
        if "nothing" in text:
            finished.set()

    draining = worker.Draining(say)
    draining(lambda: next(counts))
    assert finished.wait(30)
    assert said == [
        "Draining: 2 messages still running. Ctrl-C again to force.",
        "Draining: 1 message still running.",
        "Draining: nothing runs.",
    ]
    draining(lambda: 0)
    assert said[-1].startswith("Forcing")

"""What doctor says of the distance to the database."""

from __future__ import annotations

import time
from typing import Any, cast

import pytest

from postmill.db.tools import checks
from postmill.model.config.address import Address


class Distant:
    """A connection on which each statement takes so long."""

    def __init__(self, trip_s: float, clock: list[float]) -> None:
        self._trip_s = trip_s
        self._clock = clock

    def execute(self, *_: object) -> Distant:
        self._clock[0] += self._trip_s
        return self

    def fetchall(self) -> list[dict[str, Any]]:
        return [{"server_s": 0.0}]


@pytest.mark.parametrize(
    ("trip_s", "status", "advice"),
    [(0.0005, "pass", ""), (0.0049, "pass", ""), (0.1, "warn", "set 23 for 50")],
)
def test_the_round_trip_is_measured_and_the_cure_is_named(
    monkeypatch: pytest.MonkeyPatch, trip_s: float, status: str, advice: str
) -> None:
    """50 ms each way: a worker with the default connections did two transactions a second, unexplained."""
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    found = checks.round_trip(cast("Any", Distant(trip_s, clock)), Address("postgresql://x"))
    assert (found.status, found.found) == (status, f"{trip_s * 1000:.1f} ms")
    assert advice in (found.fix or "")

"""The short form of ``make soak``: random faults for a minute, and an exact account."""

from __future__ import annotations

import time

import pytest

from benchmarks.soak import soak


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_minute_of_random_faults() -> None:
    run = await soak(60, seed=time.time_ns() % 1_000_000)
    print(run.report())
    assert run.problems == []
    assert len(run.acknowledged) > 0

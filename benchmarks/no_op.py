"""Handlers that do nothing, for benchmarks of what is around them."""

from __future__ import annotations

import os
import time

from postmill import worker

QUEUE = os.environ.get("BENCHMARK_QUEUE", "many")
COMPUTES_S = 0.0005
"""Of processor time: as much as parsing a page of JSON."""


@worker(queue=QUEUE, on_success="delete")
async def nothing(_: object) -> None:
    """Do nothing."""


def echo(payload: object) -> object:
    """The handler of ``benchmarks.ray``: give back what is given."""
    return payload


@worker(queue=QUEUE, on_success="delete")
async def computing(_: object) -> None:
    """Keep the processor busy for a while."""
    end = time.thread_time() + COMPUTES_S
    while time.thread_time() < end:
        pass

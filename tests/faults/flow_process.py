"""The flow of the fault tests, and a process that runs it: ``python -m tests.faults.flow_process URL``."""

from __future__ import annotations

import asyncio
import ctypes
import signal
import sys

from postmill.engine.worker_process import Runner, run
from postmill.flows.flow import Flow
from postmill.flows.running.keeper import keepers
from postmill.model.config.address import Address
from postmill.model.queue.outcome import Retry

_DIES_WITH_PARENT = 1
"""PR_SET_PDEATHSIG."""

diamond = Flow(
    "diamond", input=int, retry=Retry.fixed(0, max_attempts=20), visibility_timeout=2, max_poll_seconds=0.2
)


@diamond.step
async def source(n: int = diamond.input) -> list[int]:
    return [n + place for place in range(4)]


@diamond.map
async def plain(n: int = source.each) -> int:
    await asyncio.sleep(0.002)
    return n * 2


@diamond.map(max_concurrent=2)
def windowed(n: int = source.each) -> int:
    return n * 3


@diamond.step(when=diamond.input == 0)
async def rare(n: int = diamond.input) -> int:
    return n


@diamond.step
async def joined(
    twice: list[int] = plain.out, thrice: list[int] = windowed.out, seldom: int | None = rare.maybe
) -> list[int | None]:
    return [*twice, *thrice, seldom]


def expected(n: int) -> dict[str, list[int | None]]:
    """What a run of ``diamond`` gives."""
    given = [n + place for place in range(4)]
    return {"joined": [*(2 * one for one in given), *(3 * one for one in given), 0 if n == 0 else None]}


def main() -> None:
    """Run the flow until told to end."""
    ctypes.CDLL(None).prctl(_DIES_WITH_PARENT, signal.SIGKILL)
    handlers = [diamond.handler()]
    run(Runner(handlers, Address(sys.argv[1]), services=keepers(handlers)).run())


if __name__ == "__main__":
    main()

"""A worker in a process of its own that tries a step again and again, and may kill itself in an attempt.

Run as ``python -m tests.faults.retrying_process URL FILE PAUSE_S KILLED_IN``: each attempt writes a line to
FILE and fails; the worker ends itself with SIGKILL in attempt KILLED_IN (0: in none).
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from postmill import Retry
from postmill.engine.worker_process import Runner, run
from postmill.flows import Ctx, Workflow, step, workflow
from postmill.model.config.address import Address

FLOW = "retrying"
ATTEMPTS = 3


def retrying(file: Path, pause_s: float, killed_in: int = 0) -> Workflow[..., str]:
    """The workflow, whose step never succeeds."""

    @step(retry=Retry.fixed(pause_s, max_attempts=ATTEMPTS))
    def never() -> str:
        with file.open("a") as lines:
            lines.write("tried\n")
        if len(file.read_text().splitlines()) == killed_in:
            os.kill(os.getpid(), signal.SIGKILL)
        raise ValueError("not this time")

    @workflow(name=FLOW)
    async def one_step(ctx: Ctx) -> str:
        return await ctx.step(never)

    return one_step


def main() -> None:
    """Run until killed."""
    url, file, pause_s, killed_in = sys.argv[1:]
    flow = retrying(Path(file), float(pause_s), int(killed_in))
    run(Runner([flow.handler()], Address(url)).run())


if __name__ == "__main__":
    main()

"""A worker of workflows in a process of its own, which kills itself round one of its statements.

Run as ``python -m tests.faults.durable_process URL WHEN COUNT``: with SIGKILL, ``before`` it sends its
COUNTth statement about runs, or ``after`` the server has done it.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from postmill.db.hot.shared_connection import SharedConnection
from postmill.engine.worker_process import Runner, run
from postmill.flows.running.workflow_handler import WorkflowHandler
from postmill.model.config.address import Address
from tests.faults.durable_flows import journey, leg

ABOUT_RUNS = (
    "_load_runs",
    "_write_checkpoints",
    "_park_runs",
    "_start_child",
    "_end_runs_of_workflows",
    "_wake_parents",
)
"""The functions that statements about runs call."""


def is_about_runs(text: str) -> bool:
    """Whether a statement is one of those that are counted."""
    return any(name in text for name in ABOUT_RUNS)


def _kill_round(when: str, count: int) -> None:
    left = count

    def killing(original: Any) -> Any:
        async def call(self: Any, text: str, *args: Any) -> Any:
            nonlocal left
            left -= is_about_runs(text)
            its_turn = left == 0 and is_about_runs(text)
            if its_turn and when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            answer = await original(self, text, *args)
            if its_turn:
                os.kill(os.getpid(), signal.SIGKILL)
            return answer

        return call

    for name in ("fetch", "fetchrow"):
        setattr(SharedConnection, name, killing(getattr(SharedConnection, name)))


def main() -> None:
    """Run until killed."""
    url, when, count = sys.argv[1:]
    _kill_round(when, int(count))
    run(Runner([WorkflowHandler(journey, leg)], Address(url)).run())


if __name__ == "__main__":
    main()

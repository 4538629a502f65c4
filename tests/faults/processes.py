"""Worker processes as a test holds them: waited for until they stop at their point, let go, killed."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.scene import Scene

ROOT = Path(__file__).parents[2]


class WorkerProcess:
    """One process that runs ``tests.faults.worker_process``."""

    def __init__(self, url: str, **options: Any) -> None:
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed in close()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.worker_process", url, orjson.dumps(options).decode()],
            cwd=ROOT,
            stderr=self._said,
        )

    @property
    def said(self) -> str:
        """What it has written to its standard error: warnings, and what ended it."""
        self._said.seek(0)
        return self._said.read().decode()

    @property
    def pid(self) -> int:
        """Its process id, also in its row of ``postmill.workers``."""
        return self._process.pid

    async def stopped(self) -> None:
        """Wait until it has stopped at its point."""
        _, status = await asyncio.to_thread(os.waitpid, self.pid, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            self._process.returncode = os.waitstatus_to_exitcode(status)
            raise AssertionError(self.said)

    def stop(self) -> None:
        """Stop it wherever it is."""
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    def end(self) -> None:
        """Ask it to drain."""
        self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it with SIGKILL, as the kernel does when memory runs out."""
        self._process.kill()
        self._process.wait()

    async def exited(self) -> int:
        """Wait for its end; returns its exit code (below 0: the signal that ended it)."""
        return await asyncio.to_thread(self._process.wait)

    def close(self) -> None:
        """Leave nothing behind. May be called twice."""
        self.kill()
        self._said.close()


@contextmanager
def worker_process(url: str, **options: Any) -> Iterator[WorkerProcess]:
    """A worker process for a while. ``options``: those of a worker, ``kind`` (of handler), ``point`` (where
    it stops), ``rescues_at_once`` (it needs not be connected for 6 s before it rescues).
    """
    process = WorkerProcess(url, **options)
    try:
        yield process
    finally:
        process.close()


async def die_at_the_gate(scene: Scene, victim: WorkerProcess, *, commits: bool) -> None:
    """Kill a worker whose statement waits, and undo the statement; or let it commit, and kill the worker
    before it has read the answer.
    """
    await scene.at_the_gate()
    if commits:
        victim.stop()
        await scene.open_gate()
        victim.kill()
    else:
        victim.kill()
        await scene.turn_back()

"""A driver's process, seen from the runner: its task, its lines, its end. See ``drivers/protocol.py``."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import tempfile
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType

    from benchmarks.peers.environments import Environment

    Line = dict[str, Any]

GIVE_UP_S = 60.0
TOLD_OF_AN_ERROR = 2_000
"""Characters of what a driver that failed wrote to stderr."""


class DriverFailed(Exception):
    """The driver ended, or was silent for too long."""


class Driver:
    """One process. Kills it, and all that it started, when the block ends."""

    def __init__(self, environment: Environment, task: Line) -> None:
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - as long as the driver
        self._process = subprocess.Popen(
            environment.command,
            cwd=environment.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            start_new_session=True,
        )
        self._task = task
        self.lines: list[Line] = []
        """All that it has told."""
        self._arrived: queue.Queue[Line | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(task) + "\n")
        self._process.stdin.flush()

    def __enter__(self) -> Driver:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def until(self, key: str, within_s: float, times: int = 1) -> list[Line]:
        """Wait for so many lines that have ``key``. Raises :class:`DriverFailed`."""
        deadline = time.monotonic() + within_s
        found: list[Line] = []
        while len(found) < times:
            try:
                line = self._arrived.get(timeout=max(0, deadline - time.monotonic()))
            except queue.Empty:
                raise self._failed(
                    f"{len(found)} of {times} lines with {key!r} after {within_s:g} s"
                ) from None
            if line is None:
                raise self._failed(f"ended before it told of {key!r}")
            if key in line:
                found.append(line)
        return found

    def wait_for_end(self) -> None:
        """Wait until the driver has ended by itself. Raises :class:`DriverFailed` when it has failed."""
        try:
            code = self._process.wait(GIVE_UP_S)
        except subprocess.TimeoutExpired:
            raise self._failed("does not end") from None
        if code:
            raise self._failed(f"ended with {code}")

    def kill(self) -> float:
        """SIGKILL to the process and its children; returns when that was."""
        at = time.monotonic()
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        return at

    def _read(self) -> None:
        assert self._process.stdout is not None
        for text in self._process.stdout:
            line = json.loads(text)
            self.lines.append(line)
            self._arrived.put(line)
        self._arrived.put(None)

    def _failed(self, why: str) -> DriverFailed:
        self._errors.seek(0)
        return DriverFailed(f"{self._task['role']}: {why}\n{self._errors.read()[-TOLD_OF_AN_ERROR:]}".strip())

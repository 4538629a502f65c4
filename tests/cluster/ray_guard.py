"""Ends a Ray node when the process that has started it is gone, also when that was killed: the node's
processes are children of none.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

GIVE_UP_S = 90.0
"""How long the processes of a node may take to start or to end, in seconds: the machine may be busy."""


class Guard:
    """The near side: tells a process of its own which sessions it has to end, and with them which folder."""

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(folder)],
            stdin=subprocess.PIPE,
            start_new_session=True,  # what is sent to the tests' group does not reach it
        )

    def watch(self, session: int) -> None:
        """One more session of the node."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{session}\n".encode())
        self._process.stdin.flush()

    def close(self) -> None:
        """End the node now."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def processes(sessions: Collection[int]) -> dict[int, str]:
    """What runs in these sessions: command lines by process id."""
    found = {}
    for folder in Path("/proc").iterdir():
        with suppress(OSError):
            if folder.name.isdigit() and _runs_in(folder, sessions):
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
                found[int(folder.name)] = command
    return found


def kill(pids: Iterable[int]) -> None:
    """Kill these processes, as far as they are there."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _runs_in(folder: Path, sessions: Collection[int]) -> bool:
    """Whether it is a process of one of these sessions that is not over."""
    state, _, _, session = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
    return int(session) in sessions and state != "Z"


def main(folder: Path) -> None:
    """The far side: waits for the end of the input."""
    sessions = [int(line) for line in sys.stdin]
    deadline = time.monotonic() + GIVE_UP_S
    while (left := processes(sessions)) and time.monotonic() < deadline:
        kill(left)
        time.sleep(0.05)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

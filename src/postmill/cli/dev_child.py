"""A process that ``postmill dev`` holds: another ``postmill`` command. Decides nothing about when it runs,
except that it ends when ``postmill dev`` is gone.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PARENT = "POSTMILL_DEV_PID"
"""Tells a child which process holds it."""
LOOK_S = 0.5
"""Seconds between two looks whether ``postmill dev`` lives. 0.5 s: the child holds a port and workers, which
are in the way of the next ``postmill dev``, and people start that a second later.
"""


def end_with_parent() -> bool:
    """Whether ``postmill dev`` holds this process. If so, it gets a SIGTERM as soon as its parent is
    gone, also if that was killed.
    """
    parent = os.environ.pop(_PARENT, "")
    if parent:
        threading.Thread(target=_follow, args=(parent,), name="postmill parent", daemon=True).start()
    return bool(parent)


def _follow(parent: str) -> None:
    while str(os.getppid()) == parent:
        time.sleep(LOOK_S)
    os.kill(os.getpid(), signal.SIGTERM)


class Child:
    """One child process at a time. ``name`` is what messages call it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._process: subprocess.Popen[bytes] | None = None
        self._told: subprocess.Popen[bytes] | None = None
        self._started: tuple[Sequence[str], Mapping[str, str]] = ((), {})

    @property
    def runs(self) -> bool:
        """Whether it runs now."""
        return self._process is not None and self._process.poll() is None

    @property
    def killed_by(self) -> int | None:
        """The signal that ended it; None while it runs and when it ended by itself."""
        ending = self._process.poll() if self._process is not None else None
        return -ending if ending is not None and ending < 0 else None

    def start(self, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        """Run ``postmill`` with ``arguments``."""
        self._started = (arguments, environment)
        # A process group of its own: Ctrl-C reaches this process alone, which passes it on.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "postmill.cli.main", *arguments],
            env={**environment, _PARENT: str(os.getpid())},
            stdin=subprocess.DEVNULL,
            process_group=0,
        )

    def start_again(self) -> None:
        """As it was started last."""
        self.start(*self._started)

    def terminate(self) -> None:
        """Ask for its end."""
        if self._process is not None:
            self._told = self._process
            self._process.terminate()

    def terminate_once(self) -> None:
        """Ask for its end, unless it was asked already: asked twice, it forces."""
        if self._told is not self._process:
            self.terminate()

    def end(self, grace_s: float) -> None:
        """Ask for its end, and kill it when that takes longer than ``grace_s``."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(grace_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def wait(self) -> None:
        """Until it has ended."""
        if self._process is not None:
            self._process.wait()

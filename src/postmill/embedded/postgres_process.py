"""One running Postgres: start it, see that it is ready, stop it. Must not decide when.

Also runs the other programs of Postgres as the server's user, with a clean environment.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from postmill.embedded.account import identity
from postmill.embedded.complaint import complaint
from postmill.embedded.folder import open_log
from postmill.model.errors import EmbeddedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from postmill.embedded.account import Account
    from postmill.embedded.binaries import Binaries

_POLL_S = 0.003
"""Pause between two looks whether the server is ready, in seconds. 3 ms: a start takes about 0.1 s, and a
look reads one small file.
"""
_READY_S = 120.0
"""How long a start may take, in seconds. Recovery after a crash replays the log since the last checkpoint, at
most 5 minutes of work by default, which takes far less time than it took to write; two minutes are enough on
a slow disk.
"""
_STOP_S = 60.0
"""How long the server may take to stop after each signal, in seconds. A fast shutdown writes one checkpoint;
a minute is enough for a slow disk. Then the next, harder signal is sent.
"""
_PR_SET_PDEATHSIG = 1
"""An operation of prctl(2), numbered in Linux's ``<linux/prctl.h>``: a signal when the parent dies."""


def environment() -> dict[str, str]:
    """The environment of the programs of Postgres: none of the caller's PG* variables, and messages in
    English.
    """
    kept = ("PATH", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
    return {name: os.environ[name] for name in kept if name in os.environ} | {"LC_ALL": "C"}


def run(command: list[str], account: Account | None, text: str | None = None) -> None:
    """Run one program to its end as the server's user. Raises ``EmbeddedError`` when it fails."""
    done = subprocess.run(
        command,
        input=text,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        cwd="/",
        env=environment(),
        **identity(account),
    )
    if done.returncode != 0:
        raise complaint("The embedded Postgres could not be set up.", done.stderr)


class PostgresProcess:
    """The server on one cluster, as a child of this process."""

    def __init__(self, binaries: Binaries, cluster: Path, account: Account | None, log: Path) -> None:
        self._binaries = binaries
        self._cluster = cluster
        self._account = account
        self._log = log
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id of the server; 0 before it was started."""
        return self._child.pid if self._child else 0

    def start(self, settings: Mapping[str, str], inherited_lock: int) -> None:
        """Start it; returns when it accepts connections. Raises ``EmbeddedError`` with the end of the log."""
        seen = self._log.stat().st_size if self._log.exists() else 0
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with open_log(self._log) as log:
            self._child = subprocess.Popen(
                [self._binaries.program("postgres"), "-D", str(self._cluster), *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=environment(),
                pass_fds=(inherited_lock,),
                preexec_fn=_stop_with_parent(),  # noqa: PLW1509 - the supervisor has no threads
                **identity(self._account),
            )
        self._wait_until_ready(seen)

    def is_running(self) -> bool:
        """Whether the server process is there. Reaps it when it is not."""
        return self._child is not None and self._child.poll() is None

    def stop(self) -> None:
        """Fast shutdown: sessions end, a checkpoint is written. After a minute without success: immediate."""
        if self._child is None:
            return
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            self._child.send_signal(number)
            try:
                self._child.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                continue
            return

    def kill(self) -> None:
        """End it at once. It recovers at the next start."""
        if self._child is not None:
            self._child.kill()
            self._child.wait(_STOP_S)

    def _wait_until_ready(self, seen: int) -> None:
        deadline = time.monotonic() + _READY_S
        while not is_ready(self._cluster, self.pid):
            if not self.is_running():
                raise complaint("The embedded Postgres did not start.", self._logged_since(seen))
            if time.monotonic() > deadline:
                self.stop()
                raise EmbeddedError(
                    f"The embedded Postgres was not ready after {_READY_S:.0f} s, so it was stopped.",
                    hint=f"Its log may say why: {self._log}",
                )
            time.sleep(_POLL_S)

    def _logged_since(self, position: int) -> str:
        with self._log.open("rb") as log:
            log.seek(position)
            return log.read().decode(errors="replace")


def is_ready(cluster: Path, pid: int) -> bool:
    """Whether the server with this very process id says in its pid file that it takes connections."""
    try:
        lines = (cluster / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return False
    return len(lines) >= 8 and lines[0].strip() == str(pid) and lines[7].strip() == "ready"


def _stop_with_parent() -> Callable[[], None] | None:
    """On Linux the kernel stops Postgres when its supervisor is killed; elsewhere the next opener does."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    parent = os.getpid()

    def ask_for_signal() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
        if os.getppid() != parent:
            os._exit(1)

    return ask_for_signal

"""File locks that the kernel drops by itself when their holder dies, however it dies.

Only ``flock``: it belongs to the open file, so a child can inherit it, and it holds across containers that
share a folder, where process ids mean nothing. Must not know what the locks are for.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from typing import TYPE_CHECKING

from postmill.embedded.account import inherit_owner

if TYPE_CHECKING:
    from pathlib import Path

_RETRY_S = 0.005
"""Pause between two tries to get a lock, in seconds. 5 ms: a twentieth of the 0.1 s that a start of the
server takes.
"""


class FileLock:
    """An open lock file. ``fileno`` may be handed to a child, which then holds the lock too.

    Raises ``OSError`` where the file can't be opened, ``TimeoutError`` where the lock is not free in time.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = _open(path)

    @property
    def fileno(self) -> int:
        """The descriptor, for a child that is to hold the lock as well."""
        return self._file

    def shared(self, timeout_s: float) -> None:
        """Hold the lock together with others; waits at most ``timeout_s`` for an exclusive holder to go."""
        self._wait(fcntl.LOCK_SH, timeout_s)

    def exclusive(self, timeout_s: float) -> None:
        """Hold the lock alone; waits at most ``timeout_s`` for the others to go."""
        self._wait(fcntl.LOCK_EX, timeout_s)

    def try_exclusive(self) -> bool:
        """Hold the lock alone if no other process has it now. If that fails, a shared lock held before is
        LOST.
        """
        return self._try(fcntl.LOCK_EX)

    def try_shared(self) -> bool:
        """Hold the lock together with others, unless a process has it alone now."""
        return self._try(fcntl.LOCK_SH)

    def release(self) -> None:
        """Let go of the lock and keep the file open."""
        fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the file; the lock goes when no child holds it either. May be called twice."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _wait(self, kind: int, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while not (self._try(kind) and self._is_the_one_on_disk()):
            if time.monotonic() > deadline:
                raise TimeoutError(errno.ETIMEDOUT, "lock not free in time", str(self.path))
            time.sleep(_RETRY_S)

    def _try(self, kind: int) -> bool:
        try:
            fcntl.flock(self._file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _is_the_one_on_disk(self) -> bool:
        """Whether the lock's file is still the one at the path. A throw-away folder may be deleted before the
        lock is free, and a lock on a deleted file protects nothing.
        """
        try:
            on_disk = self.path.stat()
        except FileNotFoundError:
            on_disk = None
        ours = os.fstat(self._file)
        if on_disk is not None and (on_disk.st_dev, on_disk.st_ino) == (ours.st_dev, ours.st_ino):
            return True
        self.close()
        self._file = _open(self.path)
        return False


def is_held(path: Path) -> bool:
    """Whether a process holds the lock alone now. To find out, the lock is taken shared for a moment."""
    if not path.exists():
        return False
    lock = FileLock(path)
    try:
        return not lock.try_shared()
    finally:
        lock.close()


def _open(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    inherit_owner(path)
    return descriptor

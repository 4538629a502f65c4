"""The line between a parent and one of its worker processes, from the child's side: a socket on which the
child says a letter, and whose end says that the parent is gone.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from contextlib import suppress

VARIABLE = "POSTMILL_FLEET"
"""Tells a child of its line: the number of the descriptor, a colon, and the probe's port or nothing."""
STARTED = b"s"
"""The child's workers claim."""
WORN = {"max-messages": b"m", "max-rss": b"r"}
"""The child has done enough, for this reason, and asks to be replaced."""


class Line:
    """A child's end of it."""

    def __init__(self, descriptor: int, port: int | None) -> None:
        self.port = port
        """Where the child's own probe is to listen; None without a probe."""
        self._socket = socket.socket(fileno=descriptor)
        self._socket.set_inheritable(False)
        threading.Thread(target=self._follow, name="postmill fleet", daemon=True).start()

    def started(self) -> None:
        """Say that the workers claim."""
        self._say(STARTED)

    def worn(self, reason: str) -> None:
        """Ask to be replaced. The parent stops this process once another one is at work."""
        self._say(WORN[reason])

    def _say(self, letter: bytes) -> None:
        with suppress(OSError):  # the parent is gone, and this process ends for that
            self._socket.sendall(letter)

    def _follow(self) -> None:
        """The parent never says anything: whatever arrives is its end, also if it was killed."""
        with suppress(OSError):
            self._socket.recv(1)
        os.kill(os.getpid(), signal.SIGTERM)


def to_parent() -> Line | None:
    """The line, where a parent has started this process; None elsewhere. What this process starts does not
    inherit it. From now on SIGHUP does nothing here: the parent gets it too, and replaces this process.
    """
    descriptor, _, port = os.environ.pop(VARIABLE, "").partition(":")
    if not descriptor:
        return None
    signal.signal(signal.SIGHUP, lambda *_: None)  # not SIG_IGN, which programs started here would inherit
    return Line(int(descriptor), int(port) if port else None)

"""The duties of process 1 of a container: end with its child, pass signals on, and reap orphans.

Forks before anything runs. Elsewhere than in a container it does nothing.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress

_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def stand_in_as_pid1() -> None:
    """In process 1: go on in a child, and stay behind to reap until it ends. Returns at once elsewhere."""
    if os.getpid() == 1:
        become_reaper()


def become_reaper() -> None:
    """Go on in a child; this process reaps, passes signals on, and exits as the child does.

    It waits for signals, and has no handlers: between a handler and the next wait a signal would be lost.
    """
    waited_for = {*_PASSED_ON, signal.SIGCHLD}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, waited_for)
    child = os.fork()
    if child == 0:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return
    sys.stdout.flush()
    while (code := _reaped(child)) is None:
        number = signal.sigwait(waited_for)
        if number != signal.SIGCHLD:
            with suppress(ProcessLookupError):
                os.kill(child, number)
    os._exit(code)


def _reaped(child: int) -> int | None:
    """Reap what has ended. Return the exit code of ``child`` once it has, as a shell would say it."""
    with suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0] != 0:
            if ended[0] == child:
                code = os.waitstatus_to_exitcode(ended[1])
                return code if code >= 0 else 128 - code
    return None

"""What process 1 of a container owes: end with its child, pass signals on, and reap whatever is left to it.

Forks before anything runs. Elsewhere than in a container it does nothing.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress

_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def stand_in_as_first() -> None:
    """In process 1: go on in a child, and stay behind to reap until it ends. Returns at once elsewhere."""
    if os.getpid() == 1:
        become_reaper()


def become_reaper() -> None:
    """Go on in a child; this process reaps, passes signals on, and exits as the child does."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _PASSED_ON)
    child = os.fork()
    if child == 0:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _PASSED_ON)
        return
    for number in _PASSED_ON:
        signal.signal(number, lambda received, _frame: _pass_on(child, received))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _PASSED_ON)
    sys.stdout.flush()
    os._exit(_reap_until(child))


def _pass_on(child: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(child, number)


def _reap_until(child: int) -> int:
    """The exit code of ``child``, as a shell would say it; every other process is reaped on the way."""
    while True:
        pid, status = os.wait()
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code

"""What a process does to itself before it runs user code: its own session, its own limits, nothing inherited.

Linux calls that Python has no name for are made through the C library and left out elsewhere.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from postmill.wire.frames import Account

_PR_SET_PDEATHSIG = 1
"""An operation of prctl(2), numbered in Linux's ``<linux/prctl.h>``: a signal when the parent dies."""
_PR_GET_PDEATHSIG = 2
"""An operation of prctl(2), numbered in Linux's ``<linux/prctl.h>``: which signal that is."""
_PR_SET_CHILD_SUBREAPER = 36
"""An operation of prctl(2), numbered in Linux's ``<linux/prctl.h>``: adopt orphaned descendants."""
_PR_SET_NO_NEW_PRIVS = 38
"""An operation of prctl(2), numbered in Linux's ``<linux/prctl.h>``: setuid programs give no rights."""
_ROOM_BYTES = 1024 * 1024 * 1024
"""Private memory beyond twice the limit that may be reserved without being used. Allocators and libraries
reserve hundreds of MB in advance; 1 GiB lets them, and the host measures what is really used.
"""

_STACK_BYTES = 8 * 1024 * 1024
"""Bytes to reckon for the stack of a thread when the system sets no limit: 8 MiB is the usual limit on Linux,
and more than any C library chooses by itself.
"""

_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def adopt_orphans() -> None:
    """Become the parent of every descendant that loses its own."""
    if _libc is not None:
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def die_with_parent() -> None:
    """Be killed when the parent ends."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _dies_with_parent() -> bool:
    number = ctypes.c_int()
    if _libc is not None:
        _libc.prctl(_PR_GET_PDEATHSIG, ctypes.byref(number), 0, 0, 0)
    return bool(number.value)


def detach(descriptors: Sequence[int], parent: int) -> tuple[int, int]:
    """In a fresh fork: leave the parent's session, take over the four descriptors (channel, stdout, stderr,
    records), close all others.

    Returns the descriptors of the channel and of the records.
    """
    channel, stdout, stderr, records = descriptors
    os.setsid()
    die_with_parent()
    if os.getppid() != parent:
        os._exit(1)  # it ended before this call took effect
    adopt_orphans()
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (stdout, 1), (stderr, 2)):
        os.dup2(source, target)
    kept = (3, 4)  # the lowest that are free; the channel's is below that of the records, so none is lost
    for source, target in zip((channel, records), kept, strict=True):
        os.dup2(source, target, inheritable=False)
    os.closerange(kept[-1] + 1, _highest_descriptor())
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    return kept


def change_to(account: Account) -> None:
    """Give up every right but those of ``account``, for good. Raises :class:`OSError` when it can't be done.

    What it executes can't win rights back either, and the kernel forgets with the change of accounts that
    the process is to end with its parent.
    """
    parent, bound = os.getppid(), _dies_with_parent()
    for printed in (1, 2):
        os.fchown(printed, account.uid, account.gid)  # for code that opens /dev/stdout
    os.setgroups(account.groups)
    os.setgid(account.gid)
    os.setuid(account.uid)
    if _libc is not None:
        _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if bound:
        die_with_parent()
        if os.getppid() != parent:
            os._exit(1)


def limit(memory_bytes: int, cpu_s: float, threads: int) -> None:
    """Let the kernel refuse memory and CPU far beyond a limit, which could be used up between two
    measurements of the host. 0: no limit. ``threads``: how many threads are expected; each reserves a stack.
    """
    _set(resource.RLIMIT_CORE, 0, 0)
    if memory_bytes and sys.platform == "linux":
        most = _private_bytes() + 2 * memory_bytes + _ROOM_BYTES + threads * _stack_bytes()
        _set(resource.RLIMIT_DATA, most, most)
    if cpu_s:
        _set(resource.RLIMIT_CPU, int(cpu_s) + 2, int(cpu_s) + 3)


def _set(what: int, soft: int, hard: int) -> None:
    with suppress(ValueError, OSError):  # an administrator's own limit is lower
        resource.setrlimit(what, (soft, hard))


def _stack_bytes() -> int:
    """What a new thread reserves."""
    soft, _ = resource.getrlimit(resource.RLIMIT_STACK)
    return _STACK_BYTES if soft == resource.RLIM_INFINITY else soft


def _private_bytes() -> int:
    """What counts against RLIMIT_DATA already."""
    for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) * 1024
    return 0


def _highest_descriptor() -> int:
    """One above the highest descriptor that can be open."""
    with suppress(OSError, ValueError):
        return max(int(name) for name in os.listdir("/proc/self/fd")) + 1  # noqa: PTH208 - names only
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(soft, 1 << 20)

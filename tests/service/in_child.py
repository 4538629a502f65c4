"""Handlers that run in processes of their own: importable there by name."""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from postmill import Dead, Retry, Snooze, SupaworkerJob

if TYPE_CHECKING:
    from collections.abc import Callable


class Awkward(Exception):
    """An error that can be pickled, and not unpickled."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} and {two}")


def handle(what: str) -> Any:
    """Do what the payload names."""
    return _ACTIONS[what]()


def handle_all(whats: list[str]) -> Any:
    """The same for a batch."""
    return [_ACTIONS[what]() for what in whats]


def handle_job(job: SupaworkerJob) -> Any:
    """Do what the payload of a job names."""
    return _ACTIONS[job.payload]()


def _raise(error: BaseException) -> None:
    raise error


def _exit() -> None:
    os._exit(3)


async def _work() -> str:
    await asyncio.sleep(0)
    return "worked"


async def _cancelled() -> None:
    raise asyncio.CancelledError


_ACTIONS: dict[str, Callable[[], Any]] = {
    "pid": os.getpid,
    "exit": _exit,
    "sys.exit": lambda: sys.exit(3),
    "segfault": lambda: ctypes.string_at(0),
    "hang": lambda: time.sleep(3600),
    "error": lambda: _raise(ValueError("in the child")),
    "awkward": lambda: _raise(Awkward("one", "two")),
    "retry": lambda: _raise(Retry("later", after=3600)),
    "snooze": lambda: _raise(Snooze(3600, "not now")),
    "dead": lambda: _raise(Dead("never")),
    "lock": threading.Lock,
    "return snooze": lambda: Snooze(3600),
    "coroutine": _work,
    "generator": lambda: (number for number in [1]),
    "map": lambda: map(str, [1]),
    "cancelled": lambda: asyncio.run(_cancelled()),
}

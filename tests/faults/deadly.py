"""Functions that do their worst, at the top level of a module, so that a process of their own finds them."""

from __future__ import annotations

import ctypes
import os
import resource
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def segfault() -> None:
    """Read from address 0."""
    ctypes.string_at(0)


def leave() -> None:
    """End the process without a word."""
    os._exit(7)


def eat_memory() -> None:
    """Ask for more than there is: here, 2 GB more than a limit of 2 GB."""
    resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))
    bytearray(2**32)


def recurse() -> None:
    """Call itself until the interpreter has enough."""
    recurse()


def never_end() -> None:
    """Spin, deaf to everything but a kill."""
    while True:
        pass


def shout() -> None:
    """Print ten megabytes."""
    for _ in range(10):
        print("x" * 2**20)


DEEDS: dict[str, Callable[[], None]] = {
    deed.__name__: deed for deed in (segfault, leave, eat_memory, recurse, never_end, shout)
}


def handle(payload: dict[str, Any]) -> None:
    """Do what the payload says, if it says anything."""
    if "do" in payload:
        DEEDS[payload["do"]]()

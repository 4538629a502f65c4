"""A private Postgres: find binaries, initialise, start, attach, stop. Knows no other part.

Names load lazily: the supervisor is a module of this package and must start quickly.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from postmill.embedded.server import Server, Status, open_server, start_detached, status, stop

__all__ = ["Server", "Status", "open_server", "start_detached", "status", "stop"]


def __getattr__(name: str) -> object:
    if name in __all__:
        return getattr(import_module("postmill.embedded.server"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""A private Postgres: find binaries, initialise, start, attach, stop. Knows no other part.

Names load lazily: the supervisor is a module of this package and must start quickly.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from postmill.embedded.keeping import start_detached, stop
    from postmill.embedded.presence import Status, status
    from postmill.embedded.server import Server, open_server

_HOMES = {
    "Server": "postmill.embedded.server",
    "Status": "postmill.embedded.presence",
    "open_server": "postmill.embedded.server",
    "start_detached": "postmill.embedded.keeping",
    "status": "postmill.embedded.presence",
    "stop": "postmill.embedded.keeping",
}

__all__ = ["Server", "Status", "open_server", "start_detached", "status", "stop"]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

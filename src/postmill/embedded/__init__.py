"""A private Postgres: find binaries, initialise, start, attach, stop. Knows no other part."""

from __future__ import annotations

from postmill.embedded.server import Server, Status, open_server, start_detached, status, stop

__all__ = ["Server", "Status", "open_server", "start_detached", "status", "stop"]

"""How a worker divides the connections that it may open. It never opens more."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ConnectionPlan:
    """How the connections are used. One belongs to the heartbeat's thread, with renewals and the session
    lock; these fields say how the others are used.
    """

    settlements_apart: bool
    """Settlements have a connection of their own, and overlap with claims."""
    listen_apart: bool
    """LISTEN has a connection of its own; otherwise the claims' connection listens too."""
    handlers: int
    """Connections for handlers; 0: they borrow the settlements' one."""


def plan_connections(allowed: int, *, listen_elsewhere: bool) -> ConnectionPlan:
    """Split ``allowed`` (at least 2). ``listen_elsewhere``: LISTEN needs a direct address beside a pooled
    one; it comes first, because it saves each message a poll interval. Handlers come next: what they do to a
    connection should reach neither claims nor settlements. Settlements of their own save a round trip.
    """
    left = allowed - 2
    listen_apart = listen_elsewhere and left > 0
    left -= listen_apart
    settlements_apart = left > 1
    left -= settlements_apart
    return ConnectionPlan(settlements_apart, listen_apart, handlers=left)

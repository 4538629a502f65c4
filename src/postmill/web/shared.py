"""What the connections of one server have in common: its application, its bounds, and a list of them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from postmill.service.events import Events

if TYPE_CHECKING:
    from postmill.web.asgi import Application
    from postmill.web.limits import ConnectionLimits
    from postmill.web.refusal import Render


class Peer(Protocol):
    """A connection, as the server sees it."""

    def shutdown(self) -> None:
        """End once the current request is answered."""

    def abort(self) -> None:
        """End now."""


class SilentPeer(Peer, Protocol):
    """A connection on which no request runs."""

    def make_room(self) -> None:
        """End at once, for another connection."""


@dataclass(eq=False)
class Shared:
    """One of a server."""

    application: Application
    limits: ConnectionLimits
    render: Render
    max_message_bytes: int
    connections: set[Peer] = field(default_factory=set)
    silent: dict[SilentPeer, None] = field(default_factory=dict)
    """Connections on which no request runs, the longest silent first."""
    events: Events = field(default_factory=Events)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    """The application at work: one for each request that runs."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a connection has ended."""

    def leave(self, connection: Peer) -> None:
        """A connection has ended."""
        self.connections.discard(connection)
        self.changed.set()

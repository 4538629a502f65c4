"""The handshake of a WebSocket (RFC 6455, section 4.2), checked by ``websockets``."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol

if TYPE_CHECKING:
    from postmill.web.asgi import Message, Scope

_NEEDED = frozenset({b"host", b"origin", b"connection", b"upgrade"})
"""Headers that it is read from, beside those that begin with ``sec-websocket-``."""
_WINDOW_BITS = 12
"""Size of the window of a compressed WebSocket, as a power of two. 12 takes 4 KiB of memory for each
direction of a connection, where 15, the most, would take 32 KiB.
"""
_quiet = logging.getLogger("postmill.web.websocket")
_quiet.setLevel(logging.CRITICAL)  # invalid frames of a client are not logged


def protocol_for(max_message_bytes: int) -> ServerProtocol:
    """What reads and writes the frames of one connection."""
    compression = ServerPerMessageDeflateFactory(
        server_max_window_bits=_WINDOW_BITS, client_max_window_bits=_WINDOW_BITS
    )
    return ServerProtocol(extensions=[compression], max_size=max_message_bytes, logger=_quiet)


def offer(protocol: ServerProtocol, scope: Scope) -> Response | None:
    """The answer that would open it; None when the request is no handshake."""
    lines = [b"GET / HTTP/1.1"]
    for name, value in scope["headers"]:
        if name in _NEEDED or name.startswith(b"sec-websocket-"):
            lines.append(name + b": " + value)
    protocol.receive_data(b"\r\n".join([*lines, b"", b""]))
    for event in protocol.events_received():
        if isinstance(event, Request):
            response = protocol.accept(event)
            return response if response.status_code == 101 else None
    return None


def subprotocols(scope: Scope) -> list[str]:
    """What the client could speak over it, the best first."""
    found = [value for name, value in scope["headers"] if name == b"sec-websocket-protocol"]
    words = [word.strip() for value in found for word in value.decode("latin-1").split(",")]
    return [word for word in words if word]


def complete(response: Response, message: Message) -> None:
    """Add what the application says with its ``websocket.accept``."""
    for name, value in message.get("headers", ()):
        if name.lower() == b"date":
            del response.headers["Date"]
        response.headers[name.decode("latin-1")] = value.decode("latin-1")
    if message.get("subprotocol"):
        response.headers["Sec-WebSocket-Protocol"] = message["subprotocol"]

"""The types of ASGI, as this project writes them, and an answer that is there as a whole."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = Sequence[tuple[bytes, bytes]]


async def respond(scope: Scope, send: Send, status: int, headers: Headers, body: bytes) -> None:
    """Answer a request with a whole response, also one that asks for a WebSocket."""
    kind = "http" if scope["type"] == "http" else "websocket.http"
    length = (b"content-length", str(len(body)).encode())
    await send({"type": f"{kind}.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": f"{kind}.response.body", "body": body, "more_body": False})

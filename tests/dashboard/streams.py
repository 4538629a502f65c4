"""A stream of versions, as a browser has it."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from postmill.dashboard.application import Dashboard


class Stream:
    """What a stream says, asked of the application itself: the other tests' client waits for the end."""

    def __init__(self, dashboard: Dashboard, query: str, headers: Mapping[str, str]) -> None:
        self.status = 0
        self._said: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._leave = asyncio.Event()
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": "/live",
            "raw_path": b"/live",
            "root_path": "",
            "query_string": query.encode(),
            "headers": [(name.encode(), text.encode()) for name, text in headers.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 8420),
        }
        self._task = asyncio.ensure_future(dashboard(scope, self._receive, self._send))

    async def _receive(self) -> dict[str, Any]:
        await self._leave.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif message["type"] == "http.response.body":
            await self._said.put(message.get("body", b"") if message.get("more_body") else None)

    async def news(self) -> dict[str, str] | None:
        """The next versions; None at the end of the stream."""
        async with asyncio.timeout(10):
            while (part := await self._said.get()) is not None:
                if part.startswith(b"data: ") and (told := json.loads(part.removeprefix(b"data: "))):
                    return dict(told)
        return None

    async def leave(self) -> None:
        """As a browser that goes away."""
        self._leave.set()
        await self._task

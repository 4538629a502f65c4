"""A server on a port, started and stopped like the other services.

It handles no signal: its process does.
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

from postmill.model.errors import InvalidOption
from postmill.web.connection import Connection
from postmill.web.limits import ConnectionLimits
from postmill.web.refusal import as_text
from postmill.web.shared import Shared

if TYPE_CHECKING:
    from postmill.web.asgi import Application
    from postmill.web.refusal import Render

BACKLOG = 2048
"""Connections that the system keeps until they are accepted. 2,048, as uvicorn asks for; Linux allows 4,096
unless told otherwise.
"""
MAX_MESSAGE_BYTES = 1024 * 1024
"""Bytes of one WebSocket message at most, unless told otherwise. 1 MiB: what the ``websockets`` library
allows by default.
"""


class WebServer:
    """``start`` and ``stop`` may be called twice."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        limits: ConnectionLimits = ConnectionLimits(),  # noqa: B008 - frozen
        max_message_bytes: int = MAX_MESSAGE_BYTES,
        render: Render = as_text,
    ) -> None:
        """``render`` makes the answer to a request that is refused before the application sees it."""
        self._host, self._port = host, port
        self._limits = limits
        self._max_message_bytes = max_message_bytes
        self._render = render
        self._socket: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._shared: Shared | None = None

    def listen(self) -> str:
        """Take the port and return the URL. Connections wait until :meth:`start`.

        Raise :class:`InvalidOption` when the port can't be had.
        """
        if self._socket is None:
            self._socket = bind(self._host, self._port)
        return url_of(self._socket)

    async def start(self, application: Application) -> str:
        """Serve and return the URL. Raise as :meth:`listen`."""
        url = self.listen()
        if self._shared is None and self._socket is not None:
            shared = Shared(application, self._limits, self._render, self._max_message_bytes)
            self._shared = shared
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(
                lambda: Connection(shared), sock=self._socket, backlog=BACKLOG
            )
        return url

    def stop_accepting(self) -> None:
        """Close the port. Running requests go on, and are the last ones on their connections."""
        if self._server is not None:
            self._server.close()
            self._server = None
            for connection in list(self._shared.connections if self._shared else ()):
                connection.shutdown()
        if self._socket is not None:
            self._socket.close()

    async def stop(self, grace_s: float) -> None:
        """Close the port, wait up to ``grace_s`` seconds for running requests, then cut them off."""
        self.stop_accepting()
        shared = self._shared
        if shared is None:
            return
        try:
            async with asyncio.timeout(grace_s):
                await _all_ended(shared)
        except TimeoutError:
            await _cut_off(shared)


async def _all_ended(shared: Shared) -> None:
    while shared.connections:
        shared.changed.clear()
        await shared.changed.wait()
    while shared.tasks:  # and no connection is left that could start one
        await asyncio.wait(set(shared.tasks))


async def _cut_off(shared: Shared) -> None:
    tasks = list(shared.tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for connection in list(shared.connections):
        connection.abort()


def bind(host: str, port: int) -> socket.socket:
    """A listening socket. Raise :class:`InvalidOption` when it can't be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise InvalidOption(
            f"Nothing can be served on {host}:{port}.",
            why=f"{error.strerror or error}.",
            hint="Choose another --port or --host, or set it in postmill.toml; port 0 takes a free one.",
        ) from error


def url_of(listening: socket.socket) -> str:
    """Where to reach a listening socket, from this machine."""
    host, port = listening.getsockname()[:2]
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - the other way round
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"

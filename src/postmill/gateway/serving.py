"""The gateway on a port: uvicorn with our bounds, started and stopped like every other service here.

Touches no signal: whoever runs the process decides what they mean.
"""

from __future__ import annotations

import asyncio
import ipaddress
import math
import resource
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvicorn

from postmill.gateway.connections import ConnectionLimits, bounded
from postmill.model.errors import InvalidOption, Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from postmill.gateway.application import Gateway

KEEP_ALIVE_S = 65
"""Longer than the 60 s after which usual load balancers give an idle connection up."""
BACKLOG = 2048
SPARE_DESCRIPTORS = 256
"""Kept free of connections: for files, pipes and isolates."""


class Server(uvicorn.Server):
    """uvicorn's, without its signal handlers."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """None are captured."""
        yield


class GatewayServer:
    """``start`` and ``stop`` may be called twice."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        limits: ConnectionLimits = ConnectionLimits(),  # noqa: B008 - frozen
        max_message_bytes: int,
    ) -> None:
        self._host, self._port = host, port
        self._limits = limits
        self._max_message_bytes = max_message_bytes
        self._socket: socket.socket | None = None
        self._server: Server | None = None
        self._task: asyncio.Task[None] | None = None

    def listen(self) -> str:
        """Take the port; returns the URL. Who connects waits until :meth:`start`.

        Raises :class:`InvalidOption` when the port can't be had.
        """
        if self._socket is None:
            self._socket = bind(self._host, self._port)
        return url_of(self._socket)

    async def start(self, app: Gateway) -> str:
        """Serve; returns the URL. Raises as :meth:`listen`."""
        url = self.listen()
        if self._server is None and self._socket is not None:
            self._server = Server(self._config(app))
            self._task = asyncio.create_task(self._server.serve(sockets=[self._socket]), name="gateway")
        return url

    def stop_accepting(self) -> None:
        """Close the port; requests that run go on."""
        if self._server is not None:
            self._server.should_exit = True
        elif self._socket is not None:
            self._socket.close()

    async def stop(self, grace_s: float) -> None:
        """Close the port, wait up to ``grace_s`` for what runs, then cut it off."""
        self.stop_accepting()
        if self._server is not None and self._task is not None:
            self._server.config.timeout_graceful_shutdown = math.ceil(grace_s)
            await asyncio.gather(self._task, return_exceptions=True)

    def _config(self, app: Gateway) -> uvicorn.Config:
        return uvicorn.Config(
            app,
            http=bounded(self._limits),
            ws="websockets-sansio",
            ws_max_size=self._max_message_bytes,
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            backlog=BACKLOG,
        )


def bind(host: str, port: int) -> socket.socket:
    """A listening socket. Raises :class:`InvalidOption` when it can't be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise InvalidOption(
            f"Functions can't be served on {host}:{port}.",
            why=f"{error.strerror or error}.",
            hint="Choose another port with --port or [runtime] port; 0 takes a free one.",
        ) from error


def url_of(listening: socket.socket) -> str:
    """Where to reach a listening socket, from this machine."""
    host, port = listening.getsockname()[:2]
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - the other way round
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_exposure(host: str, *, keys_given: bool) -> None:
    """Raises :class:`Refused` for an address that others can reach, with keys nobody made on purpose."""
    if not is_loopback(host) and not keys_given:
        raise Refused(
            f"Functions are not served on {host} without keys of this project's own.",
            why="Other machines can reach that address.",
            hint="Run postmill init, or set POSTMILL_JWT_SECRET; or listen on 127.0.0.1.",
        )


def raise_connection_limit() -> ConnectionLimits:
    """Raises this process's limit of descriptors as far as it may be; returns what connections then fit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ConnectionLimits().connections + SPARE_DESCRIPTORS
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return ConnectionLimits(
        connections=min(ConnectionLimits().connections, max(16, soft - SPARE_DESCRIPTORS))
    )

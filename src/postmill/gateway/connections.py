"""What one connection may cost: how many there are, how large and how slow a request's head may be.

uvicorn's own protocol with bounds around it: httptools, which parses for it, has none. Decides nothing about
a request whose head has been read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from postmill.gateway import platform_errors
from postmill.gateway.corked import CorkedTransport

if TYPE_CHECKING:
    import asyncio

    from postmill.gateway.platform_errors import PlatformError


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Bounds for strangers; an honest client never meets one."""

    connections: int = 4096
    """At a time; for one more the one that has been silent for longest is closed."""
    head_bytes: int = 64 * 1024
    """Request line and headers."""
    head_s: float = 10.0
    """From the first byte of a head, or from the connection, to the end of the head."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection. Use :func:`bounded`."""

    limits: ClassVar[ConnectionLimits]
    silent: ClassVar[dict[BoundedProtocol, None]]
    """Connections on which no request runs, longest first."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Takes the connection. When there are too many, one goes for it that is silent; when none is, it
        is told so and closed itself.
        """
        self._head_timer: asyncio.TimerHandle | None = None
        self._head_size = self._just_read = 0
        self._in_head = True
        full = len(self.connections) >= self.limits.connections
        super().connection_made(cast("asyncio.Transport", CorkedTransport(transport, self.loop)))
        if full:
            leaving = next(iter(self.silent), self)
            leaving._turn_away(platform_errors.TOO_MANY_CONNECTIONS)
        if not transport.is_closing():
            self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """As uvicorn's."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parses, unless a head grows beyond its bound."""
        if self.transport.is_closing():
            return
        self._just_read = len(data)
        super().data_received(data)
        if self._in_head and not self.transport.is_closing():
            self._head_size += len(data)
            if self._head_size > self.limits.head_bytes:
                self._turn_away(platform_errors.HEADERS_TOO_LARGE)
            elif self._head_timer is None:
                self._wait_for_head()

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        self._in_head = True
        self._head_size = 0
        self._stop_waiting()  # for its first byte; most heads are whole at once

    def on_headers_complete(self) -> None:
        """A head has been read."""
        self._in_head = False
        self._stop_waiting()
        if self._is_head_too_large():
            self._in_head = True
            self._turn_away(platform_errors.HEADERS_TOO_LARGE)
            return
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """A request is done; the connection is silent until the next one."""
        super().on_response_complete()
        if not self.transport.is_closing() and self.cycle.response_complete:
            self.silent[self] = None

    def send_400_response(self, msg: str) -> None:
        """In our form; uvicorn's own is plain text."""
        if not self.transport.is_closing():
            self._turn_away(platform_errors.BAD_REQUEST)

    def _turn_away(self, problem: PlatformError) -> None:
        self._stop_waiting()
        if self._is_asked:
            self.transport.write(problem.raw())
        self.transport.close()

    @property
    def _is_asked(self) -> bool:
        """Whether what is written now would be taken for the answer to the request at hand."""
        cycle: Any = self.cycle  # None before the first request, whatever its type says
        if self._in_head:
            return cycle is None or bool(cycle.response_complete)
        return cycle is not None and not cycle.response_started

    def _is_head_too_large(self) -> bool:
        """Counted exactly only when what was read could be too much."""
        if self._head_size + self._just_read <= self.limits.head_bytes:
            return False
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        return size > self.limits.head_bytes

    def _wait_for_head(self) -> None:
        self._stop_waiting()
        self.silent[self] = None
        self._head_timer = self.loop.call_later(self.limits.head_s, self._too_slow)

    def _stop_waiting(self) -> None:
        self.silent.pop(self, None)
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _too_slow(self) -> None:
        if not self.transport.is_closing():
            self._turn_away(platform_errors.HEADERS_TOO_SLOW)


def bounded(limits: ConnectionLimits) -> type[Any]:
    """The protocol with ``limits``, as uvicorn wants it: a class."""
    return type("Bounded", (BoundedProtocol,), {"limits": limits, "silent": {}})

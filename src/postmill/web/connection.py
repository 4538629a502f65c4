"""One connection: heads and bodies in, one request after the other to the application.

Decides where each message ends, and counts every byte against a bound. A message that can be read in two ways
ends the connection. A request that waits for the answer to the one before stays unread.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import TYPE_CHECKING, Any, cast

from postmill.web import refusal as refusals
from postmill.web.refusal import Refusal, Refused
from postmill.web.request import Body, HeadReader, RequestHead, body_of
from postmill.web.request_cycle import RequestCycle, start
from postmill.web.transport import CorkedTransport, Deadline
from postmill.web.websocket import WebSocket

if TYPE_CHECKING:
    from postmill.web.asgi import Scope
    from postmill.web.shared import Shared

Address = tuple[str, int] | None
HIGH_WATER = 64 * 1024
"""Bytes that wait for the application before reading pauses. 64 KiB: what asyncio uses for writing."""
LINGER_S = 1.0
"""How long a connection that is closed on unread bytes still drops them. Closed at once it would be reset,
and the answer on it lost; a second is several round trips to anywhere."""
_RESET = struct.pack("ii", 1, 0)
"""``SO_LINGER`` with no time: a close is then a reset."""
MOST_BLANK_LINES = 8
"""Blank lines before a request line that are skipped. Old clients send one after a body (RFC 9112, section
2.2); more than eight are no client's mistake.
"""


class Connection(asyncio.Protocol):
    """Its states: reading a head; serving a request, whose body may still arrive; over."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._limits = shared.limits
        self._unread = b""
        self._blank_lines = 0
        self._reader = HeadReader(self._limits)
        self._is_in_head = False
        self._body: Body | None = None
        self._cycle: RequestCycle | None = None
        self._dropped = 0
        self._unsent = 0
        self._is_idle = False
        """Whether it waits for another request, of which nothing has arrived."""
        self._is_over = False
        self._is_stopping = False
        self._is_reading = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection. When there are too many, a silent one is closed for it; when none is silent,
        this one gets an error and is closed.
        """
        below = cast("asyncio.Transport", transport)
        loop = asyncio.get_running_loop()
        self._transport = CorkedTransport(below, loop)
        self._deadline = Deadline(loop)
        self._client = _address(below.get_extra_info("peername"))
        self._server = _address(below.get_extra_info("sockname"))
        is_full = len(self._shared.connections) >= self._limits.connections
        self._shared.connections.add(self)
        if is_full:
            next(iter(self._shared.silent), self).make_room()
        if not self._is_over:
            self._shared.silent[self] = None
            self._deadline.set(self._limits.head_s, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the application."""
        self._is_over = True
        self._shared.silent.pop(self, None)
        self._shared.leave(self)
        self._deadline.close()
        self._transport.resume()
        if self._cycle is not None:
            self._cycle.disconnect()

    def pause_writing(self) -> None:
        """The client does not keep up."""
        self._transport.pause()
        if not self._is_over:
            self._watch_writing()

    def resume_writing(self) -> None:
        """The client takes more."""
        self._transport.resume()
        if self._cycle is not None and not self._cycle.is_complete:
            self._deadline.clear()

    def data_received(self, data: bytes) -> None:
        """Read as far as can be."""
        if not self._is_over:
            self._unread = self._unread + data if self._unread else bytes(data)
            self._advance()

    def shutdown(self) -> None:
        """End once the current request is answered."""
        self._is_stopping = True
        if self._cycle is None:
            self._hang_up()
        elif self._cycle.is_complete:
            self._linger()
        elif not self._cycle.is_started:
            self._cycle.keeps_alive = False

    def abort(self) -> None:
        """End now."""
        self._is_over = True
        self._transport.abort()

    def _advance(self) -> None:
        try:
            while self._unread and not self._is_over and self._step():
                pass
        except Refused as refused:
            self._refuse(refused.refusal)
        if self._unread or not self._is_reading or (self._cycle is not None and self._cycle.arrived):
            self._balance_reading()

    def _step(self) -> bool:
        """Read the next part of a message; whether there may be more to read."""
        if self._body is None:
            return self._read_head()
        return not self._body.is_whole and self._read_body(self._body)

    def _read_head(self) -> bool:
        if not self._is_in_head:
            if self._unread.startswith(b"\r"):
                self._skip_blank_lines()
                if self._unread in {b"", b"\r"}:
                    return False
            self._is_in_head = True
        unread, self._unread = self._unread, b""
        rest = self._reader.feed(unread)
        if rest is None:
            self._expect_head()
            return False
        self._is_in_head = False
        self._blank_lines = 0
        self._unread = rest
        head = self._reader.finish()
        if head.length == 0 and head.keeps_alive:
            self._reader.begin_again()
        else:
            self._reader = HeadReader(self._limits)
        self._begin(head)
        return True

    def _skip_blank_lines(self) -> None:
        while self._unread.startswith(b"\r\n"):
            self._unread = self._unread[2:]
            self._blank_lines += 1
            if self._blank_lines > MOST_BLANK_LINES:
                raise Refused(refusals.BAD_REQUEST)

    def _expect_head(self) -> None:
        """A head that has begun has to end. The first one's time has run since the connection was made."""
        if not self._deadline.is_set or self._is_idle:
            self._is_idle = False
            self._deadline.set(self._limits.head_s, self._too_slow)

    def _begin(self, head: RequestHead) -> None:
        self._is_idle = False
        self._deadline.clear()
        self._shared.silent.pop(self, None)
        if head.is_websocket:
            self._become_websocket(head)
            return
        self._body = body_of(head.length, self._limits)
        self._cycle = RequestCycle(
            _scope(head, self._client, self._server),
            self._transport,
            self._shared.events,
            keeps_alive=head.keeps_alive and not self._is_stopping,
            expects_continue=head.expects_continue,
            is_whole=head.length == 0,
            on_read=self._taken,
            on_end=self._answered,
        )
        start(self._cycle.run(self._shared.application), self._shared.tasks)

    def _become_websocket(self, head: RequestHead) -> None:
        scope = _scope(head, self._client, self._server)
        self._is_over = True
        self._deadline.close()
        self._shared.leave(self)
        accepted = WebSocket(self._shared, scope, self._transport, self._unread)
        self._unread = b""
        self._transport.set_protocol(accepted)
        accepted.open()

    def _read_body(self, body: Body) -> bool:
        before = len(self._unread)
        piece, self._unread = body.feed(self._unread)
        cycle = cast("RequestCycle", self._cycle)
        if not cycle.is_complete:
            if piece or body.is_whole:
                cycle.feed(piece, more=not body.is_whole)
        else:
            self._dropped += before - len(self._unread)
            if self._dropped > self._limits.unread_bytes:
                self._linger()
            elif body.is_whole:
                self._await_next()
        return body.is_whole

    def _answered(self) -> None:
        """The answer is complete, or will never be."""
        cycle, body = self._cycle, self._body
        if cycle is None or body is None or self._is_over:
            return
        if not cycle.is_complete:
            self._cut(cycle)
        elif not cycle.keeps_alive or self._is_stopping:
            self._linger()
        elif body.is_whole:
            self._await_next()
            if self._unread:
                self._advance()
        else:
            self._dropped = 0
            cycle.arrived.clear()
            self._deadline.set(self._limits.unread_s, self._linger)
            self._balance_reading()

    def _cut(self, cycle: RequestCycle) -> None:
        """Let the client see that the answer is not whole."""
        if not cycle.is_started:
            self._refuse(refusals.INTERNAL)
        elif cycle.ends_with_connection:
            self._reset()
        else:
            self._linger()

    def _reset(self) -> None:
        """Reset the connection: the only way left to show the client that the answer is not whole."""
        found = self._transport.get_extra_info("socket")
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.abort()

    def _await_next(self) -> None:
        self._cycle = self._body = None
        self._shared.silent[self] = None
        self._is_idle = True
        self._deadline.set(self._limits.idle_s, self._hang_up)

    def _taken(self) -> None:
        """The application has taken what had arrived."""
        if not self._is_reading:
            self._balance_reading()

    def _balance_reading(self) -> None:
        """Read no more than the application takes."""
        waiting = len(self._unread)
        if self._cycle is not None and not self._is_over:
            waiting += len(self._cycle.arrived)
        wanted = waiting < HIGH_WATER
        if wanted != self._is_reading and not self._transport.is_closing():
            self._is_reading = wanted
            (self._transport.resume_reading if wanted else self._transport.pause_reading)()

    def _refuse(self, refusal: Refusal) -> None:
        if self._is_asked:
            self._transport.write(self._shared.render(refusal))
        if self._cycle is not None:
            self._cycle.disconnect()
        self._linger()

    @property
    def _is_asked(self) -> bool:
        """Whether bytes written now would be read as the answer to the current request."""
        return not self._is_idle if self._cycle is None else not self._cycle.is_started

    def _hang_up(self) -> None:
        """End the connection once what was written is taken."""
        self._is_over = True
        self._transport.close()
        self._watch_writing()

    def _watch_writing(self) -> None:
        """Close the connection of a client that reads nothing of its answer for too long."""
        self._unsent = self._transport.get_write_buffer_size()
        if self._unsent:
            self._deadline.set(self._limits.stalled_s, self._look_at_writing)

    def _look_at_writing(self) -> None:
        if self._transport.get_write_buffer_size() < self._unsent:
            self._watch_writing()
        else:
            self.abort()

    def _linger(self) -> None:
        """End the connection, and drop what still comes for a while. It may be closed at once for another."""
        self._is_over = True
        self._unread = b""
        if self._transport.is_closing():
            return
        self._transport.write_eof()
        self._shared.silent[self] = None
        self._deadline.set(LINGER_S, self._hang_up)
        self._balance_reading()

    def make_room(self) -> None:
        """End at once, for another connection."""
        self._shared.silent.pop(self, None)
        if not self._is_over and self._is_asked:
            self._transport.write(self._shared.render(refusals.TOO_MANY_CONNECTIONS))
        self._hang_up()

    def _too_slow(self) -> None:
        self._refuse(refusals.HEADERS_TOO_SLOW)


def _scope(head: RequestHead, client: Address, server: Address) -> Scope:
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": head.http_version,
        "method": head.method,
        "scheme": "http",
        "path": head.path,
        "raw_path": head.raw_path,
        "query_string": head.query,
        "root_path": "",
        "headers": head.headers,
        "client": client,
        "server": server,
        "state": {},
    }
    if head.is_websocket:
        del scope["method"]
        scope.update(type="websocket", scheme="ws")
    return scope


def _address(found: Any) -> Address:
    return (str(found[0]), int(found[1])) if isinstance(found, tuple) else None

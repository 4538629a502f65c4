"""One WebSocket: ASGI's messages over the frames that ``websockets`` reads and writes.

A client can fill at most one message of the largest size and one read here. It has to read its answers (also
pongs), to answer pings, and to finish a message that it has begun.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from websockets.exceptions import InvalidState
from websockets.frames import Frame, Opcode

from postmill.model.events import Event
from postmill.web.handshake import complete, offer, protocol_for, subprotocols
from postmill.web.inbox import Inbox
from postmill.web.request_cycle import response_head, start

if TYPE_CHECKING:
    from websockets.http11 import Response

    from postmill.web.asgi import Message, Scope
    from postmill.web.shared import Shared
    from postmill.web.transport import CorkedTransport

PING_S = 20.0
"""Seconds between two pings. 20 s: below the 30 s after which the most impatient proxies drop a silent
connection.
"""
LEAST_PROGRESS_BYTES = 1024
"""Bytes of a message that has begun which must arrive between two pings. 1 KiB: half of what the body of a
request has to bring.
"""
CLOSE_S = 10.0
"""How long the client may take to answer a close, in seconds: what the ``websockets`` library gives it by
default.
"""
SLICE_BYTES = 16 * 1024
"""Bytes that are read at a time. 16 KiB, because a frame without content costs fifty times its size while it
is read.
"""
NO_CODE, GONE = 1005, 1006
"""The codes that ASGI gets for an end without a code, and for one without a close (RFC 6455, section
7.4.1).
"""
BAD_TEXT, TOO_SLOW, FAILED, RESTARTING = 1007, 1008, 1011, 1012
"""What the client is told."""
_NOT_ACCEPTED = b"This is no handshake of a WebSocket.\n"
_DATA = frozenset({Opcode.TEXT, Opcode.BINARY, Opcode.CONT})

Answer = tuple[int, list[tuple[bytes, bytes]], bytes]


class ClientGone(OSError):
    """The client has gone: the error that ASGI has for a send that does not reach it."""


class WebSocket(asyncio.Protocol):
    """Its states: asked for; open, or refused with an answer; ending, when what comes is dropped; gone."""

    def __init__(self, shared: Shared, scope: Scope, transport: CorkedTransport, unread: bytes) -> None:
        """``unread`` is what came behind the request's head: frames, if this ever opens."""
        self._shared = shared
        self._scope = scope
        self._transport = transport
        self._unread = unread
        self._inbox = Inbox(shared.max_message_bytes)
        self._protocol = protocol_for(shared.max_message_bytes)
        self._offer: Response | None = None
        self._answer: Answer | None = None
        self._is_open = False
        self._is_ending = False
        self._is_gone = False
        self._is_reading = True
        self._is_ping_answered = True
        self._progress = 0
        self._unsent = 0
        self._timer: asyncio.TimerHandle | None = None

    def open(self) -> None:
        """Let the application decide, or refuse a request that is no handshake."""
        self._shared.connections.add(self)
        self._balance_reading()
        self._offer = offer(self._protocol, self._scope)
        if self._offer is None:
            self._reject((400, [(b"sec-websocket-version", b"13")], _NOT_ACCEPTED))
        else:
            start(self._run(), self._shared.tasks)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the application."""
        self._is_gone = True
        self._transport.resume()
        self._stop_timer()
        self._shared.leave(self)
        self._inbox.end(NO_CODE if self._is_open else GONE)

    def pause_writing(self) -> None:
        """The client does not keep up: nothing more is read that could want an answer."""
        self._transport.pause()
        self._balance_reading()

    def resume_writing(self) -> None:
        """The client takes more."""
        self._transport.resume()
        self._read()

    def data_received(self, data: bytes) -> None:
        """Read as far as can be."""
        if not self._transport.is_closing():
            self._unread = self._unread + data if self._unread else bytes(data)
            self._read()

    def shutdown(self) -> None:
        """End it, since the server ends."""
        if self._is_open:
            self._close(RESTARTING, "")
        else:
            self._reject((503, [], b"The server is stopping.\n"))

    def abort(self) -> None:
        """End it now."""
        self._transport.abort()

    async def receive(self) -> Message:
        """The next event. The end is told again and again."""
        message = await self._inbox.take()
        self._read()
        return message

    async def send(self, message: Message) -> None:
        """Accept, refuse, write or close. Raise :class:`ClientGone` when the client has gone."""
        await self._transport.until_writable()
        if self._is_gone or self._is_ending:
            raise ClientGone("The client has gone.")
        match message["type"], self._is_open:
            case "websocket.send", True:
                self._say(message)
            case "websocket.close", True:
                self._close(message.get("code", 1000), message.get("reason") or "")
            case "websocket.close", False:
                self._reject((403, [], b""))
            case "websocket.accept", False if self._answer is None:
                self._accept(message)
            case "websocket.http.response.start", False if self._answer is None:
                self._answer = (message["status"], list(message.get("headers", ())), b"")
            case "websocket.http.response.body", False if self._answer is not None:
                self._go_on_refusing(self._answer, message)
            case kind, _:
                raise RuntimeError(f"{kind} can't be sent now.")

    async def _run(self) -> None:
        told = {"subprotocols": subprotocols(self._scope), "extensions": {"websocket.http.response": {}}}
        try:
            await self._shared.application({**self._scope, **told}, self.receive, self.send)
        except ClientGone:
            pass
        except Exception as error:
            self._shared.events.emit(Event.REQUEST_FAILED, exception=error, path=self._scope["path"])
        finally:
            if self._is_open:
                self._close(FAILED, "")
            else:
                self._reject((500, [], b"The application ended without an answer.\n"))

    def _accept(self, message: Message) -> None:
        if self._offer is None:
            raise RuntimeError("It was decided already.")
        response_head(  # raises for headers that no client could read
            200, message.get("headers", ()), method="GET", http_version="1.1", keeps_alive=True
        )
        complete(self._offer, message)
        self._protocol.send_response(self._offer)
        self._is_open = True
        self._flush()
        self._timer = asyncio.get_running_loop().call_later(PING_S, self._look)
        self._read()

    def _go_on_refusing(self, answer: Answer, message: Message) -> None:
        status, headers, body = answer
        self._answer = (status, headers, body + message.get("body", b""))
        if not message.get("more_body", False):
            self._reject(self._answer)

    def _reject(self, answer: Answer) -> None:
        """Answer with no WebSocket. What was sent for one is never read as a request."""
        if self._is_ending or self._is_gone:
            return
        status, headers, body = answer
        kept = [(name, value) for name, value in headers if name.lower() != b"content-length"]
        kept.append((b"content-length", str(len(body)).encode()))
        head = response_head(status, kept, method="GET", http_version="1.1", keeps_alive=False)
        self._transport.write(head.raw + body[: head.length])
        self._inbox.end(GONE)
        self._end()

    def _say(self, message: Message) -> None:
        try:
            if message.get("bytes") is not None:
                self._protocol.send_binary(message["bytes"])
            else:
                self._protocol.send_text((message.get("text") or "").encode())
        except InvalidState:
            raise ClientGone("The WebSocket is closed.") from None
        self._flush()

    def _close(self, code: int, reason: str) -> None:
        """Send a close, and wait for the client's."""
        if self._is_ending or self._is_gone:
            return
        self._inbox.end(code, reason)
        self._protocol.send_close(code, reason)
        self._flush()
        self._is_ending = True
        self._hang_up_later()
        self._read()

    def _end(self) -> None:
        """Nothing more is written. What the client still sends is dropped until it hangs up, or for a while:
        closed at once the connection would be reset, and what was written last would be lost.
        """
        self._is_ending = True
        self._flush()
        self._transport.write_eof()
        self._hang_up_later()
        self._read()

    def _hang_up_later(self) -> None:
        self._stop_timer()
        self._timer = asyncio.get_running_loop().call_later(CLOSE_S, self._transport.abort)

    def _read(self) -> None:
        """Read frames as long as the application takes them and the client takes the answers."""
        while self._unread and self._may_read:
            piece, self._unread = self._unread[:SLICE_BYTES], self._unread[SLICE_BYTES:]
            if self._is_open:
                self._progress += len(piece)
                self._protocol.receive_data(piece)
                self._take_events()
        self._balance_reading()

    @property
    def _may_read(self) -> bool:
        return self._is_ending or (
            self._is_open and not self._inbox.is_full and not self._transport.is_paused
        )

    def _take_events(self) -> None:
        for event in self._protocol.events_received():
            if isinstance(event, Frame):
                self._take(event)
        self._flush()
        if self._protocol.parser_exc is not None or self._protocol.close_rcvd is not None:
            self._ended_by_client()

    def _take(self, frame: Frame) -> None:
        if frame.opcode is Opcode.PONG:
            self._is_ping_answered = True
        elif frame.opcode in _DATA:
            try:
                self._inbox.put(frame)
            except UnicodeDecodeError:
                self._close(BAD_TEXT, "")

    def _ended_by_client(self) -> None:
        """By a close, or by what is no frame."""
        closed = self._protocol.close_rcvd or self._protocol.close_sent
        self._inbox.end(*((closed.code, closed.reason) if closed is not None else (GONE, "")))
        if self._protocol.close_rcvd is not None:
            self._is_ending = True
            self._transport.close()
            self._hang_up_later()
        elif not self._is_ending:
            self._end()

    def _look(self) -> None:
        """Check that the client is still there, and that a message it has begun arrives."""
        unsent = self._transport.get_write_buffer_size() if self._transport.is_paused else 0
        if unsent and unsent >= self._unsent > 0:
            self._transport.abort()  # it reads nothing, and would not read a close either
            return
        self._unsent = unsent
        if not self._is_ping_answered:
            self._fail(FAILED)
            return
        if self._inbox.is_partial and self._progress < LEAST_PROGRESS_BYTES and self._is_reading:
            self._fail(TOO_SLOW)
            return
        self._progress = 0
        if self._is_reading:  # a pong would not be read either
            self._is_ping_answered = False
            self._protocol.send_ping(b"")
            self._flush()
        self._timer = asyncio.get_running_loop().call_later(PING_S, self._look)

    def _fail(self, code: int) -> None:
        self._inbox.end(code)
        self._protocol.fail(code)
        self._end()

    def _flush(self) -> None:
        written = b"".join(self._protocol.data_to_send())
        if written:
            self._transport.write(written)

    def _balance_reading(self) -> None:
        wanted = self._may_read
        if wanted != self._is_reading and not self._transport.is_closing():
            self._is_reading = wanted
            self._is_ping_answered = True  # a pong that is not read proves nothing
            (self._transport.resume_reading if wanted else self._transport.pause_reading)()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

"""One ASGI exchange inside the isolate: frames become the application's messages, and back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from postmill.model.error_text import summary_of, traceback_of
from postmill.wire.frames import CHUNK, Kind, Opening, Response, Start, Trouble

if TYPE_CHECKING:
    from postmill.web.asgi import Application, Message
    from postmill.wire.stream import Stream

_encode = msgspec.msgpack.Encoder().encode
_decode_message = msgspec.msgpack.Decoder().decode
_FORBIDDEN = frozenset(b"\r\n\0")


class ClientGone(OSError):
    """The client is gone: there is nothing to send to any more."""


class Exchange:
    """One request, or one WebSocket."""

    def __init__(self, stream: Stream, opening: Opening, state: dict[str, Any]) -> None:
        self.stream = stream
        self.scope = _scope(opening, state)
        self.task: asyncio.Task[None] | None = None
        self._is_http = opening.type == "http"
        self._has_body = opening.has_body
        self._more_body = True
        self._start: Start | None = None
        """The beginning of the response."""
        self._told = False
        """Whether it is on its way."""
        self._complete = False
        self._ended = False

    async def run(self, application: Application) -> None:
        """Run the application to its end, and say what went wrong. Raises nothing of the application's."""
        try:
            await application(self.scope, self._receive, self._send)
        except ClientGone:
            pass
        except MemoryError:
            self._ended = True
            self.stream.say(Kind.EXHAUSTED)
        except Exception as error:
            self.stream.say(Kind.RAISED, _encode(_trouble(error)))
        except BaseException as error:
            if not self.stream.failed:  # not cancelled because the client is gone
                self.stream.say(Kind.RAISED, _encode(_trouble(error)))
        self.end()

    def end(self) -> None:
        """Report that the exchange is over, also when it was cancelled before it began. After an allocation
        that failed it is not reported: the host ends the whole isolate.
        """
        if not self._ended:
            self._ended = True
            self.stream.say(Kind.END)

    async def _receive(self) -> Message:
        try:
            if not self._is_http:
                message: dict[str, Any] = _decode_message((await self.stream.take())[1])
                return message
            if self._more_body:
                kind, body = await self.stream.take() if self._has_body else (Kind.LAST_BODY, b"")
                self._more_body = kind != Kind.LAST_BODY
                return {"type": "http.request", "body": body, "more_body": self._more_body}
            while True:
                await self.stream.take()  # until the client is gone: after the body nothing else comes
        except ClientGone:
            pass
        return (
            {"type": "http.disconnect"} if self._is_http else {"type": "websocket.disconnect", "code": 1006}
        )

    async def _send(self, message: Message) -> None:
        if self.stream.failed:
            raise ClientGone("the client is gone")
        kind = message["type"]
        if not self._is_http:
            await self.stream.send_message(_encode(_websocket_message(kind, message)))
        elif kind == "http.response.start" and self._start is None:
            self._start = _start(message)
            asyncio.get_running_loop().call_soon(self._tell_start)
        elif kind == "http.response.body" and self._start is not None and not self._complete:
            await self._send_body(bytes(message.get("body", b"")), more=bool(message.get("more_body")))
        else:
            raise RuntimeError(f"the application sent {kind!r} out of order")

    async def _send_body(self, body: bytes, *, more: bool) -> None:
        self._complete = not more
        if self._start is not None and self._complete and not self._told and len(body) <= CHUNK:
            self._told = True
            whole = Response(self._start.status, self._start.headers, body)
            self.stream.say(Kind.RESPONSE, _encode(whole))
        else:
            self._tell_start()
            await self.stream.send_body(body, more=more)

    def _tell_start(self) -> None:
        """Send the beginning of the response at the end of the event loop's turn, unless the whole response
        is there by then: that goes in one frame.
        """
        if self._start is not None and not self._told:
            self._told = True
            self.stream.say(Kind.START, _encode(self._start))


def _scope(opening: Opening, state: dict[str, Any]) -> dict[str, Any]:
    scope: dict[str, Any] = {
        "type": opening.type,
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": opening.http_version,
        "scheme": opening.scheme,
        "path": opening.path,
        "raw_path": opening.raw_path,
        "query_string": opening.query_string,
        "root_path": opening.root_path,
        "headers": opening.headers,
        "client": opening.client,
        "server": opening.server,
        "state": {**state, **opening.state},
    }
    if opening.type == "http":
        scope["method"] = opening.method
    else:
        scope["subprotocols"] = opening.subprotocols
    return scope


def _start(message: Message) -> Start:
    status = message["status"]
    if not isinstance(status, int) or not 100 <= status <= 999:
        raise ValueError(f"{status!r} is no HTTP status")
    headers = [(bytes(name), bytes(value)) for name, value in message.get("headers", ())]
    for name, value in headers:
        if not name or not _FORBIDDEN.isdisjoint(name) or not _FORBIDDEN.isdisjoint(value):
            raise ValueError(f"the header {name!r} has a character that no header can have")
    return Start(int(status), headers)


def _websocket_message(kind: str, message: Message) -> dict[str, Any]:
    if not kind.startswith("websocket."):
        raise RuntimeError(f"the application sent {kind!r} on a WebSocket")
    plain = dict(message)
    if "headers" in plain:
        plain["headers"] = [(bytes(name), bytes(value)) for name, value in plain["headers"]]
    return plain


def _trouble(error: BaseException) -> Trouble:
    return Trouble(summary_of(error), traceback_of(error))

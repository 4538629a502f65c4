"""One ASGI exchange between the gateway and an isolate: what the client sends goes in, the answer out."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from postmill.isolate.frames import Kind, Opening, Start
from postmill.model.function_failures import FunctionFailure, HandlerRaised, ResponseCut, ResponseTimeout

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from postmill.host.instance import Instance
    from postmill.isolate.stream import Stream

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]

WATCH_AFTER_S = 0.05
"""A response that takes longer is worth a look whether the client is still there."""
_encode = msgspec.msgpack.Encoder().encode
_decode_start = msgspec.msgpack.Decoder(Start).decode
_decode = msgspec.msgpack.Decoder().decode
_BODY_HEADERS = frozenset({b"content-length", b"transfer-encoding"})


class _Gone(Exception):
    """The client is gone."""


class Exchange:
    """One request, or one WebSocket, on an instance that was chosen for it."""

    def __init__(self, instance: Instance, scope: Scope, receive: Receive, send: Send) -> None:
        self._instance = instance
        self._scope = scope
        self._receive = receive
        self._send = send
        self._is_http = scope["type"] == "http"
        self._started = False
        self._complete = False
        self._body_sent = False
        self._feeding: asyncio.Task[None] | None = None
        self._stream: Stream = instance.open(_encode(_opening(scope)))

    async def run(self, timeout_s: float) -> None:
        """To the end of the response. Raises :class:`FunctionFailure` before it has started, then
        :class:`ResponseCut`.
        """
        loop = asyncio.get_running_loop()
        timers = [loop.call_later(timeout_s, self._too_late, timeout_s)] if timeout_s else []
        if self._is_http and _BODY_HEADERS.isdisjoint(name for name, _ in self._scope["headers"]):
            self._stream.say(Kind.LAST_BODY)
            self._body_sent = True
            timers.append(loop.call_later(WATCH_AFTER_S, self._feed))
        else:
            self._feed()
        try:
            await self._relay()
        except _Gone:
            self._stream.say(Kind.RESET)
        except FunctionFailure as failure:
            self._stream.say(Kind.RESET)
            if self._started:
                raise ResponseCut(failure) from None
            raise
        except BaseException as error:  # cancelled, or the gateway can't send any more
            self._stream.fail(error)
            self._stream.say(Kind.RESET)
            raise
        finally:
            for timer in timers:
                timer.cancel()
            if self._feeding is not None:
                self._feeding.cancel()

    async def _relay(self) -> None:
        while not self._complete:
            kind, payload = await self._stream.take()
            if kind == Kind.START:
                start = _decode_start(payload)
                self._started = True
                message = {"type": "http.response.start", "status": start.status, "headers": start.headers}
                await self._send(message)
            elif kind in (Kind.BODY, Kind.LAST_BODY):
                self._complete = kind == Kind.LAST_BODY
                more = kind == Kind.BODY
                await self._send({"type": "http.response.body", "body": payload, "more_body": more})
            elif kind == Kind.MESSAGE:
                message = _decode(payload)
                self._started = True
                await self._send(message)
            elif kind == Kind.END:
                self._ended()

    def _ended(self) -> None:
        """The application has returned."""
        if self._is_http or not self._started:
            raise HandlerRaised("The function ended without a whole response.")
        self._complete = True

    def _feed(self) -> None:
        if self._feeding is None:
            self._feeding = asyncio.create_task(
                self._feed_http() if self._is_http else self._feed_websocket()
            )

    async def _feed_http(self) -> None:
        while True:
            try:
                message = await self._receive()
                if message["type"] != "http.request":
                    break
                if not self._body_sent:
                    self._body_sent = not message.get("more_body", False)
                    await self._stream.send_body(message.get("body", b""), more=not self._body_sent)
            except (FunctionFailure, _Gone):
                return
        self._stream.fail(_Gone())

    async def _feed_websocket(self) -> None:
        message: Message = {"type": ""}
        while message["type"] != "websocket.disconnect":
            message = await self._receive()
            try:
                await self._stream.send_message(_encode(dict(message)))
            except (FunctionFailure, _Gone):
                return
        self._stream.fail(_Gone())

    def _too_late(self, timeout_s: float) -> None:
        if not self._started:
            self._stream.fail(ResponseTimeout(f"The function did not answer within {timeout_s:g} s."))


def _opening(scope: Scope) -> Opening:
    return Opening(
        type=scope["type"],
        method=scope.get("method", "GET"),
        path=scope["path"],
        raw_path=scope.get("raw_path"),
        query_string=scope.get("query_string", b""),
        root_path=scope.get("root_path", ""),
        headers=scope["headers"],
        scheme=scope.get("scheme", "http"),
        http_version=scope.get("http_version", "1.1"),
        client=scope.get("client"),
        server=scope.get("server"),
        subprotocols=list(scope.get("subprotocols", ())),
        state=scope.get("postmill", {}),
    )

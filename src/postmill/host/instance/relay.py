"""One ASGI exchange between the gateway and an isolate: what the client sends goes in, the answer out."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from postmill.model.functions.failures import FunctionFailure, HandlerRaised, ResponseCut, ResponseTimeout
from postmill.model.functions.limits import EXECUTION_HEADER
from postmill.wire.frames import Kind, Opening, Response, Start

if TYPE_CHECKING:
    from collections.abc import Callable

    from postmill.host.instance.instance import Instance
    from postmill.web.asgi import Message, Receive, Scope, Send
    from postmill.wire.stream import Stream

WATCH_AFTER_S = 0.05
"""After this time without a response, in seconds, the host begins to watch whether the client is still there.
50 ms: most responses are sooner, and cost no watch.
"""
_encode = msgspec.msgpack.Encoder().encode
_decode_start = msgspec.msgpack.Decoder(Start).decode
_decode_response = msgspec.msgpack.Decoder(Response).decode
_decode = msgspec.msgpack.Decoder().decode
_BODY_HEADERS = frozenset({b"content-length", b"transfer-encoding"})


class SharedTimer:
    """Calls each action that was added and not removed, once, after one to two periods."""

    def __init__(self, period_s: float) -> None:
        self._period_s = period_s
        self._new: dict[Callable[[], None], None] = {}
        self._waiting: dict[Callable[[], None], None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, action: Callable[[], None]) -> None:
        """Call ``action`` after one to two periods, unless it is removed before."""
        self._new[action] = None
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._period_s, self._go)

    def leave(self, action: Callable[[], None]) -> None:
        """Remove ``action``: it need not be called any more."""
        self._new.pop(action, None)
        self._waiting.pop(action, None)

    def _go(self) -> None:
        due, self._waiting, self._new = self._waiting, self._new, {}
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._period_s, self._go) if self._waiting else None
        for action in due:
            try:
                action()
            except Exception as error:  # the others are due all the same
                loop.call_exception_handler({"message": "an action of a timer failed", "exception": error})


class _Gone(Exception):
    """The client is gone."""


class Relay:
    """One request, or one WebSocket, on an instance that was chosen for it."""

    def __init__(self, instance: Instance, scope: Scope, receive: Receive, send: Send) -> None:
        self._instance = instance
        self._scope = scope
        self._receive = receive
        self._send = send
        self._is_http = scope["type"] == "http"
        self._started = False
        self._complete = False
        self._feeding: asyncio.Task[None] | None = None
        self._too_late_timer: asyncio.TimerHandle | None = None
        self._body_sent = self._is_http and _BODY_HEADERS.isdisjoint(dict(scope["headers"]))
        self._stream: Stream = instance.open(_encode(_opening(scope, has_body=not self._body_sent)))

    async def run(self, timeout_s: float, slow: SharedTimer) -> None:
        """To the end of the response. ``timeout_s`` (0: none) bounds its start; ``slow`` is the timer for
        responses that take long. Raises :class:`FunctionFailure` before it has started, then
        :class:`ResponseCut`.
        """
        watch = partial(self._watch, timeout_s)
        if self._body_sent:
            slow.add(watch)
        else:
            watch()
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
            slow.leave(watch)
            if self._too_late_timer is not None:
                self._too_late_timer.cancel()
            if self._feeding is not None:
                self._feeding.cancel()

    async def _relay(self) -> None:
        while not self._complete:
            kind, payload = await self._stream.take()
            if kind == Kind.RESPONSE:
                response = _decode_response(payload)
                await self._begin(response)
                await self._go_on(response.body, more=False)
            elif kind == Kind.START:
                await self._begin(_decode_start(payload))
            elif kind in (Kind.BODY, Kind.LAST_BODY):
                await self._go_on(payload, more=kind == Kind.BODY)
            elif kind == Kind.MESSAGE:
                message = _decode(payload)
                self._started = True
                await self._send(message)
            elif kind == Kind.END:
                self._ended()

    async def _begin(self, start: Start) -> None:
        self._started = True
        headers = [*start.headers, (EXECUTION_HEADER, self._instance.execution_id.encode())]
        await self._send({"type": "http.response.start", "status": start.status, "headers": headers})

    async def _go_on(self, body: bytes, *, more: bool) -> None:
        self._complete = not more
        await self._send({"type": "http.response.body", "body": body, "more_body": more})

    def _ended(self) -> None:
        """The application has returned."""
        if self._is_http or not self._started:
            raise HandlerRaised("The function ended without a whole response.")
        self._complete = True

    def _watch(self, timeout_s: float) -> None:
        """Follow what the client sends, and whether it is still there; and how long the response takes."""
        self._feeding = asyncio.create_task(self._feed_http() if self._is_http else self._feed_websocket())
        if timeout_s:
            loop = asyncio.get_running_loop()
            self._too_late_timer = loop.call_later(timeout_s, self._too_late, timeout_s)

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
            except Exception as error:  # the request ends here: it must not wait for a body
                self._stream.fail(error)
                return
        self._stream.fail(_Gone())

    async def _feed_websocket(self) -> None:
        message: Message = {"type": ""}
        while message["type"] != "websocket.disconnect":
            try:
                message = await self._receive()
                await self._stream.send_message(_encode(dict(message)))
            except (FunctionFailure, _Gone):
                return
            except Exception as error:
                self._stream.fail(error)
                return
        self._stream.fail(_Gone())

    def _too_late(self, timeout_s: float) -> None:
        if not self._started:
            self._stream.fail(ResponseTimeout(f"The function did not answer within {timeout_s:g} s."))


def _opening(scope: Scope, *, has_body: bool) -> Opening:
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
        has_body=has_body,
    )

"""A host of functions that live in the test itself, for what is the gateway's alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from postmill.model.functions.failures import FunctionFailure, FunctionNotFound
from postmill.model.functions.function_info import FunctionInfo
from postmill.model.functions.settings import FunctionSettings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from postmill.web.asgi import Receive, Scope, Send

    App = Callable[[Scope, Receive, Send], Awaitable[None]]


class StandInHost:
    """What the gateway asks of a host, without processes."""

    def __init__(self, **apps: App) -> None:
        self.apps = apps
        self.settings: dict[str, FunctionSettings] = {}
        self.started: list[str] = []
        self.stopped: list[str] = []
        self.recycled: list[str] = []
        self.calls: list[Scope] = []
        self.kinds: dict[str, str | FunctionFailure] = {}

    def functions(self) -> Sequence[FunctionInfo]:
        found = ((slug, self.settings_of(slug)) for slug in sorted(self.apps))
        return [
            FunctionInfo(slug, settings, "app", "running", 1, None) for slug, settings in found if settings
        ]

    def settings_of(self, slug: str) -> FunctionSettings | None:
        return self.settings.get(slug, FunctionSettings(slug=slug)) if slug in self.apps else None

    async def kind_of(self, slug: str) -> str | None:
        kind = self.kinds.get(slug, "handler")
        if isinstance(kind, FunctionFailure):
            raise kind
        return kind

    async def handle(self, slug: str, scope: Scope, receive: Receive, send: Send) -> None:
        self._check(slug)
        self.calls.append(scope)
        await self.apps[slug](scope, receive, send)

    async def recycle(self, slug: str) -> None:
        self._check(slug)
        self.recycled.append(slug)

    async def start_function(self, slug: str) -> None:
        self._check(slug)
        self.started.append(slug)

    async def stop_function(self, slug: str) -> None:
        self._check(slug)
        self.stopped.append(slug)

    def _check(self, slug: str) -> None:
        if slug not in self.apps:
            raise FunctionNotFound(f"There is no function {slug}.")


async def answer(send: Send, body: bytes = b"ok", status: int = 200, *headers: tuple[bytes, bytes]) -> None:
    """A whole response."""
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def hello(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Answers at once."""
    await answer(send, b"hello", 200, (b"content-type", b"text/plain"))


async def echo(_scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the body, and with the number of its messages."""
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message.get("body", b"")
        more = message.get("more_body", False)
    await answer(send, body)


def failing(failure: FunctionFailure | Exception) -> Any:
    """A function that comes to this end."""

    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise failure

    return app


async def websocket_echo(_scope: Scope, receive: Receive, send: Send) -> None:
    """Sends every text back."""
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})

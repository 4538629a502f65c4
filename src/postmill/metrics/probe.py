"""The probe: what orchestrators and Prometheus ask a process with workers over HTTP, and how it is answered.

It runs on the workers' own event loop, so that an answer is a proof that the loop turns. One request a
connection. Reads no secrets, changes nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from postmill.model.errors import InvalidOption
from postmill.web.asgi import respond
from postmill.web.limits import ConnectionLimits
from postmill.web.refusal import METHOD_NOT_ALLOWED, as_text
from postmill.web.routes import NoRoute, Route, RouteTable, WrongMethod
from postmill.web.server import WebServer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from postmill.web.asgi import Receive, Scope, Send
    from postmill.web.refusal import Refusal

METHODS = ("GET", "HEAD")
TIMEOUT_S = 5.0
"""A client that is slower is hung up on: orchestrators wait one second unless told otherwise."""
LIMITS = ConnectionLimits(
    connections=32,
    head_bytes=8 * 1024,
    head_s=TIMEOUT_S,
    unread_s=TIMEOUT_S,
    stalled_s=TIMEOUT_S,
    idle_s=TIMEOUT_S,
    needs_host=False,
)
"""An orchestrator and a few scrapers ask, with heads of some hundred bytes. These bounds are far above that,
and strangers can take no more memory than 32 times 8 kB."""
TEXT = "text/plain; charset=utf-8"


class Answer(NamedTuple):
    """A response without its headers."""

    status: int
    body: bytes
    content_type: str = TEXT


Ask: TypeAlias = Callable[[], Awaitable[Answer]]
"""What answers one route."""
_WRONG_METHOD = Answer(405, b"only GET and HEAD\n")


class Probe:
    """An ASGI application that answers ``routes``, and the server that it runs on."""

    def __init__(self, host: str, port: int, routes: Sequence[Route[Ask]]) -> None:
        self._at = f"{host}:{port}"
        self._table = RouteTable(routes)
        self._server = WebServer(host, port, limits=LIMITS, render=_rendered)

    async def start(self) -> str:
        """Listen; return the address. Raise :class:`InvalidOption` when the port can't be had."""
        try:
            return await self._server.start(self)
        except InvalidOption as error:
            raise InvalidOption(
                f"The probe can't listen on {self._at}.",
                why=error.why,
                hint="Choose another --probe-port, or 0 for a free one.",
            ) from error

    async def stop(self) -> None:
        """Close the port and hang up. May be called twice."""
        await self._server.stop(0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        answer = await self._answer(scope)
        headers = [
            (b"content-type", answer.content_type.encode()),
            (b"cache-control", b"no-store"),
            (b"connection", b"close"),
        ]
        await respond(scope, send, answer.status, headers, answer.body)

    async def _answer(self, scope: Scope) -> Answer:
        """What the route says, or that it raised: without an answer the process would seem dead."""
        try:
            route, _ = self._table.find(scope.get("method", ""), scope["path"])
            return await route.answer()
        except WrongMethod:
            return _WRONG_METHOD
        except NoRoute:
            there = ", ".join(route.path for route in self._table.routes)
            return Answer(404, f"there is {there}\n".encode())
        except Exception as error:
            return Answer(500, f"{type(error).__name__}: {error}\n".encode())


def _rendered(refusal: Refusal) -> bytes:
    """What is no GET and no HEAD is told so. A client that sends too much, or too slowly, is hung up on."""
    is_other = refusal.status in {400, METHOD_NOT_ALLOWED.status}
    return as_text(METHOD_NOT_ALLOWED._replace(message="only GET and HEAD")) if is_other else b""

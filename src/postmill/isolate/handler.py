"""Makes an ASGI application of ``handler(request) -> Response``."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

if TYPE_CHECKING:
    from collections.abc import Callable

    from postmill.web.asgi import Application, Receive, Scope, Send


def application(handler: Callable[..., Any]) -> Application:
    """An ASGI application that answers each request with what ``handler`` returns.

    A plain ``def`` runs in a thread. WebSockets are refused: they need an ``app``.
    """
    wants_request = _takes_one(handler)
    is_async = inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(type(handler).__call__)

    async def answer(request: Request) -> Response:
        args = (request,) if wants_request else ()
        try:
            returned = (
                await handler(*args) if is_async else await asyncio.to_thread(_call_plain, handler, args)
            )
            if inspect.isawaitable(returned):
                returned = await returned
        except HTTPException as error:
            return JSONResponse({"detail": error.detail}, error.status_code, dict(error.headers or {}))
        return as_response(returned)

    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await receive()
            await send({"type": "websocket.close", "code": 1003, "reason": "a handler takes no WebSocket"})
            return
        response = await answer(Request(scope, receive))
        await response(scope, receive, send)

    return run


def _call_plain(handler: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    """What the handler returns. No future can hold a StopIteration: one that left a thread would be waited
    for until the response is too late.
    """
    try:
        return handler(*args)
    except StopIteration as error:
        raise RuntimeError("the handler raised StopIteration") from error


def as_response(returned: object) -> Response:
    """The response that a handler's return value stands for. Raises TypeError for what stands for none."""
    match returned:
        case Response():
            return returned
        case dict() | list():
            return JSONResponse(returned)
        case str():
            return PlainTextResponse(returned)
        case _:
            kind = type(returned).__name__
            raise TypeError(
                f"the handler returned {kind}; it must return a Response, a dict, a list or a str"
            )


def _takes_one(handler: Callable[..., Any]) -> bool:
    """A handler may leave out the request."""
    try:
        return bool(inspect.signature(handler).parameters)
    except (TypeError, ValueError):
        return True

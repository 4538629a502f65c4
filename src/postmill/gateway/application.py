"""The gateway as an ASGI application: from a path to a function, or to a platform error.

Decides who gets in and what a failure looks like; what runs, and where, is the host's to know.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from postmill.auth.credentials import Denied, Granted, authenticate
from postmill.gateway import platform_errors, preflight, routing
from postmill.gateway.client_exchange import ClientExchange
from postmill.gateway.control import Control
from postmill.gateway.platform_errors import METHODS, PlatformError
from postmill.gateway.readiness import Readiness
from postmill.model.events import Event
from postmill.model.functions.failures import FunctionFailure, ResponseCut
from postmill.service.events import Events
from postmill.web.pace import Pace
from postmill.web.websocket import ClientGone

if TYPE_CHECKING:
    from collections.abc import Callable

    from postmill.gateway.functions import Functions
    from postmill.gateway.trust import Trust
    from postmill.model.functions.settings import FunctionSettings
    from postmill.web.asgi import Receive, Scope, Send

GOING_AWAY = 1011
"""What a WebSocket is closed with when its function is gone (RFC 6455, 7.4.1)."""


class Gateway:
    """``trust`` is asked at each request, so that keys can be changed while it runs."""

    def __init__(
        self,
        host: Functions,
        trust: Trust,
        *,
        max_body_bytes: int,
        readiness: Readiness | None = None,
        pace: Pace = Pace(),  # noqa: B008 - frozen
        clock: Callable[[], float] = time.time,
        identity: str = "",
    ) -> None:
        self._host = host
        self._trust = trust
        self._max_body_bytes = max_body_bytes
        self._pace = pace
        self._clock = clock
        self._events = Events()
        self._control = Control(host, readiness or _always(), identity)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One exchange, ``http`` or ``websocket``. Raises only to say that the connection must be cut."""
        exchange = ClientExchange(scope, receive, send, max_body_bytes=self._max_body_bytes, pace=self._pace)
        try:
            problem = await self._answered(scope, exchange)
        except FunctionFailure as failure:
            problem = platform_errors.of_failure(failure)
        except ResponseCut as cut:
            problem = platform_errors.of_failure(cut.failure)
        except ClientGone:
            return  # there is nobody to answer
        except Exception as error:  # a bug of ours: the caller gets an answer, the log the truth
            self._events.emit(Event.REQUEST_FAILED, exception=error, path=scope["path"])
            problem = platform_errors.INTERNAL
        await self._end(scope, exchange, problem)

    async def _answered(self, scope: Scope, exchange: ClientExchange) -> PlatformError | None:
        """Lets somebody answer; returns the error to answer with when nobody may."""
        path = scope["path"]
        if path in self._control.probes:
            return await self._control.probe(scope, exchange)
        if path.startswith(routing.CONTROL):
            return await self._control.answer(scope, exchange, await self._verdict(scope))
        return await self._call(scope, exchange)

    async def _call(self, scope: Scope, exchange: ClientExchange) -> PlatformError | None:
        """Has the function answer that the path names."""
        route = routing.find(scope["path"])
        if route is None:
            return platform_errors.NOT_FOUND
        if scope.get("method", "GET") not in METHODS:
            return platform_errors.METHOD_NOT_ALLOWED
        settings = self._host.settings_of(route.slug)
        if settings is None or not settings.enabled:
            return PlatformError(404, platform_errors.NOT_FOUND.code, f"There is no function {route.slug}.")
        inner = {**scope, "root_path": route.root_path}
        if settings.verify_jwt and preflight.is_preflight(scope):
            await self._answer_preflight(settings, inner, exchange)
            return None
        refusal = await self._refusal(settings, scope) or _too_large(exchange)
        if refusal is None:
            await self._host.handle(
                route.slug, inner, exchange.receive, await self._send(settings, scope, exchange)
            )
        return refusal

    async def _send(self, settings: FunctionSettings, scope: Scope, exchange: ClientExchange) -> Send:
        """How the function answers. A page that was let through a preflight may read it."""
        if not (settings.verify_jwt and preflight.comes_from_a_page(scope)):
            return exchange.send
        return (
            exchange.send if await self._answers_preflights(settings) else preflight.readable(exchange.send)
        )

    async def _answer_preflight(
        self, settings: FunctionSettings, scope: Scope, exchange: ClientExchange
    ) -> None:
        """Nothing runs for a stranger, unless the function is to answer; and then without a body."""
        if await self._answers_preflights(settings):
            body = preflight.BodyDropped(exchange.receive)
            await self._host.handle(settings.slug, preflight.without_body(scope), body, exchange.send)
        else:
            await preflight.answer(scope, exchange.send)

    async def _answers_preflights(self, settings: FunctionSettings) -> bool:
        """Whether the function does. One that can't be started does not: a browser shows why only when its
        preflight has succeeded.
        """
        if settings.preflight:
            return settings.preflight == "function"
        try:
            return await self._host.kind_of(settings.slug) == "app"
        except FunctionFailure:
            return False

    async def _refusal(self, settings: FunctionSettings, scope: Scope) -> PlatformError | None:
        """Why this caller may not call this function."""
        if not settings.verify_jwt:
            return None
        verdict = await self._verdict(scope)
        return platform_errors.unauthorized(verdict.reason) if isinstance(verdict, Denied) else None

    async def _verdict(self, scope: Scope) -> Granted | Denied:
        verdict = authenticate(scope["headers"], self._trust(), self._clock())
        if isinstance(verdict, Denied) and verdict.unknown_key:
            verdict = authenticate(scope["headers"], await self._trust.renewed(), self._clock())
        return verdict

    async def _end(self, scope: Scope, exchange: ClientExchange, problem: PlatformError | None) -> None:
        """Says what is left to say. A response that has begun and not ended is cut by returning."""
        if isinstance(exchange.failure, FunctionFailure):
            problem = platform_errors.of_failure(exchange.failure)
        elif exchange.failure is not None:
            problem = exchange.failure
        if not exchange.started:
            await exchange.refuse(problem or platform_errors.INTERNAL)
        elif problem is not None and scope["type"] == "websocket":
            with suppress(ResponseCut):  # it may be closed already
                await exchange.send({"type": "websocket.close", "code": GOING_AWAY, "reason": problem.code})


def _always() -> Readiness:
    readiness = Readiness()
    readiness.started()
    return readiness


def _too_large(exchange: ClientExchange) -> PlatformError | None:
    return platform_errors.PAYLOAD_TOO_LARGE if exchange.announces_too_much else None

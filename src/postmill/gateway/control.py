"""The host's own routes: whether it lives and is ready, which functions there are, how to replace the
processes of one, and how to stop it.

Everything but the probes and the host's proof of itself needs the service role.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from postmill.auth import host_proof
from postmill.auth.credentials import Denied, Granted
from postmill.gateway import platform_errors
from postmill.gateway.routing import CONTROL
from postmill.model.functions.failures import BootFailed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from postmill.gateway.client_exchange import ClientExchange
    from postmill.gateway.functions import FunctionInfo, Functions
    from postmill.gateway.platform_errors import PlatformError
    from postmill.gateway.readiness import Readiness
    from postmill.web.asgi import Scope

SERVICE_ROLE = "service_role"


class Control:
    """Answers under ``/control/v1/``."""

    probes = ("/live", "/ready", host_proof.PATH)
    """What needs no credentials."""

    def __init__(self, host: Functions, readiness: Readiness, identity: str = "") -> None:
        self._host = host
        self._readiness = readiness
        self._identity = identity

    async def answer(
        self, scope: Scope, exchange: ClientExchange, verdict: Granted | Denied
    ) -> PlatformError | None:
        """Answers, or returns the error to answer with. Raises ``FunctionFailure`` for what can't be done."""
        path, method = scope["path"], scope.get("method", "")
        if isinstance(verdict, Denied):
            return platform_errors.unauthorized(verdict.reason)
        if verdict.role != SERVICE_ROLE:
            return platform_errors.FORBIDDEN
        action = self._action(method, path.removeprefix(CONTROL).split("/"))
        if action is None:
            return platform_errors.NOT_FOUND
        await _respond(exchange, await action())
        return None

    async def probe(self, scope: Scope, exchange: ClientExchange) -> PlatformError | None:
        """``/live`` is answered, which says all."""
        path = scope["path"]
        if path == host_proof.PATH:
            return await self._prove(scope, exchange)
        reason = await self._readiness.why_not() if path == "/ready" else None
        if reason is not None:
            return platform_errors.not_ready(reason)
        await _respond(exchange, {"status": "ok"})
        return None

    async def _prove(self, scope: Scope, exchange: ClientExchange) -> PlatformError | None:
        """To a command that is about to send a key: that this is the host it means."""
        challenge = host_proof.challenge_in(scope.get("query_string", b""))
        if not self._identity or challenge is None or not scope.get("server"):
            return platform_errors.NOT_FOUND
        host, port = scope["server"]
        await _respond(exchange, {"proof": host_proof.prove(self._identity, challenge, (host, port))})
        return None

    def _action(self, method: str, parts: list[str]) -> Callable[[], Awaitable[Any]] | None:
        match method, parts:
            case "GET", ["functions"]:
                return self._list
            case "POST", ["functions", slug, "recycle"]:
                return lambda: self._recycle(slug)
            case "POST", ["functions", slug, "stop"]:
                return lambda: self._stop(slug)
        return None

    async def _list(self) -> list[dict[str, Any]]:
        return [described(each) for each in self._host.functions()]

    async def _recycle(self, slug: str) -> dict[str, str]:
        try:
            await self._host.recycle(slug)
        except BootFailed as failure:  # the holder of the service role may know why
            raise BootFailed(f"{failure.what} {failure.why}", reason=failure.reason) from failure
        return {"status": "recycled", "functionName": slug}

    async def _stop(self, slug: str) -> dict[str, str]:
        await self._host.stop_function(slug)
        return {"status": "stopped", "functionName": slug}


def described(function: FunctionInfo) -> dict[str, Any]:
    """A function as people and programs are shown it. Its environment stays inside."""
    settings = function.settings
    return {
        "function": function.slug,
        "kind": function.kind,
        "state": function.state,
        "instances": function.instances,
        "verify_jwt": settings.verify_jwt,
        "policy": settings.policy,
        "limits": asdict(settings.limits),
    }


async def _respond(exchange: ClientExchange, content: Any) -> None:
    body = json.dumps(content).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await exchange.send({"type": "http.response.start", "status": 200, "headers": headers})
    await exchange.send({"type": "http.response.body", "body": body, "more_body": False})

"""The host's own routes: whether it runs and is ready, the list of functions, and how to replace or stop the
processes of one.

Which path leads where, and what it needs, is in the gateway's table of routes.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from postmill.auth import host_proof
from postmill.gateway import platform_errors
from postmill.gateway.platform_errors import PlatformFailure
from postmill.model.functions.failures import BootFailed
from postmill.web.asgi import respond
from postmill.web.routes import NoRoute

if TYPE_CHECKING:
    from collections.abc import Iterator

    from postmill.gateway.functions import Functions
    from postmill.gateway.readiness import Readiness
    from postmill.gateway.wrappers import Response
    from postmill.model.functions.function_info import FunctionInfo
    from postmill.web.asgi import Receive, Scope

_JSON = [(b"content-type", b"application/json")]


class Control:
    """Each method answers one route. A failure is raised."""

    def __init__(self, host: Functions, readiness: Readiness, identity: str = "") -> None:
        self._host = host
        self._readiness = readiness
        self._identity = identity

    async def live(self, scope: Scope, _: Receive, response: Response) -> None:
        """The answer itself is the proof."""
        await _say(scope, response, {"status": "ok"})

    async def ready(self, scope: Scope, _: Receive, response: Response) -> None:
        """Whether requests should be sent here. Raise :class:`PlatformFailure` with the reason why not."""
        reason = await self._readiness.why_not()
        if reason is not None:
            raise PlatformFailure(platform_errors.not_ready(reason))
        await _say(scope, response, {"status": "ok"})

    async def prove(self, scope: Scope, _: Receive, response: Response) -> None:
        """Proves to a command that is about to send a key that this is the host of its project."""
        challenge = host_proof.challenge_in(scope.get("query_string", b""))
        if not self._identity or challenge is None or not scope.get("server"):
            raise NoRoute(scope["path"])
        host, port = scope["server"]
        proof = host_proof.prove(self._identity, challenge, (host, port))
        await _say(scope, response, {"proof": proof})

    async def functions(self, scope: Scope, _: Receive, response: Response) -> None:
        """Every function with its state."""
        await _say(scope, response, [described(each) for each in self._host.functions()])

    async def recycle(self, scope: Scope, _: Receive, response: Response, slug: str) -> None:
        """Replace the processes of a function. Raise :class:`BootFailed` when a new one does not start."""
        with _explained():
            await self._host.recycle(slug)
        await _say(scope, response, {"status": "recycled", "functionName": slug})

    async def start(self, scope: Scope, _: Receive, response: Response, slug: str) -> None:
        """Start a function unless it runs. Raise :class:`BootFailed` when it does not start."""
        with _explained():
            await self._host.start_function(slug)
        await _say(scope, response, {"status": "started", "functionName": slug})

    async def stop(self, scope: Scope, _: Receive, response: Response, slug: str) -> None:
        """End the processes of a function; its next request starts it again."""
        await self._host.stop_function(slug)
        await _say(scope, response, {"status": "stopped", "functionName": slug})

    async def nothing(self, scope: Scope, _: Receive, __: Response) -> None:
        """Any other route does not exist; only the service role gets that answer."""
        raise NoRoute(scope["path"])


@contextmanager
def _explained() -> Iterator[None]:
    """A caller with the service role may know why a function does not start."""
    try:
        yield
    except BootFailed as failure:
        raise BootFailed(f"{failure.what} {failure.why}", reason=failure.reason) from failure


def described(function: FunctionInfo) -> dict[str, Any]:
    """A function as people and programs are shown it. Its environment stays inside."""
    settings = function.settings
    return {
        "function": function.slug,
        "kind": function.kind,
        "state": function.state,
        "instances": function.instances,
        "why": function.why,
        "verify_jwt": settings.verify_jwt,
        "policy": settings.policy,
        "limits": asdict(settings.limits),
    }


async def _say(scope: Scope, response: Response, content: Any) -> None:
    await respond(scope, response, 200, _JSON, json.dumps(content).encode())

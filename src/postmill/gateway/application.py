"""The gateway as an ASGI application: its routes, and the wrappers that each request passes.

The host knows which processes run.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from postmill.auth import host_proof
from postmill.auth.own_cookies import without_own
from postmill.gateway import platform_errors
from postmill.gateway.access import (
    SERVICE_ROLE,
    Authenticate,
    Credentials,
    DropBody,
    RequireReader,
    RequireServiceRole,
)
from postmill.gateway.control import Control
from postmill.gateway.platform_errors import METHODS, PlatformFailure
from postmill.gateway.readiness import Readiness
from postmill.gateway.run_errors import AnswerErrors
from postmill.gateway.wrappers import AnswerFailures, CheckResponse, LimitBody, Pace
from postmill.service.events import Events
from postmill.web.routes import ANY, Route, RouteTable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from postmill.gateway.flows import Flows
    from postmill.gateway.functions import Functions
    from postmill.gateway.trust import Trust
    from postmill.gateway.wrappers import Response
    from postmill.web.asgi import Receive, Scope, Send

Answer = Callable[..., Awaitable[None]]
"""An application of the wrappers, with the path's names as further arguments."""
FUNCTIONS = "/functions/v1/"
FUNCTION = f"{FUNCTIONS}<name>"
FLOW = "/flows/v1/<flow>/runs"
RUNS = "/flows/v1/runs"
RUN = f"{RUNS}/<id>"
OF_THE_FUNCTION = "of the function"
"""Credentials: what the function's settings ask for."""
OF_THE_RUN = "of the run"
"""Credentials: the service role's, or the token of the run that the path names."""
CALLED_WITH = (*METHODS, "WEBSOCKET")
"""The methods that a function answers. A WebSocket has no method."""
READ = ("GET", "OPTIONS")
"""What a page of another origin may read asks first whether it may."""


class Gateway:
    """``trust`` is asked at each request, so that keys can be changed while it runs."""

    def __init__(
        self,
        host: Functions,
        trust: Trust,
        flows: Flows | None = None,
        *,
        max_body_bytes: int,
        readiness: Readiness | None = None,
        pace: Pace = Pace(),  # noqa: B008 - frozen
        clock: Callable[[], float] = time.time,
        identity: str = "",
    ) -> None:
        """``flows``: answers what is asked of runs; without it there are no such routes."""
        self._host = host
        self._flows = flows
        credentials = Credentials(trust, clock)
        self._control = Control(host, readiness or _always(), identity)
        self._bounds = (max_body_bytes, pace)
        self._open = LimitBody(self._handle, max_body_bytes, pace)
        ask = LimitBody(DropBody(self._handle), max_body_bytes, pace)
        self._guarded = Authenticate(self._open, ask, host, credentials)
        self._table = RouteTable([_guarded(route, credentials) for route in self.routes])
        self._application = CheckResponse(AnswerFailures(self._find, Events(), logged=FUNCTIONS))

    @property
    def routes(self) -> Sequence[Route[Answer]]:
        """All routes: the first one that fits answers."""
        control = self._control
        return (
            Route(CALLED_WITH, FUNCTION, self._call, OF_THE_FUNCTION),
            Route(CALLED_WITH, f"{FUNCTION}/*", self._call, OF_THE_FUNCTION),
            Route(ANY, "/live", control.live),
            Route(ANY, "/ready", control.ready),
            Route(ANY, host_proof.PATH, control.prove),
            Route(("GET",), "/control/v1/functions", control.functions, SERVICE_ROLE),
            Route(("POST",), "/control/v1/functions/<name>/recycle", control.recycle, SERVICE_ROLE),
            Route(("POST",), "/control/v1/functions/<name>/start", control.start, SERVICE_ROLE),
            Route(("POST",), "/control/v1/functions/<name>/stop", control.stop, SERVICE_ROLE),
            Route(ANY, "/control/v1/*", control.nothing, SERVICE_ROLE),
            *(() if self._flows is None else self._of_flows(self._flows)),
        )

    def _of_flows(self, flows: Flows) -> Iterator[Route[Answer]]:
        """Those of runs. A flow may be called ``runs``; no run is."""
        for methods, path, answer, credentials in (
            (("POST",), FLOW, flows.start, SERVICE_ROLE),
            (("GET",), RUNS, flows.runs, SERVICE_ROLE),
            (READ, RUN, flows.show, OF_THE_RUN),
            (READ, f"{RUN}/events", flows.events, OF_THE_RUN),
            (READ, f"{RUN}/outputs/<step>", flows.output, OF_THE_RUN),
            (("POST",), f"{RUN}/token", flows.token, SERVICE_ROLE),
            (("POST",), f"{RUN}/cancel", flows.cancel, SERVICE_ROLE),
            (("POST",), f"{RUN}/pause", flows.pause, SERVICE_ROLE),
            (("POST",), f"{RUN}/resume", flows.resume, SERVICE_ROLE),
            (("POST",), f"{RUN}/retry", flows.retry, SERVICE_ROLE),
            (("POST",), f"{RUN}/fork", flows.fork, SERVICE_ROLE),
            (("POST",), f"{RUN}/signals/<name>", flows.signal, SERVICE_ROLE),
            (("POST",), f"{RUN}/approvals/<step>", flows.approve, SERVICE_ROLE),
        ):
            yield Route(methods, path, LimitBody(AnswerErrors(answer), *self._bounds), credentials)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """One exchange, ``http`` or ``websocket``. Ends without an answer only to have the connection cut."""
        return self._application(scope, receive, send)

    async def close(self) -> None:
        """Close its connections to the database. They are opened when a request needs one."""
        if self._flows is not None:
            await self._flows.close()

    def _find(self, scope: Scope, receive: Receive, response: Response) -> Awaitable[None]:
        """Lets the route answer that fits. Raises :class:`NoRoute` when there is none."""
        route, names = self._table.find(scope.get("method", "WEBSOCKET"), scope["path"])
        return route.answer(scope, receive, response, *names)

    def _call(self, scope: Scope, receive: Receive, response: Response, name: str) -> Awaitable[None]:
        """Has the function answer that the path names."""
        settings = self._host.settings_of(name)
        if settings is None or not settings.enabled:
            raise PlatformFailure(platform_errors.no_function(name))
        inner = {
            **scope,
            "root_path": FUNCTIONS + name,
            "function": settings,
            "headers": without_own(scope["headers"]),
        }
        function = self._guarded if settings.verify_jwt else self._open
        return function(inner, receive, response)

    def _handle(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        return self._host.handle(scope["function"].slug, scope, receive, send)


def _guarded(route: Route[Answer], credentials: Credentials) -> Route[Answer]:
    """The route behind what checks its credentials; that of functions reads their settings first."""
    if route.credentials == SERVICE_ROLE:
        return route._replace(answer=RequireServiceRole(route.answer, credentials))
    if route.credentials == OF_THE_RUN:
        return route._replace(answer=RequireReader(route.answer, credentials))
    return route


def _always() -> Readiness:
    readiness = Readiness()
    readiness.started()
    return readiness

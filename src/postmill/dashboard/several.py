"""The dashboards of several databases as one application: each below its own name, a list of all at the root,
and one way in for all of them.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.routing import Mount, Route

from postmill.api.application import application as api
from postmill.api.application import below_root
from postmill.api.desk import Desk, House
from postmill.api.redaction import Redaction
from postmill.api.resources.databases import list_databases
from postmill.api.route import RESOURCES
from postmill.api.several import Several
from postmill.dashboard.application import STATIC, check_way_in, dashboard_over, known_hosts
from postmill.dashboard.compressing import Compressing
from postmill.dashboard.files import Files
from postmill.dashboard.framing import Framing
from postmill.dashboard.live.polling import PollOfAll
from postmill.dashboard.live.watching import Watching
from postmill.dashboard.page import View
from postmill.dashboard.prefixed import at
from postmill.dashboard.rendering import Frame
from postmill.dashboard.security.access import Access
from postmill.dashboard.security.guard import Guard
from postmill.dashboard.security.headers import SecurityHeaders
from postmill.dashboard.signing_in import SigningIn
from postmill.db.tools.sessions import Sessions
from postmill.model.config.dashboard_settings import DashboardSettings
from postmill.model.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Mapping

    from starlette.requests import Request
    from starlette.responses import Response

    from postmill.api.viewer import Authorize
    from postmill.dashboard.application import Dashboard
    from postmill.dashboard.live.hub import Hub
    from postmill.dashboard.security.keys import Keys
    from postmill.model.databases.databases import Databases
    from postmill.model.functions.steering import WatchedFunctions
    from postmill.web.asgi import Receive, Scope, Send

OWN_PATHS = frozenset({"api", "live", "static", "theme"})
"""What the root has itself, so that no database can be shown there."""
AT_THE_ROOT = [each for each in RESOURCES if each.path in {"/databases", "/openapi.json", "/viewer"}]
"""Resources that are about no one database."""


class Dashboards:
    """An ASGI application. ``close`` may be called twice, and :meth:`end_streams` before it."""

    def __init__(
        self, of: Mapping[str, Dashboard], root: House, access: Access, hosts: Collection[str]
    ) -> None:
        """``root``: with what requests are answered that are about no one database."""
        self.access = access
        self._of = of
        watching = Watching(PollOfAll({name: dashboard.poll for name, dashboard in of.items()}), access)
        self._streaming = watching.streaming
        listing = _Listing(root, access, self._streaming.hub)
        inner = Starlette(
            routes=[
                *SigningIn(listing).routes(),
                watching.route,
                Mount("/api/v1", api(root, access.viewer, AT_THE_ROOT)),
                Mount("/static", Files(STATIC)),
                Route("/{path:path}", listing.answer, methods=["GET"]),
            ],
            exception_handlers={Exception: listing.broken},
            lifespan=self._lifespan,
        )
        self._root = Compressing(SecurityHeaders(Guard(inner, hosts)))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        name = below_root(scope).strip("/").partition("/")[0] if "path" in scope else ""
        if name not in self._of:
            await self._root(scope, receive, send)
            return
        root = str(scope.get("root_path", "")).rstrip("/")
        whole = at(scope, root) if root else scope
        await self._of[name](at(whole, f"{root}/{name}"), receive, send)

    def end_streams(self) -> None:
        """End what a server that stops would wait for. From now on no page is told of changes."""
        for streams in (self._streaming.close, *(each.end_streams for each in self._of.values())):
            streams()

    async def close(self) -> None:
        """End the streams, and close the connections to the databases."""
        self.end_streams()
        await asyncio.gather(*(dashboard.close() for dashboard in self._of.values()))

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        yield
        await self.close()


class _Listing(Framing):
    """The list of the databases."""

    def __init__(self, house: House, access: Access, hub: Hub) -> None:
        super().__init__(house, access)
        self._hub = hub

    async def _answered(self, request: Request, desk: Desk) -> Response:
        """The page; nothing else is at the root."""
        if request.path_params["path"]:
            return self.nothing(request, desk)
        frame = Frame(desk=desk, versions=dict(self._hub.versions))  # before anything is read
        found = await list_databases(desk)
        return self.rendered(request, "databases.html", View("Databases", {"items": found.items}), frame)


def several(
    databases: Databases,
    *,
    authorize: Authorize | None = None,
    keys: Keys | None = None,
    read_only: bool = False,
    hosts: Collection[str] = (),
    redact: Collection[str] = (),
    trace_url: str | None = None,
    functions: WatchedFunctions | None = None,
) -> Dashboards:
    """The dashboard over several databases; the options and errors are those of :func:`application`.

    Each is shown below its name, and at the root there is a list of all. One session holds for all of them; a
    key that one database knows as revoked does not open that one.
    ``functions`` are shown with the main database. Raises ``InvalidOption`` also for a name that is a path of
    the root.
    """
    check_way_in(authorize, keys)
    _check_names(databases)
    beside: Several[House] = Several(databases.names)
    hide = Redaction(redact)
    traces = DashboardSettings(trace_url=trace_url).trace_url
    for name, address in databases.addresses.items():
        beside.houses[name] = House(
            Sessions(address, "postmill dashboard"),
            read_only,
            hide,
            functions=functions if name == databases.main else None,
            trace_url=traces,
            database=name,
            several=beside,
        )
    root = House(beside.houses[databases.main].sessions, read_only, hide, database="", several=beside)
    of = {name: dashboard_over(house, authorize, keys, hosts) for name, house in beside.houses.items()}
    return Dashboards(of, root, Access(authorize, keys, beside.is_revoked), known_hosts(hosts))


def _check_names(databases: Databases) -> None:
    for name in databases.names:
        if name in OWN_PATHS:
            raise InvalidOption(
                f"The dashboard can't show a database called {name}.",
                why=f"/{name} is a path of its own.",
                hint="Call it otherwise in [databases].",
            )

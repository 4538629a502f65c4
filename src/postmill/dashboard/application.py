"""The dashboard as an ASGI application: its pages, the API under ``/api/v1``, and its files. It may be
mounted at any path.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.routing import Mount, Route

from postmill.api.application import application as api
from postmill.api.desk import House
from postmill.api.redaction import Redaction
from postmill.dashboard import pages
from postmill.dashboard.answering import Front
from postmill.dashboard.compressing import Compressing
from postmill.dashboard.files import Files
from postmill.dashboard.live.polling import PollOfOne
from postmill.dashboard.live.watching import Watching
from postmill.dashboard.security.access import Access
from postmill.dashboard.security.guard import Guard
from postmill.dashboard.security.headers import SecurityHeaders
from postmill.dashboard.signing_in import SigningIn
from postmill.db.tools import revoked_keys
from postmill.db.tools.sessions import Sessions
from postmill.model.config.address import parse
from postmill.model.config.dashboard_settings import DashboardSettings
from postmill.model.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection

    from postmill.api.viewer import Authorize
    from postmill.dashboard.security.keys import Keys
    from postmill.model.functions.steering import WatchedFunctions
    from postmill.web.asgi import Receive, Scope, Send

_ = pages  # declares them
STATIC = Path(__file__).parent / "static"


class Dashboard:
    """An ASGI application. ``close`` may be called twice, and :meth:`end_streams` before it."""

    def __init__(self, house: House, poll: PollOfOne, access: Access, hosts: Collection[str]) -> None:
        self.access = access
        self.house = house
        self.poll = poll
        watching = Watching(poll, access)
        self._streaming = watching.streaming
        front = Front(house, access, self._streaming.hub)
        inner = Starlette(
            routes=[
                *SigningIn(front).routes(),
                watching.route,
                Mount("/api/v1", api(house, access.viewer)),
                Mount("/static", Files(STATIC)),
                Route("/{path:path}", front.answer, methods=["GET", "POST"]),
            ],
            exception_handlers={Exception: front.broken},
            lifespan=self._lifespan,
        )
        self._application = Compressing(SecurityHeaders(Guard(inner, hosts)))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self._application(scope, receive, send)

    def end_streams(self) -> None:
        """End what a server that stops would wait for. From now on no page is told of changes."""
        self._streaming.close()

    async def close(self) -> None:
        """End the streams, and close the connections to the database."""
        self.end_streams()
        await self.poll.close()
        await self.house.sessions.close()

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        yield
        await self.close()


def application(
    *,
    db_url: str,
    authorize: Authorize | None = None,
    keys: Keys | None = None,
    read_only: bool = False,
    hosts: Collection[str] = (),
    redact: Collection[str] = (),
    trace_url: str | None = None,
    functions: WatchedFunctions | None = None,
) -> Dashboard:
    """The dashboard over the database at ``db_url``.

    Who may look is told by ``authorize``, which is given the ASGI scope of each request, or by ``keys`` of
    the project: then a person signs in with one. ``read_only``: it shows, and changes nothing. ``hosts``:
    names under which it is reached; IP addresses and ``localhost`` need none. ``redact``: names before
    secrets, beside those that are known. ``trace_url``: where a trace is shown, an address with
    ``{trace_id}`` in it. ``functions``: the host of functions in this process. Raises ``InvalidOption`` when
    there is no way in, or for an address without that, and ``InvalidAddress``.
    """
    check_way_in(authorize, keys)
    traces = DashboardSettings(trace_url=trace_url).trace_url
    sessions = Sessions(parse(db_url), "postmill dashboard")
    house = House(sessions, read_only, Redaction(redact), functions=functions, trace_url=traces)
    return dashboard_over(house, authorize, keys, hosts)


def dashboard_over(
    house: House, authorize: Authorize | None, keys: Keys | None, hosts: Collection[str]
) -> Dashboard:
    """The dashboard over a database; see :func:`application`."""
    sessions = house.sessions

    async def is_revoked(key_id: str, name: str, issued_s: float) -> bool:
        return await sessions.read(revoked_keys.is_revoked, key_id, name, issued_s)

    poll = PollOfOne(Sessions(sessions.address, "postmill dashboard, live", size=1), house.functions)
    return Dashboard(house, poll, Access(authorize, keys, is_revoked), known_hosts(hosts))


def known_hosts(hosts: Collection[str]) -> Collection[str]:
    """Names as a request's ``Host`` is compared with them."""
    return frozenset(each.lower().rstrip(".") for each in hosts)


def check_way_in(authorize: Authorize | None, keys: Keys | None) -> None:
    """Raises ``InvalidOption`` unless one of both says who may look."""
    if (authorize is None) == (keys is None):
        raise InvalidOption(
            "The dashboard is not told who may look.",
            why="It is closed to all who are not known.",
            hint="Give authorize, which returns a Viewer for a request, or keys; one of both.",
        )

"""Stands before everything: refuses foreign hosts, and what another site's page makes a browser send."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.datastructures import Headers

from postmill.api.endpoint import told
from postmill.api.origin import is_foreign
from postmill.api.problem import problem
from postmill.dashboard.security.hosts import may_be_named

if TYPE_CHECKING:
    from collections.abc import Collection

    from starlette.responses import Response

    from postmill.web.asgi import Application, Receive, Scope, Send


class Guard:
    """Lets through to ``application`` what may come in. ``hosts`` are the names it may be reached under."""

    def __init__(self, application: Application, hosts: Collection[str]) -> None:
        self._application = application
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on."""
        refused = self._refused(scope) if scope["type"] == "http" else None
        await (refused or self._application)(scope, receive, send)

    def _refused(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not may_be_named(host, self._hosts):
            return told(
                problem(
                    HTTPStatus.MISDIRECTED_REQUEST,
                    "unknown-host",
                    "The dashboard is not known under this name.",
                    "A foreign page could have a name of its own point here.",
                    "Use its IP address, or add the name to hosts in [dashboard].",
                )
            )
        if not is_foreign(scope["method"], headers):
            return None
        return told(
            problem(
                HTTPStatus.FORBIDDEN,
                "cross-site",
                "This was not sent by a page of the dashboard.",
                "Another site's page can make a browser send it, with the cookie of who is signed in.",
                "Use the dashboard's own pages, or send a key: Authorization: Bearer KEY.",
            )
        )

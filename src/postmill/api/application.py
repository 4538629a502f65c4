"""The API as an ASGI application. It may be mounted at any path."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.routing import Route

from postmill.api import resources
from postmill.api.desk import Desk
from postmill.api.endpoint import answer, told
from postmill.api.problem import problem
from postmill.api.route import RESOURCES, Resource

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from postmill.api.viewer import Authorize
    from postmill.db.tools.sessions import Sessions

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
"""Those that reach a resource, which says itself what it offers."""

_ = resources  # declares them


def application(sessions: Sessions, authorize: Authorize, *, read_only: bool = False) -> Starlette:
    """The API over ``sessions``, for those that ``authorize`` knows."""

    def endpoint(offered: dict[str, Resource]) -> Callable[[Request], Awaitable[Response]]:
        async def respond(request: Request) -> Response:
            viewer = await authorize(request.scope)
            if viewer is None:
                return told(
                    problem(HTTPStatus.UNAUTHORIZED, "unauthorized", "This needs a key."),
                    {"www-authenticate": "Bearer"},
                )
            return await answer(offered, request, Desk(sessions, viewer, read_only))

        return respond

    paths: dict[str, dict[str, Resource]] = {}
    for each in RESOURCES:
        paths.setdefault(each.path, {})[each.method] = each
    routes = [Route(path, endpoint(offered), methods=METHODS) for path, offered in paths.items()]
    return Starlette(routes=routes, exception_handlers={404: _nothing})


async def _nothing(_: Request, __: Exception) -> Response:
    return told(problem(HTTPStatus.NOT_FOUND, "not-found", "There is nothing here."))

"""The API as an ASGI application. It may be mounted at any path."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.websockets import WebSocketClose

from postmill.api import resources
from postmill.api.endpoint import answer, told
from postmill.api.origin import is_foreign
from postmill.api.problem import problem, problem_of
from postmill.api.route import RESOURCES, Routes
from postmill.model.errors import PostmillError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.responses import Response
    from starlette.types import Receive, Scope, Send

    from postmill.api.desk import House
    from postmill.api.problem import Problem
    from postmill.api.route import Resource
    from postmill.api.viewer import Authorize, Viewer

_ = resources  # declares them


def application(house: House, authorize: Authorize, offered: Iterable[Resource] = RESOURCES) -> Starlette:
    """The API over ``house``, for those that ``authorize`` knows; ``offered``: what it answers."""
    made = Starlette(exception_handlers={Exception: _broken})
    made.router.default = _Api(house, authorize, offered)  # Starlette's patterns take no line end in a path
    return made


class _Api:
    def __init__(self, house: House, authorize: Authorize, offered: Iterable[Resource]) -> None:
        self._house = house
        self._authorize = authorize
        self._routes = Routes(offered)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await WebSocketClose()(scope, receive, send)
            return
        request = Request(scope, receive)
        response = await self._respond(request)
        if request.method == "HEAD":
            response.body = b""
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        try:
            viewer = await self._authorize(request.scope)
        except PostmillError as error:  # the database, which knows the keys that are revoked, is away
            return told(problem_of(error))
        if viewer is None:
            return told(_unauthorized(request), {"www-authenticate": "Bearer"})
        if is_foreign(request.method, request.headers):
            return told(
                problem(
                    HTTPStatus.FORBIDDEN,
                    "foreign-origin",
                    "A page of another origin has sent this.",
                    hint="A program sends its key as authorization: Bearer KEY, and no cookie.",
                )
            )
        found = self._routes.find(segments(request.scope))
        if found is None:
            return told(_nothing(self._house))
        offered, names = found
        request.scope["path_params"] = names
        return await answer(offered, names, request, self._house, _with_source(viewer, request))


def segments(scope: Scope) -> list[str]:
    """The parts of the path below the application, each decoded by itself. Servers decode ``path`` as a
    whole, where a ``/`` in a name looks like any other: ``raw_path`` has it as it was sent, from the root.
    """
    below = below_root(scope)
    raw = (scope.get("raw_path") or b"").partition(b"?")[0].decode("latin-1")
    sent = below
    for start in (place for place, letter in enumerate(raw) if letter == "/"):
        if unquote(raw[start:]) == below:
            sent = raw[start:]
            break
    else:
        return below.strip("/").split("/")
    return [unquote(part) for part in sent.strip("/").split("/")]


def below_root(scope: Scope) -> str:
    """The path below that of the application, which some servers leave out of ``path``."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "").rstrip("/")
    return path[len(root) :] if path == root or path.startswith(f"{root}/") else path


def _with_source(viewer: Viewer, request: Request) -> Viewer:
    if viewer.source or request.client is None:
        return viewer
    return replace(viewer, source=request.client.host)


async def _broken(_: Request, __: Exception) -> Response:
    return told(
        problem(
            HTTPStatus.INTERNAL_SERVER_ERROR,
            "error",
            "Something went wrong in Postmill.",
            why="This is a bug. The log of this process has its traceback.",
        )
    )


def _nothing(house: House) -> Problem:
    hint = ""
    if house.several is not None:
        paths = ", ".join(f"/{name}/api/v1" for name in house.several.names)
        hint = f"The API of each database is below its own path: {paths}."
    return problem(HTTPStatus.NOT_FOUND, "not-found", "There is nothing here.", hint=hint)


def _unauthorized(request: Request) -> Problem:
    if "authorization" in request.headers:
        return problem(
            HTTPStatus.UNAUTHORIZED,
            "unauthorized",
            "This key does not open the API.",
            why="It is not known here, was revoked, has expired, or is the publishable one.",
            hint="postmill keys show secret prints one that does; postmill keys create NAME makes one.",
        )
    return problem(
        HTTPStatus.UNAUTHORIZED,
        "unauthorized",
        "This needs a key.",
        hint="Send the header authorization: Bearer KEY.",
    )

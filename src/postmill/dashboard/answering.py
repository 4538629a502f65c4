"""From a request to a page, and from a form to an action and the page that comes after it."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote

from postmill.api.desk import Desk
from postmill.api.problem import Failure, problem, problem_of
from postmill.dashboard.form import last_of, read_form
from postmill.dashboard.mount import base_of, forget, go_to, keep
from postmill.dashboard.page import View, Visit, decoded
from postmill.dashboard.rendering import Frame, rendered
from postmill.model.errors import PostmillError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from postmill.api.problem import Problem
    from postmill.dashboard.live.hub import Hub
    from postmill.dashboard.page import Action, Page
    from postmill.dashboard.security.access import Access
    from postmill.db.tools.sessions import Sessions

    Endpoint = Callable[[Request], Awaitable[Response]]

NOTICE_S = 20
"""How long a notice waits for the page that shows it, in seconds. The page follows at once; 20 s are for a
slow connection, and a notice that comes later would be taken for one about something else.
"""


class Front:
    """Makes the endpoints of pages and actions, and answers those that are not known."""

    def __init__(self, sessions: Sessions, access: Access, hub: Hub, *, read_only: bool) -> None:
        self._sessions = sessions
        self._hub = hub
        self.access = access
        self.read_only = read_only

    def page(self, page: Page) -> Endpoint:
        """The endpoint that shows the page."""

        async def respond(request: Request) -> Response:
            desk = await self._desk(request)
            return await self._shown(page, request, desk) if desk else self.closed(request)

        return respond

    def action(self, action: Action) -> Endpoint:
        """The endpoint that does it, and goes on to the next page."""

        async def respond(request: Request) -> Response:
            desk = await self._desk(request)
            return await self._done(action, request, desk) if desk else self.closed(request)

        return respond

    async def nothing(self, request: Request, _: Exception) -> Response:
        """For a path that leads nowhere."""
        if await self._desk(request) is None:
            return self.closed(request)
        return self.told(request, problem(HTTPStatus.NOT_FOUND, "not-found", "There is no such page."))

    async def broken(self, request: Request, _: Exception) -> Response:
        """For a fault of ours: nothing about it is shown; the server logs it."""
        return self.told(
            request,
            problem(
                HTTPStatus.INTERNAL_SERVER_ERROR,
                "internal",
                "The page can't be shown.",
                "It is a fault of Postmill's; the log of the process tells it.",
            ),
        )

    async def _desk(self, request: Request) -> Desk | None:
        viewer = await self.access.viewer(request.scope)
        return None if viewer is None else Desk(self._sessions, viewer, self.read_only)

    async def _shown(self, page: Page, request: Request, desk: Desk, tried: Visit | None = None) -> Response:
        versions = dict(self._hub.versions)  # before anything is read: the page is as new as these
        visit = tried or Visit(desk, decoded(request.path_params), dict(request.query_params))
        trouble = visit.problem
        try:
            view = await page.show(visit)
        except (Failure, PostmillError) as error:
            return self.told(request, trouble or _problem(error), desk, page.tab)
        return self.rendered(
            request,
            page.template,
            view,
            Frame(tab=page.tab, desk=desk, problem=trouble, typed=visit.form, versions=versions),
        )

    async def _done(self, action: Action, request: Request, desk: Desk) -> Response:
        path, query = decoded(request.path_params), dict(request.query_params)
        fields: dict[str, list[str]] = {}
        try:
            fields = await read_form(request)
            done = await action.act(Visit(desk, path, query, last_of(fields), fields))
        except (Failure, PostmillError) as error:
            tried = Visit(desk, path, query, last_of(fields), fields, _problem(error))
            return await self._shown(action.page, request, desk, tried)
        answer, seal = go_to(request, done.to), self.access.seal
        keep(request, answer, seal.cookie("notice"), seal.sign("notice", done.notice), NOTICE_S)
        return answer

    def closed(self, request: Request) -> Response:
        """For somebody who is not known: the way to sign in, or that there is none."""
        if self.access.signs_in and request.method == "GET":
            asked = request.url.path.removeprefix(base_of(request))
            asked += f"?{request.url.query}" if request.url.query else ""
            return go_to(request, f"/sign-in?next={quote(asked, safe='/')}")
        return self.told(
            request,
            problem(
                HTTPStatus.UNAUTHORIZED,
                "unauthorized",
                "You are not known here.",
                "The dashboard shows nothing to those it does not know.",
            ),
        )

    def told(self, request: Request, trouble: Problem, desk: Desk | None = None, tab: str = "") -> Response:
        """A problem as a page."""
        frame = Frame(tab=tab, desk=desk, problem=trouble)
        return self.rendered(request, "problem.html", View(trouble.title, {}), frame)

    def rendered(self, request: Request, template: str, view: View, frame: Frame) -> Response:
        """The view as a page, with the notice that waits for it."""
        seal = self.access.seal
        cookie = seal.cookie("notice")
        notice = seal.read("notice", request.cookies.get(cookie, ""))
        framed = replace(frame, notice=notice, signs_in=self.access.signs_in)
        answer = rendered(request, template, view, framed)
        if notice is not None:
            forget(request, answer, cookie)
        return answer


def _problem(error: Failure | PostmillError) -> Problem:
    return error.problem if isinstance(error, Failure) else problem_of(error)

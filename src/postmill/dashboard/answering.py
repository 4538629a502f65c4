"""From a request to a page, and from a form to an action and the page that comes after it."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote

from postmill.api.application import segments
from postmill.api.desk import Desk
from postmill.api.problem import Failure, problem, problem_of, problem_that_tells
from postmill.api.route import Routes
from postmill.api.viewer import Viewer
from postmill.dashboard.form import last_of, read_form
from postmill.dashboard.mount import asked_of, base_of, forget, go_to, keep
from postmill.dashboard.page import ACTIONS, PAGES, Action, Page, View, Visit
from postmill.dashboard.rendering import (
    Frame,
    answered,
    drawn,
    framed,
    is_for_script,
    rendered,
    theme_of,
)
from postmill.dashboard.sharing import Sharing
from postmill.model.errors import PostmillError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from postmill.api.desk import House
    from postmill.api.problem import Problem
    from postmill.dashboard.live.hub import Hub
    from postmill.dashboard.rendering import Main
    from postmill.dashboard.security.access import Access

NOTICE_S = 20
"""How long a notice waits for the page that shows it, in seconds. The page follows at once; 20 s are for a
slow connection, and a notice that comes later would be taken for one about something else.
"""


class Front:
    """Finds what answers a path, shows pages, does what forms ask for, and answers those that are not
    known.
    """

    def __init__(self, house: House, access: Access, hub: Hub) -> None:
        self._house = house
        self._hub = hub
        self._sharing = Sharing(house)
        self._routes: Routes[Page | Action] = Routes([*PAGES, *ACTIONS])
        self.access = access

    async def answer(self, request: Request) -> Response:
        """The page, or what the form does."""
        try:
            viewer = await self.access.viewer(request.scope)
        except PostmillError as error:
            return self.told(request, problem_of(error))
        if viewer is None:
            return self.closed(request)
        desk = Desk(self._house, viewer)
        offered, names = self._routes.find(segments(request.scope)) or ({}, {})
        visit = Visit(desk, names, dict(request.query_params))
        match offered.get("GET" if request.method == "HEAD" else request.method), offered.get("POST"):
            case (Page() as page, _):
                alike = page.shares and not request.cookies.get(self.access.seal.cookie("notice"))
                return await (self._shared if alike else self._shown)(page, request, visit)
            case (Action() as action, _):
                return await self._done(action, request, visit)
            case (None, Action() as action):  # a form that was refused is at its path, and is asked for again
                return go_to(request, action.page.address(names))
        nothing = problem(HTTPStatus.NOT_FOUND, "not-found", "There is no such page.")
        return self.told(request, nothing, desk)

    async def broken(self, request: Request, _: Exception) -> Response:
        """For a fault of Postmill: nothing about it is shown; the server logs it."""
        return self.told(
            request,
            problem(
                HTTPStatus.INTERNAL_SERVER_ERROR,
                "internal",
                "The page can't be shown.",
                "It is a fault of Postmill's; the log of the process tells it.",
            ),
        )

    async def _shared(self, page: Page, request: Request, visit: Visit) -> Response:
        """A page that is drawn once for all viewers of a role, in the frame of this one."""
        base, desk = base_of(request), visit.desk
        role = desk.viewer.role
        anybody = replace(visit, desk=replace(desk, viewer=Viewer("", role)))

        async def draw() -> Main:
            return drawn(page.template, await page.show(anybody), Frame(desk=anybody.desk), base)

        key = (page.path, *sorted(visit.path.items()), base, role, *visit.query.items())
        try:
            found = await self._sharing.drawn(
                key, [each.format_map(visit.path) for each in page.shares], draw
            )
        except (Failure, PostmillError) as error:
            return self.told(request, problem_that_tells(error), desk, page.tab)
        frame = Frame(
            tab=page.tab,
            desk=desk,
            signs_in=self.access.signs_in,
            theme=theme_of(request),
            versions=found.versions,
        )
        parts = is_for_script(request)
        around = None if parts else (desk.viewer.name, frame.theme)
        return answered(found.framed(around, lambda: framed(found.main, frame, base, parts=parts)), frame)

    async def _shown(self, page: Page, request: Request, visit: Visit) -> Response:
        versions = dict(self._hub.versions)  # before anything is read: the page is as new as these
        trouble = visit.problem
        try:
            view = await page.show(visit)
        except (Failure, PostmillError) as error:
            return self.told(request, trouble or problem_that_tells(error), visit.desk, page.tab)
        frame = Frame(
            tab=page.tab,
            desk=visit.desk,
            problem=trouble or view.problem,
            typed=visit.form,
            versions=versions,
        )
        return self.rendered(request, page.template, view, frame)

    async def _done(self, action: Action, request: Request, visit: Visit) -> Response:
        try:
            fields = await read_form(request)
            visit = replace(visit, form=last_of(fields), chosen=fields)
            done = await action.act(visit)
        except (Failure, PostmillError) as error:
            return await self._shown(action.page, request, replace(visit, problem=problem_that_tells(error)))
        if isinstance(done, View):
            return self.rendered(
                request, action.page.template, done, Frame(tab=action.page.tab, desk=visit.desk)
            )
        answer, seal = go_to(request, done.to), self.access.seal
        keep(request, answer, seal.cookie("notice"), seal.sign("notice", done.notice), NOTICE_S)
        return answer

    def closed(self, request: Request) -> Response:
        """For a visitor who is not known: the way to sign in, or that there is none."""
        if self.access.signs_in and request.method == "GET":
            return go_to(request, f"/sign-in?next={quote(asked_of(request), safe='/')}")
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
        whole = replace(frame, notice=notice, signs_in=self.access.signs_in, theme=theme_of(request))
        answer = rendered(request, template, view, whole)
        if notice is not None:
            forget(request, answer, cookie)
        return answer

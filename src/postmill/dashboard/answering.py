"""From a request to a page, and from a form to an action and the page that comes after it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from postmill.api.application import segments
from postmill.api.problem import Failure, check_no_nul, problem_that_tells
from postmill.api.route import Routes
from postmill.api.viewer import Viewer
from postmill.dashboard.form import last_of, read_form
from postmill.dashboard.framing import Framing
from postmill.dashboard.mount import base_of, go_to
from postmill.dashboard.notice import leave, waiting_for
from postmill.dashboard.page import ACTIONS, PAGES, Action, Page, View, Visit
from postmill.dashboard.rendering import (
    Frame,
    answered,
    drawn,
    framed,
    is_for_script,
    theme_of,
)
from postmill.dashboard.sharing import Sharing
from postmill.model.errors import PostmillError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from postmill.api.desk import Desk, House
    from postmill.dashboard.live.hub import Hub
    from postmill.dashboard.rendering import Main
    from postmill.dashboard.security.access import Access


class Front(Framing):
    """Finds what answers a path, shows pages, and does what forms ask for."""

    def __init__(self, house: House, access: Access, hub: Hub) -> None:
        super().__init__(house, access)
        self._hub = hub
        self._sharing = Sharing(house)
        self._routes: Routes[Page | Action] = Routes([*PAGES, *ACTIONS])

    async def _answered(self, request: Request, desk: Desk) -> Response:
        """The page, or what the form does."""
        offered, names = self._routes.find(segments(request.scope)) or ({}, {})
        visit = Visit(desk, names, dict(request.query_params))
        try:
            check_no_nul((*names.values(), *visit.query.values()))
        except Failure as failure:
            return self.told(request, failure.problem, desk)
        match offered.get("GET" if request.method == "HEAD" else request.method), offered.get("POST"):
            case (Page() as page, _):
                alike = page.shares and waiting_for(request) is None
                return await (self._shared if alike else self._shown)(page, request, visit)
            case (Action() as action, _):
                return await self._done(action, request, visit)
            case (None, Action() as action):  # a form that was refused is at its path, and is asked for again
                return go_to(request, action.page.address(names))
        return self.nothing(request, desk)

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
        answer = go_to(request, done.to)
        leave(request, answer, done.to, done.notice)
        return answer

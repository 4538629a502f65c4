"""What is answered in the dashboard's frame whatever is asked for: problems, the way to the door, and pages
with the notice that waits for them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote

from postmill.api.desk import Desk
from postmill.api.problem import problem, problem_of
from postmill.dashboard.mount import asked_of, base_of, go_to, home_of
from postmill.dashboard.notice import take_away, waiting_for
from postmill.dashboard.page import View
from postmill.dashboard.rendering import Frame, rendered, theme_of
from postmill.model.errors import PostmillError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from postmill.api.desk import House
    from postmill.api.problem import Problem
    from postmill.dashboard.security.access import Access


class Framing(ABC):
    """Answers those that are not known, and tells what went wrong; the rest is for those who come from it."""

    def __init__(self, house: House, access: Access) -> None:
        self._house = house
        self.access = access

    def home(self, request: Request) -> str:
        """The path below which a session holds."""
        return home_of(base_of(request), self._house)

    async def answer(self, request: Request) -> Response:
        """What a viewer asks for, or the way to the door."""
        try:
            viewer = await self.access.viewer(request.scope)
        except PostmillError as error:
            return self.told(request, problem_of(error))
        if viewer is None:
            return self.closed(request)
        return await self._answered(request, Desk(self._house, viewer))

    @abstractmethod
    async def _answered(self, request: Request, desk: Desk) -> Response:
        """What a known viewer asks for."""

    def nothing(self, request: Request, desk: Desk) -> Response:
        """For a path at which there is no page."""
        return self.told(request, problem(HTTPStatus.NOT_FOUND, "not-found", "There is no such page."), desk)

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
        notice = waiting_for(request)
        whole = replace(frame, notice=notice, signs_in=self.access.signs_in, theme=theme_of(request))
        answer = rendered(request, template, view, whole)
        if notice is not None:
            take_away(request, answer)
        return answer

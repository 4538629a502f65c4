"""Signing in with a key, and out; and the choice of the theme, which belongs to no page either."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.routing import Route

from postmill.api.problem import Failure, problem, problem_that_tells
from postmill.dashboard.form import last_of, read_form
from postmill.dashboard.mount import came_from, forget, go_to, keep
from postmill.dashboard.page import View
from postmill.dashboard.rendering import THEME_COOKIE, THEMES, Frame
from postmill.dashboard.security.cookies import LIFE_S
from postmill.model.errors import PostmillError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from postmill.api.problem import Problem
    from postmill.dashboard.framing import Framing
    from postmill.dashboard.security.keys import Opened

YEAR_S = 365 * 24 * 3600
"""How long a browser keeps the choice of the theme, in seconds. A year, which each choice begins anew."""


class SigningIn:
    """The routes of the way in and out."""

    def __init__(self, framing: Framing) -> None:
        self._framing = framing
        self._access = framing.access

    def routes(self) -> list[Route]:
        """All of them; without keys of its own there is no signing in."""
        ways = [
            Route("/sign-in", self._ask, methods=["GET"]),
            Route("/sign-in", self._sign_in, methods=["POST"]),
            Route("/sign-out", self._sign_out, methods=["POST"]),
        ]
        return [*(ways if self._access.signs_in else ()), Route("/theme", self._theme, methods=["POST"])]

    async def _ask(self, request: Request) -> Response:
        if once := request.query_params.get("once"):
            opened = self._access.use_ticket(once)
            if opened is not None:
                return self._let_in(request, opened, "/")
            used = problem(HTTPStatus.FORBIDDEN, "unauthorized", "This link was used, or is too old.")
            return self._form(request, "/", used)
        return self._form(request, request.query_params.get("next", "/"))

    async def _sign_in(self, request: Request) -> Response:
        try:
            form = last_of(await read_form(request))
            opened, to = await self._access.opened(form.get("key", "")), form.get("next", "/")
        except (Failure, PostmillError) as error:
            return self._framing.told(request, problem_that_tells(error))
        if opened is None:
            refused = problem(HTTPStatus.FORBIDDEN, "unauthorized", "This key does not open the dashboard.")
            return self._form(request, to, refused)
        return self._let_in(request, opened, to)

    def _form(self, request: Request, to: str, trouble: Problem | None = None) -> Response:
        return self._framing.rendered(
            request, "sign_in.html", View("Sign in", {"next": to}), Frame(problem=trouble)
        )

    def _let_in(self, request: Request, opened: Opened, to: str) -> Response:
        answer, seal = go_to(request, to), self._access.seal
        session, home = seal.session(opened, time.time()), self._framing.home(request)
        keep(request, answer, seal.cookie("session"), session, int(LIFE_S), home)
        return answer

    async def _sign_out(self, request: Request) -> Response:
        answer = go_to(request, "/sign-in")
        forget(answer, self._access.seal.cookie("session"), self._framing.home(request))
        return answer

    async def _theme(self, request: Request) -> Response:
        try:
            chosen = last_of(await read_form(request)).get("theme", "")
        except Failure as failure:
            return self._framing.told(request, failure.problem)
        answer = go_to(request, came_from(request))
        theme = chosen if chosen in THEMES else ""
        keep(request, answer, THEME_COOKIE, theme, YEAR_S, self._framing.home(request))
        return answer

"""From a view to HTML. Every value is escaped by the template engine; no page marks text as safe."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse

from postmill.api.viewer import Role
from postmill.dashboard.filters import FILTERS
from postmill.dashboard.live.topics import quoted
from postmill.dashboard.mount import base_of
from postmill.dashboard.navigation import TABS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from postmill.api.desk import Desk
    from postmill.api.problem import Problem
    from postmill.dashboard.page import View

PARTS = "postmill-parts"
"""The header by which our own script asks for a page without its frame."""
THEME_COOKIE = "postmill_theme"
THEMES = ("light", "dark")


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("postmill.dashboard"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters.update(FILTERS)
    return environment


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What a page shows beside its own."""

    tab: str = ""
    """The entry of the navigation that is marked."""
    desk: Desk | None = None
    """None: the visitor is not known."""
    notice: object = None
    problem: Problem | None = None
    typed: Mapping[str, str] = field(default_factory=dict)
    """What was typed into the form that was refused."""
    signs_in: bool = False
    versions: Mapping[str, str] = field(default_factory=dict)
    """The version of each topic that the page is at least as new as."""


class _Typed(dict[str, str]):
    """What was typed; nothing into the other fields."""

    def __missing__(self, _: str) -> str:
        return ""


class _Topics:
    """The topics that a page shows, noted while it is drawn."""

    def __init__(self, versions: Mapping[str, str]) -> None:
        self._versions = versions
        self._shown: list[str] = []

    def live(self, *topics: str) -> Markup:
        """The attribute of a part of the page that shows these topics."""
        self._shown += topics
        return Markup('data-live="{}"').format(" ".join(map(quoted, topics)))

    def versions(self) -> str:
        """The versions of what the page shows, as JSON."""
        return json.dumps(
            {quoted(each): self._versions[each] for each in self._shown if each in self._versions}
        )


def rendered(request: Request, template: str, view: View, frame: Frame) -> HTMLResponse:
    """The view as a page, or, for our script, its main part alone."""
    chosen, desk = request.cookies.get(THEME_COOKIE, ""), frame.desk
    shown = _Topics(frame.versions)
    text = (
        _environment()
        .get_template(template)
        .render(
            **view.values,
            layout="parts.html" if PARTS in request.headers else "base.html",
            title=view.title,
            base=base_of(request),
            tab=frame.tab,
            tabs=TABS,
            viewer=None if desk is None else desk.viewer,
            may_act=desk is not None and desk.viewer.role is Role.OPERATOR and not desk.house.read_only,
            notice=frame.notice,
            problem=frame.problem,
            typed=_Typed(frame.typed),
            signs_in=frame.signs_in,
            theme=chosen if chosen in THEMES else "",
            live=shown.live,
            versions=shown.versions,
        )
    )
    return HTMLResponse(text, HTTPStatus.OK if frame.problem is None else frame.problem.status)

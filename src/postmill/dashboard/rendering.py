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
from postmill.dashboard.mount import base_of, home_of
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
    notice: str | None = None
    problem: Problem | None = None
    typed: Mapping[str, str] = field(default_factory=dict)
    """What was typed into the form that was refused."""
    signs_in: bool = False
    theme: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    """The version of each topic that the page is at least as new as."""


class _Typed(dict[str, str]):
    """What was typed; nothing into the other fields."""

    def __missing__(self, _: str) -> str:
        return ""


class _Topics:
    """The topics that a page shows, noted while it is drawn."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def live(self, *topics: str) -> Markup:
        """The attribute of a part of the page that shows these topics."""
        self.shown += topics
        return Markup('data-live="{}"').format(" ".join(map(quoted, topics)))


@dataclass(frozen=True, slots=True)
class Main:
    """The main part of a page."""

    title: str
    text: Markup
    topics: tuple[str, ...]
    """What it shows that changes."""


def drawn(template: str, view: View, frame: Frame, base: str) -> Main:
    """The view as the main part of a page. ``base``: where the dashboard is mounted."""
    topics = _Topics()
    values = {**view.values, **_known(frame, base), "title": view.title, "live": topics.live}
    text = _environment().get_template(template).render(values, layout="main.html")
    return Main(view.title, Markup(text), tuple(dict.fromkeys(topics.shown)))  # noqa: S704 - it was escaped


def framed(main: Main, frame: Frame, base: str, *, parts: bool) -> bytes:
    """The main part as a page, or, for our script, with nothing around it."""
    return (
        _environment()
        .get_template("parts.html" if parts else "base.html")
        .render(
            _known(frame, base),
            main=main.text,
            title=main.title,
            tab=frame.tab,
            **_around(frame, base),
            notice=frame.notice,
            signs_in=frame.signs_in,
            versions=json.dumps(
                {quoted(each): frame.versions[each] for each in main.topics if each in frame.versions}
            ),
        )
        .encode()
    )


def rendered(request: Request, template: str, view: View, frame: Frame) -> HTMLResponse:
    """The view as a page, or, for our script, its main part alone."""
    base = base_of(request)
    main = drawn(template, view, frame, base)
    return answered(framed(main, frame, base, parts=is_for_script(request)), frame)


def answered(body: bytes, frame: Frame) -> HTMLResponse:
    """A page as it is sent."""
    return HTMLResponse(body, HTTPStatus.OK if frame.problem is None else frame.problem.status)


def is_for_script(request: Request) -> bool:
    """Whether our script asks, for the main part alone."""
    return PARTS in request.headers


def theme_of(request: Request) -> str:
    """What was chosen; empty: as the system has it."""
    chosen = request.cookies.get(THEME_COOKIE, "")
    return chosen if chosen in THEMES else ""


def _around(frame: Frame, base: str) -> dict[str, object]:
    """What the header leads to: pages, and databases that are shown beside this one. ``database`` is empty
    where all of them are listed, which has no pages.
    """
    house = None if frame.desk is None else frame.desk.house
    if house is None or house.several is None:
        return {"tabs": TABS, "databases": ()}
    return {
        "tabs": TABS if house.database else (),
        "databases": house.several.names,
        "database": house.database,
        "home": home_of(base, house),
        "path": next((each.path for each in TABS if each.name == frame.tab), "/"),
    }


def _known(frame: Frame, base: str) -> dict[str, object]:
    """What every template may ask for."""
    desk = frame.desk
    return {
        "base": base,
        "viewer": None if desk is None else desk.viewer,
        "may_act": desk is not None and desk.viewer.role is Role.OPERATOR and not desk.house.read_only,
        "theme": frame.theme,
        "problem": frame.problem,
        "typed": _Typed(frame.typed),
    }

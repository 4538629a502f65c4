"""How a page and its actions are declared, and what each is given and returns.

One file of ``pages/`` declares a page with :func:`page` and what its forms do with :func:`action`; its
template has the file's name. Importing :mod:`postmill.dashboard.pages` fills the lists.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar
from urllib.parse import quote

import msgspec

from postmill.api.misfit import check_no_nul, misfit
from postmill.api.problem import Failure

if TYPE_CHECKING:
    from postmill.api.desk import Desk
    from postmill.api.problem import Problem

S = TypeVar("S", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class Visit:
    """One request for a page, or one form that was sent."""

    desk: Desk
    path: Mapping[str, str]
    """The names in the page's path."""
    query: Mapping[str, str]
    form: Mapping[str, str] = field(default_factory=dict)
    """What was typed: the form of an action, also when its page is shown again with ``problem``."""
    chosen: Mapping[str, list[str]] = field(default_factory=dict)
    """Every value of each name of the form, for boxes that can be ticked together."""
    problem: Problem | None = None
    """Why the action that was asked for did not happen."""

    def in_path(self, into: type[S], **more: str) -> S:
        """The path as a resource takes it. Raises :class:`Failure` for what can't be."""
        return self._as({**self.path, **more}, into)

    def in_query(self, into: type[S], **more: str) -> S:
        """Of the query, what the resource knows by name; an empty field of a form is left out."""
        names = {each.encode_name for each in msgspec.structs.fields(into)}
        given = {name: text for name, text in self.query.items() if name in names and text}
        return self._as({**given, **more}, into)

    def typed(self, name: str) -> str | None:
        """What was typed into the field; None for nothing."""
        return self.form.get(name, "").strip() or None

    def check_typed(self, name: str) -> None:
        """Raises :class:`Failure` unless the name of what is lost was typed: this can't be undone."""
        if self.typed("confirm") != name:
            raise Failure(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "not-confirmed",
                "Nothing was done: the name that was typed is another one.",
                hint=f"Type {name}, as it stands here.",
            )

    @staticmethod
    def _as(values: Mapping[str, str], into: type[S]) -> S:
        check_no_nul(values.values())
        try:
            return msgspec.convert(dict(values), into, strict=False)
        except msgspec.ValidationError as error:
            what, why, _ = misfit(error)
            raise Failure(HTTPStatus.BAD_REQUEST, "invalid-option", what, why=why) from error


@dataclass(frozen=True, slots=True)
class View:
    """What a page shows."""

    title: str
    values: Mapping[str, Any]
    """What its template is given."""
    problem: Problem | None = None
    """Why it does not show what was asked for, where it shows the question."""


@dataclass(frozen=True, slots=True)
class Done:
    """An action took effect."""

    to: str
    """The page that is shown next: a path inside of the dashboard."""
    notice: str
    """One sentence that is shown there once."""


Show: TypeAlias = Callable[[Visit], Awaitable[View]]
Act: TypeAlias = Callable[[Visit], Awaitable[Done | View]]
"""What it returns is shown next: a page, or, after what changes nothing, the action's own page with more in
it.
"""


@dataclass(frozen=True, slots=True)
class Page:
    """A page at a path."""

    path: str
    template: str
    tab: str
    """The entry of the navigation that it belongs to."""
    show: Show
    shares: tuple[str, ...] = ()
    """Topics, with names of the path in braces: as long as they have the same versions, all viewers of a role
    see the same at the same address. Then it is drawn once for them; without topics, for each.
    """
    method: str = "GET"

    @property
    def segments(self) -> tuple[str, ...]:
        """The parts of its path."""
        return tuple(self.path.removeprefix("/").split("/"))

    def address(self, names: Mapping[str, str]) -> str:
        """Its path with these names in it."""
        return self.path.format_map({name: quote(text, safe="") for name, text in names.items()})


@dataclass(frozen=True, slots=True)
class Action:
    """What a form does."""

    path: str
    page: Page
    """Shown again, with the problem, when the action is refused. Its names are in the action's path too."""
    act: Act
    method: str = "POST"

    @property
    def segments(self) -> tuple[str, ...]:
        """The parts of its path."""
        return tuple(self.path.removeprefix("/").split("/"))


PAGES: list[Page] = []
"""All pages, in the order of their files."""
ACTIONS: list[Action] = []
"""All actions."""


def page(path: str, *, tab: str, shares: tuple[str, ...] = ()) -> Callable[[Show], Page]:
    """Declare the page at ``path`` (names in braces). Its template is named as the file that declares it."""

    def declare(show: Show) -> Page:
        template = show.__module__.rpartition(".")[2] + ".html"
        declared = Page(path, template, tab, show, shares)
        PAGES.append(declared)
        return declared

    return declare


def action(path: str, *, of: Page) -> Callable[[Act], Act]:
    """Declare what is done by a form that is posted to ``path``."""

    def declare(act: Act) -> Act:
        ACTIONS.append(Action(path, of, act))
        return act

    return declare

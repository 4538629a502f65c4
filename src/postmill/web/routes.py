"""A table of routes: which requests are answered, what each needs, and the code that answers. Knows no route
itself.

A server gives the table its routes, so that a test can compare the table with a page of the reference.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Answer = TypeVar("Answer")
ANY: tuple[str, ...] = ()
"""The methods of a route that answers to every method."""
_PLACEHOLDER = re.compile(r"<[a-z]+>|\*")


class Route(NamedTuple, Generic[Answer]):
    """Requests that one thing answers."""

    methods: tuple[str, ...]
    """In capitals, or :data:`ANY`."""
    path: str
    """A pattern: ``<name>`` stands for one segment, a ``*`` at the end for the rest of the path."""
    answer: Answer
    credentials: str = ""
    """What the caller has to prove, as a word of the server's; empty: nothing."""


class NoRoute(Exception):
    """No route has this path."""


class WrongMethod(NoRoute):
    """A route has this path, and none has it with this method."""


class RouteTable(Generic[Answer]):
    """Routes in order: the first one that fits answers."""

    def __init__(self, routes: Sequence[Route[Answer]]) -> None:
        self.routes = routes
        self._matchers = [(route, _matcher(route.path)) for route in routes]

    def find(self, method: str, path: str) -> tuple[Route[Answer], tuple[str, ...]]:
        """The route for a decoded path, and what its ``<name>`` stand for.

        Raise :class:`NoRoute` or :class:`WrongMethod` when there is none. A path is compared as it is and
        never joined to a folder, so ``..`` leads nowhere.
        """
        is_known = False
        for route, matches in self._matchers:
            found = matches(path)
            if found is not None:
                if not route.methods or method in route.methods:
                    return route, found.groups()
                is_known = True
        raise WrongMethod(method) if is_known else NoRoute(path)


def _matcher(pattern: str) -> Callable[[str], re.Match[str] | None]:
    expression, at = "", 0
    for found in _PLACEHOLDER.finditer(pattern):
        expression += re.escape(pattern[at : found.start()])
        expression += ".*" if found[0] == "*" else "([^/]+)"
        at = found.end()
    return re.compile(expression + re.escape(pattern[at:]), re.DOTALL).fullmatch

"""Which function a path names. Pure; decides nothing about who may call it."""

from __future__ import annotations

from typing import NamedTuple

from postmill.model.functions.slug import RULE

FUNCTIONS = "/functions/v1/"
CONTROL = "/control/v1/"


class Route(NamedTuple):
    """A function's name, and the part of the path by which it was reached."""

    slug: str
    root_path: str
    """``/functions/v1/<slug>``: what an ASGI app below it is mounted at."""


def find(path: str) -> Route | None:
    """The function that ``path``, decoded and complete, names; None when it names none.

    A name is looked up and never joined to a folder, so ``..`` leads nowhere.
    """
    if not path.startswith(FUNCTIONS):
        return None
    slug = path[len(FUNCTIONS) :].partition("/")[0]
    return Route(slug, FUNCTIONS + slug) if RULE.fullmatch(slug) else None

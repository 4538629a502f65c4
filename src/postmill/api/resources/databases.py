"""The databases that are shown here, each with its figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from postmill.api.cursor import MOST_SHOWN, Page
from postmill.api.desk import Desk
from postmill.api.problem import problem_of
from postmill.api.resources.overview import show_overview
from postmill.api.route import resource
from postmill.api.several import Several
from postmill.model.errors import PostmillError

if TYPE_CHECKING:
    from postmill.api.desk import House


class Figures(Struct, kw_only=True):
    """A database's queues, all together: of its 200 busiest where there are more."""

    queues: int
    more_queues: bool
    """Whether there are more than these."""
    exact: bool
    """Whether nothing is an estimate."""
    ready: int
    running: int
    retrying: int
    scheduled: int
    waiting: int
    dead: int
    workers: int
    problems: int
    """What ``/findings`` tells."""


class Database(Struct):
    """A database by its name. One that says nothing has no figures, and a trouble."""

    database: str
    figures: Figures | None = None
    trouble: str | None = None


class Databases(Struct):
    """In the order in which they are written."""

    items: list[Database]


@resource("GET", "/databases", out=Databases)
async def list_databases(desk: Desk) -> Databases:
    """The databases that are shown side by side. Each has its own API below its name, as ``/eu1/api/v1``."""
    several = desk.house.several
    if several is None:
        several = Several((desk.house.database,))
        several.houses[desk.house.database] = desk.house

    async def ask(house: House) -> Figures:
        return await _figures(Desk(house, desk.viewer))

    found = await several.each(ask)
    return Databases([_shown(name, found[name]) for name in several.names])


async def _figures(desk: Desk) -> Figures:
    found = await show_overview(desk, Page(limit=MOST_SHOWN))
    queues = found.queues
    return Figures(
        queues=len(queues),
        more_queues=found.next is not None,
        exact=all(each.exact for each in queues),
        ready=sum(each.ready for each in queues),
        running=sum(each.running for each in queues),
        retrying=sum(each.retrying for each in queues),
        scheduled=sum(each.scheduled for each in queues),
        waiting=sum(each.waiting for each in queues),
        dead=sum(each.dead for each in queues),
        workers=sum(each.workers for each in queues),
        problems=len(found.problems),
    )


def _shown(name: str, found: Figures | PostmillError) -> Database:
    if isinstance(found, PostmillError):
        return Database(name, trouble=problem_of(found).detail)
    return Database(name, found)

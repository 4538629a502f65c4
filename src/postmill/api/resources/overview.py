"""The first look: what is wrong now, with its remedy, and who is looking."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

from postmill.api.cursor import Page, after, paged
from postmill.api.resources.queues import Queue
from postmill.api.route import resource

if TYPE_CHECKING:
    from postmill.api.desk import Desk

Place: TypeAlias = Annotated[int, Meta(ge=0, le=2**31 - 1)]
"""How many queues were shown before: their order changes with what goes on, so it is no place of a name."""


class FoundProblem(Struct, kw_only=True):
    """What a check of ``postmill doctor`` found, and what to do about it."""

    check: str
    status: Literal["pass", "warn", "fail"]
    found: str
    fix: str
    about: list[str]
    """Names of the queues that it is about."""


class Findings(Struct):
    """What is wrong; with ``all`` also what is right."""

    items: list[FoundProblem]


class BusyQueue(Queue, kw_only=True):
    """A queue with what workers have done in it lately."""

    completed_per_minute: float
    """Over the last five."""
    failed_percent: float | None
    """Of the attempts of the last hour; None without any."""
    last_hour: list[int]
    """Messages that completed in each five minutes, the last ones last."""


class Overview(Struct):
    """Queues, those in which most goes on first, and what is wrong."""

    queues: list[BusyQueue]
    problems: list[FoundProblem]
    next: str | None = None


class All(Struct, forbid_unknown_fields=True):
    """``all``: also checks that found nothing wrong."""

    all: bool = False


class Me(Struct):
    """Who asks, what that viewer may do, and where."""

    viewer: str
    role: str
    database: str
    read_only: bool


@resource("GET", "/overview", out=Overview, query=Page)
async def show_overview(desk: Desk, query: Page) -> Overview:
    """Queues with their counts, those in which most goes on first, and what is wrong now."""
    begin = after(query, Place) or 0
    looks, sessions = desk.house.looks, desk.house.sessions
    ranked = await looks.busiest(sessions, limit=query.limit + 1, after=begin)
    rows, more = paged(ranked, query, lambda _: begin + query.limit)
    return Overview([desk.shaped(BusyQueue, row) for row in rows], await _findings(desk), more)


@resource("GET", "/findings", out=Findings, query=All)
async def list_findings(desk: Desk, query: All) -> Findings:
    """What ``postmill doctor`` finds about queues, schedules, calls and flows."""
    return Findings(await _findings(desk, everything=query.all))


@resource("GET", "/viewer", out=Me)
async def show_viewer(desk: Desk) -> Me:
    """Who asks."""
    house = desk.house
    return Me(desk.viewer.name, desk.viewer.role.value, house.database, house.read_only)


async def _findings(desk: Desk, *, everything: bool = False) -> list[FoundProblem]:
    return [
        FoundProblem(
            check=each.check, status=each.status, found=each.found, fix=each.fix, about=list(each.about)
        )
        for each in await desk.house.looks.findings(desk.house.sessions)
        if everything or each.status != "pass"
    ]

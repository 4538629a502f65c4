"""Schedules: when they fire and did, what became of that, and firing, pausing or removing one."""

from __future__ import annotations

import datetime as clock
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from msgspec import Meta, Struct

from postmill.api.cursor import SHOWN, Limit, Page, after, paged
from postmill.api.route import Named, resource
from postmill.api.shape import BigId, Moment, Payload
from postmill.client import Client
from postmill.db.tools import schedules
from postmill.model.schedule.recurrence import NEVER, recurrence, zone_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from postmill.api.desk import Desk
    from postmill.db.tools.connect import Connection

T = TypeVar("T")


class Schedule(Struct, kw_only=True):
    """A schedule: active, paused or broken (see ``problem``). ``fires``: a queue, flow:NAME, function:NAME, a
    URL or SQL.
    """

    schedule: str
    state: str
    recurrence: str
    timezone: str
    fires: str
    queue: str | None = None
    next_at: Moment | None = None
    last_at: Moment | None = None
    last_status: str | None = None
    is_failing: bool = False
    last_error: str | None = None
    overlap: str
    catch_up: str
    jitter_s: float
    target: Payload
    problem: str | None = None
    declared_by: str | None = None
    created_by: str | None = None
    created_at: Moment
    paused_at: Moment | None = None
    paused_by: str | None = None
    run_as: str | None = None


class Schedules(Struct):
    """Schedules, by name."""

    items: list[Schedule]
    next: str | None = None


class ExplainedSchedule(Schedule, kw_only=True):
    """One schedule; ``means`` says it in plain English."""

    means: str


class InSchedule(Struct):
    """The path of a schedule."""

    schedule: Named


class ScheduleRun(Struct, kw_only=True):
    """A time at which a schedule fired, and what became of it."""

    tick: Moment
    status: str
    queue: str | None = None
    msg_id: BigId | None = None
    call_id: BigId | None = None
    flow_run: BigId | None = None
    fired_at: Moment | None = None
    started_at: Moment | None = None
    ended_at: Moment | None = None
    reason: str | None = None


class ScheduleRuns(Struct):
    """The last runs of a schedule, the newest first."""

    items: list[ScheduleRun]


class Most(Struct, forbid_unknown_fields=True):
    """How many are listed."""

    limit: Limit = SHOWN


class Count(Struct, forbid_unknown_fields=True):
    """How many ticks are told."""

    count: Annotated[int, Meta(ge=1, le=100)] = 5


class Preview(Count, forbid_unknown_fields=True, kw_only=True):
    """An expression as a schedule has it, and its time zone."""

    when: Annotated[str, Meta(min_length=1, max_length=200, examples=["30 2 * * *"])]
    timezone: Annotated[str, Meta(min_length=1, max_length=100)] = "UTC"


class Ticks(Struct):
    """When it fires next; ``at`` with the offset of its time zone."""

    means: str
    timezone: str
    at: list[Moment]


class Fired(Struct):
    """What was sent; ``msg_id`` only of a message."""

    schedule: str
    msg_id: BigId | None = None


class PausedSchedule(Struct):
    """Whether a schedule is paused now."""

    schedule: str
    paused: bool


class RemovedSchedule(Struct):
    """The schedule that is gone."""

    schedule: str
    removed: bool = True


@resource("GET", "/schedules", out=Schedules, query=Page)
async def list_schedules(desk: Desk, query: Page) -> Schedules:
    """Schedules with their next and last tick, by name."""
    begin = after(query, str)
    found = sorted(await desk.read(schedules.listed), key=_name)
    rows, more = paged([row for row in found if begin is None or row["schedule"] > begin], query, _name)
    return Schedules([desk.shaped(Schedule, row) for row in rows], more)


async def schedules_to(desk: Desk, queue: str) -> list[Schedule]:
    """Those that send to a queue, of however many there are, by name."""
    found = sorted(await desk.read(schedules.listed), key=_name)
    return [desk.shaped(Schedule, row) for row in found if row["queue"] == queue]


@resource("GET", "/schedules/{schedule}", out=ExplainedSchedule, in_path=InSchedule)
async def show_schedule(desk: Desk, path: InSchedule) -> ExplainedSchedule:
    """One schedule, in plain English too."""
    found = await desk.read(schedules.one, path.schedule)
    means = found["problem"] or recurrence(found["recurrence"]).explain()
    return desk.shaped(ExplainedSchedule, {**found, "means": means})


@resource("GET", "/schedules/{schedule}/runs", out=ScheduleRuns, in_path=InSchedule, query=Most)
async def list_schedule_runs(desk: Desk, path: InSchedule, query: Most) -> ScheduleRuns:
    """The last runs of a schedule, and what became of their messages, calls, flows or SQL."""
    found = await desk.read(schedules.runs, path.schedule, limit=query.limit)
    return ScheduleRuns([desk.shaped(ScheduleRun, row) for row in found])


@resource("GET", "/schedules/{schedule}/next", out=Ticks, in_path=InSchedule, query=Count)
async def show_next_ticks(desk: Desk, path: InSchedule, query: Count) -> Ticks:
    """When a schedule fires next."""
    found = await desk.read(schedules.one, path.schedule)
    return _ticks(found["recurrence"], found["timezone"], query.count)


@resource("GET", "/schedule-preview", out=Ticks, query=Preview)
async def preview_schedule(_: Desk, query: Preview) -> Ticks:
    """What an expression means, and when it would fire. Nothing is asked of the database."""
    return _ticks(query.when, query.timezone, query.count)


@resource("POST", "/schedules/{schedule}/run", out=Fired, in_path=InSchedule)
async def run_schedule(desk: Desk, path: InSchedule) -> Fired:
    """Fire a schedule now, beside its ticks; a paused one too."""

    def fire(connection: Connection) -> Fired:
        sent = Client(connection).run_schedule(path.schedule)
        return Fired(path.schedule, None if sent is None else str(int(sent)))

    return await desk.act("schedule.run", path, fire)


@resource("POST", "/schedules/{schedule}/pause", out=PausedSchedule, in_path=InSchedule)
async def pause_schedule(desk: Desk, path: InSchedule) -> PausedSchedule:
    """Let a schedule fire no more until it is resumed; ticks that pass meanwhile are gone."""
    return await _told(
        desk, "schedule.pause", path, Client.pause_schedule, PausedSchedule(path.schedule, paused=True)
    )


@resource("POST", "/schedules/{schedule}/resume", out=PausedSchedule, in_path=InSchedule)
async def resume_schedule(desk: Desk, path: InSchedule) -> PausedSchedule:
    """Let a paused schedule fire again, from its next tick on."""
    return await _told(
        desk, "schedule.resume", path, Client.resume_schedule, PausedSchedule(path.schedule, paused=False)
    )


@resource("DELETE", "/schedules/{schedule}", out=RemovedSchedule, in_path=InSchedule)
async def remove_schedule(desk: Desk, path: InSchedule) -> RemovedSchedule:
    """Remove a schedule and the list of its runs; what it has sent stays."""
    return await _told(desk, "schedule.remove", path, Client.unschedule, RemovedSchedule(path.schedule))


async def _told(
    desk: Desk, action: str, path: InSchedule, tell: Callable[[Client, str], None], answer: T
) -> T:
    def work(connection: Connection) -> T:
        schedules.one(connection, path.schedule)  # refuses one that is not there
        tell(Client(connection), path.schedule)
        return answer

    return await desk.act(action, path, work)


def _ticks(when: str, timezone: str, count: int) -> Ticks:
    known, zone = recurrence(when), zone_of(timezone)
    tick = datetime.now(clock.UTC)
    found: list[datetime] = []
    while len(found) < count and (tick := known.after(tick, zone)) < NEVER:
        found.append(tick.astimezone(zone))
    return Ticks(known.explain(), timezone, found)


def _name(row: dict[str, Any]) -> str:
    return str(row["schedule"])

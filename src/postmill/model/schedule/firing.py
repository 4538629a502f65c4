"""What a schedule does when it is due: which ticks fire, and when the next one is. Pure; time is passed in.

``catch_up`` says what becomes of ticks that passed while no scheduler ran, or while the schedule could not
fire: ``none`` lets them go, ``one`` fires once for all of them, ``all`` fires each in turn.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from postmill.model.schedule.recurrence import Recurrence

CATCH_UPS = ("none", "one", "all")
OVERLAPS = ("skip", "queue", "allow")
PUNCTUAL = timedelta(seconds=30)
"""A tick that fires at most this late was not missed. Half a minute: less than the distance of two ticks of
any cron expression, and longer than a restart of the server takes.
"""
LATE_S = 60.0
"""A tick that has not fired after so many seconds is reported. A scheduler looks every 15 s at least, and
fires a tick within one: after a minute there is none.
"""
MOST_TICKS = 100
"""Ticks that one schedule fires in one turn. A hundred: other schedules have their turn while one catches up
on a day of minutes.
"""


@dataclass(frozen=True, slots=True)
class Due:
    """The ticks that fire now, each exactly once, and the next tick."""

    ticks: tuple[datetime, ...]
    missed: bool
    """Whether ticks have passed that do not fire."""
    next_at: datetime


def due(recurrence: Recurrence, zone: ZoneInfo, tick: datetime, now: datetime, catch_up: str) -> Due:
    """What fires of a schedule whose first tick that has not fired is ``tick``, at or before ``now``."""
    if catch_up == "all":
        return _each(recurrence, zone, tick, now)
    last = recurrence.latest(tick, now, zone)
    fires = catch_up == "one" or now - last <= PUNCTUAL
    return Due((last,) if fires else (), last > tick or not fires, recurrence.after(last, zone))


def visible_at(tick: datetime, jitter: timedelta, chance: float) -> datetime:
    """When the message of a tick becomes visible: up to ``jitter`` later. ``chance`` from 0 to 1."""
    return tick + jitter * chance


def _each(recurrence: Recurrence, zone: ZoneInfo, tick: datetime, now: datetime) -> Due:
    ticks: list[datetime] = []
    while tick <= now and len(ticks) < MOST_TICKS:
        ticks.append(tick)
        tick = recurrence.after(tick, zone)
    return Due(tuple(ticks), missed=False, next_at=tick)

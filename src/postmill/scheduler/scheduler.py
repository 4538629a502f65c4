"""Fires due schedules for one process: a loop that locks those that are due, and sends what they send.

The rows are locked with SKIP LOCKED, and a tick is sent, written down and moved past in one transaction. So
each tick fires once, whatever number of processes runs this and whenever one of them dies. What fires is
decided in :mod:`postmill.model.schedule`, and done in the SQL function ``fire_schedules``.
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Any

from postmill.db.hot.looking_service import LookingService
from postmill.model.errors import InvalidOption
from postmill.model.events import Event
from postmill.model.schedule.firing import due, visible_at
from postmill.model.schedule.recurrence import recurrence, zone_of
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from postmill.db.hot.shared_connection import SharedConnection
    from postmill.service.events import Events
    from postmill.service.outage import Outage

BATCH = 100
"""Schedules that are fired in one transaction. A hundred take about 20 ms on two cores: claims that share the
connection hardly wait.
"""
TOGETHER_S = 0.1
"""After a notification, wait up to this many seconds before looking. A tenth: twenty processes do not look
in the same moment, and a thousand schedules that are made one by one cost each ten looks a second.
"""
SPREAD_S = 0.05
"""Processes look for the same tick this many seconds apart at most. 50 ms: the first of twenty has fired by
then, and a person does not notice.
"""
HELD_S = 1.0
"""A schedule that is due and that another session holds is looked for again after this time, in seconds. A
second: another process has fired it by then, and a transaction that is forgotten costs no more than this.
"""
TIDY_S = 60.0
"""Seconds between two looks at runs that have ended. A minute: it is only for what other clients removed, and
for what is old.
"""


class Scheduler(LookingService):
    """The scheduler of one process."""

    channel = "postmill:schedules"
    """Notified of a schedule that is made, changed or resumed."""

    def __init__(self, shared: SharedConnection, events: Events, outage: Outage) -> None:
        super().__init__(shared, events, outage)
        self._changed = False
        """Whether a notification came since the last look."""
        self._tidy_at = time.monotonic() + TIDY_S * random.random()  # noqa: S311 - spreads the processes

    async def rest(self) -> None:
        """Until the next tick, a change of the schedules, or the floor."""
        await super().rest()
        if self._changed:
            await asyncio.sleep(TOGETHER_S * random.random())  # noqa: S311

    async def _look(self) -> bool:
        self._changed = False
        wait_s = await self._until_next()
        if not wait_s:
            if await self._fire_due():
                return True
            wait_s = await self._until_next()
        await self._tidy()
        self._rest_s = wait_s or HELD_S
        return False

    def _told(self) -> None:
        self._changed = True
        super()._told()

    async def _fire_due(self) -> bool:
        async with self._shared.connection() as connection, connection.transaction():
            rows = await connection.fetch(statement("schedules_due"), BATCH)
            if not rows:
                return False
            of_each = [_firings(row) for row in rows]
            firings = [firing for of_one in of_each for firing in of_one]
            runs = await connection.fetch(statement("schedules_fire"), *map(list, zip(*firings, strict=True)))
        for run in runs:
            self._report(run)
        self._report_missed(rows, of_each, {run["name"] for run in runs})
        now = rows[0]["now"]
        return len(rows) == BATCH or any(at is not None and at <= now for *_, at, _ in firings)

    async def _until_next(self) -> float:
        """Seconds until the next tick, or the floor; 0 when a schedule is due or has not been read."""
        row = await self._shared.fetchrow(statement("schedules_next"))
        if row is None:
            return self._floor_s
        if row[0] is None or row[0] <= 0:
            return 0.0
        return min(self._floor_s, float(row[0]) + SPREAD_S * random.random())  # noqa: S311

    async def _tidy(self) -> None:
        if time.monotonic() >= self._tidy_at:
            self._tidy_at = time.monotonic() + TIDY_S
            await self._shared.execute(statement("schedules_tidy"))

    def _say_refused(self, error: BaseException) -> None:
        self._events.emit(Event.SCHEDULE_FAILED, reason=f"no schedule can fire here: {error}")

    def _report(self, run: Any) -> None:
        name, tick = run["name"], run["tick"]
        match run["status"]:
            case "sent":
                made = {key: run[key] for key in ("msg_id", "call_id") if run[key] is not None}
                self._events.emit(Event.SCHEDULE_FIRED, schedule=name, tick=tick, **made)
            case "pending":
                self._events.emit(Event.SCHEDULE_FIRED, schedule=name, tick=tick)
            case "skipped":
                self._events.emit(Event.SCHEDULE_SKIPPED, schedule=name, tick=tick, reason=run["reason"])
            case _:
                self._events.emit(Event.SCHEDULE_FAILED, schedule=name, tick=tick, reason=run["reason"])

    def _report_missed(self, rows: list[Any], of_each: list[list[Firing]], fired: set[str]) -> None:
        """Say which schedules have let ticks pass. One that was put off for a lock has not done so yet."""
        for row, firings in zip(rows, of_each, strict=True):
            _, tick, *_, problem = firings[0]
            passed = problem is None and row["next_at"] is not None and tick != row["next_at"]
            if passed and (tick is None or row["name"] in fired):
                self._events.emit(
                    Event.SCHEDULE_MISSED, schedule=row["name"], tick=row["next_at"], catch_up=row["catch_up"]
                )


Firing = tuple[int, "datetime | None", "datetime | None", "datetime | None", "str | None"]
"""A schedule, its tick, when its message becomes visible, its next tick, and why it can't be read."""


def _firings(row: Any) -> list[Firing]:
    """What a due schedule does. One that can't be read, or whose times no calendar has, keeps no other from
    firing.
    """
    try:
        return _ticks(row)
    except InvalidOption as error:
        return [(row["schedule_id"], None, None, None, str(error))]
    except (ArithmeticError, ValueError, StopIteration) as error:
        return [(row["schedule_id"], None, None, None, f"Its next tick can't be found: {error!r}.")]


def _ticks(row: Any) -> list[Firing]:
    """The ticks that fire; without one the schedule only moves on."""
    schedule_id, now = row["schedule_id"], row["now"]
    ticks, zone = recurrence(row["recurrence"]), zone_of(row["timezone"])
    if row["next_at"] is None:
        return [(schedule_id, None, None, ticks.after(row["changed_at"], zone), None)]
    found = due(ticks, zone, row["next_at"], now, row["catch_up"])
    if not found.ticks:
        return [(schedule_id, None, None, found.next_at, None)]
    return [(schedule_id, tick, _visible(tick, row["jitter"]), found.next_at, None) for tick in found.ticks]


def _visible(tick: datetime, jitter: timedelta) -> datetime:
    return visible_at(tick, jitter, random.random())  # noqa: S311 - spreads messages, hides nothing

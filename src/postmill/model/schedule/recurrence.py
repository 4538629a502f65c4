"""When a schedule fires: a cron expression or a number of seconds, in a time zone. Pure.

cronsim reads the expressions: five fields with names, ranges, steps, ``L``, ``LW``, ``5L`` and ``1#2``.

Days on which clocks change: an expression whose minute and hour are both fixed (neither begins with ``*``)
names times of day. One that occurs twice fires once, at the first; one that does not exist fires at the next
moment that does. Any other expression fires whenever the clock on the wall shows what it says.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Protocol
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from postmill.model.errors import InvalidOption
from postmill.model.option_rules import did_you_mean

MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
"""The names that cron gives to common expressions."""
LONGEST_S = 86_400
"""The longest distance of ticks that is given in seconds: a day. What is rarer has a time of day, which is
what a cron expression says.
"""
FIELDS = 5
"""Minute, hour, day, month and weekday. cronsim takes a sixth for seconds, which no cron knows: a field too
much would mean something else.
"""
CHANGES_APART = timedelta(hours=12)
"""Clocks of a place change at most once in this time. Twelve hours: the nearest changes, those round Ramadan,
are weeks apart.
"""
_NO_PLACE = {"localtime", "posixrules", "Factory"}
"""Names beside those of places: they mean another zone on each machine, or none."""
_SECONDS = re.compile(r"([0-9]+) *(?:s|sec|secs|second|seconds)", re.IGNORECASE)
NEVER = datetime(9999, 1, 1, tzinfo=UTC)
"""The next tick of a schedule that has none: the last year that Python knows."""
AT_START = "@reboot"
"""cron's name for the start of the machine. Postmill's SQL knows it too (``join_runners``)."""
_EPOCH = datetime(2001, 1, 1, tzinfo=UTC)
"""From where an expression is tried when it is read."""


class Recurrence(Protocol):
    """A row of moments without an end."""

    def after(self, moment: datetime, zone: ZoneInfo) -> datetime:
        """The first tick later than ``moment``, in UTC."""

    def latest(self, tick: datetime, now: datetime, zone: ZoneInfo) -> datetime:
        """The last tick at or before ``now``; ``tick`` is one that has passed."""

    def explain(self) -> str:
        """The recurrence in plain English."""


@dataclass(frozen=True, slots=True)
class EverySeconds:
    """A tick each ``seconds``, counted from the last one."""

    seconds: int

    def after(self, moment: datetime, zone: ZoneInfo) -> datetime:
        """See :class:`Recurrence`."""
        return moment.astimezone(UTC) + timedelta(seconds=self.seconds)

    def latest(self, tick: datetime, now: datetime, zone: ZoneInfo) -> datetime:
        """See :class:`Recurrence`."""
        distance = timedelta(seconds=self.seconds)
        return tick.astimezone(UTC) + (now - tick) // distance * distance

    def explain(self) -> str:
        """See :class:`Recurrence`."""
        return "Every second" if self.seconds == 1 else f"Every {self.seconds} seconds"


@dataclass(frozen=True, slots=True)
class AtStart:
    """No tick that a clock knows: it fires when the first process that fires schedules starts."""

    def after(self, moment: datetime, zone: ZoneInfo) -> datetime:
        """See :class:`Recurrence`."""
        return NEVER

    def latest(self, tick: datetime, now: datetime, zone: ZoneInfo) -> datetime:
        """See :class:`Recurrence`."""
        return tick

    def explain(self) -> str:
        """See :class:`Recurrence`."""
        return "When the first process that fires schedules starts"


@dataclass(frozen=True, slots=True)
class Cron:
    """A cron expression of five fields, as cronsim reads it."""

    expression: str

    def after(self, moment: datetime, zone: ZoneInfo) -> datetime:
        """See :class:`Recurrence`."""
        minute, hour, *_ = self.expression.split()
        if minute.startswith("*") or hour.startswith("*"):
            return self._on_the_wall(moment, zone)
        for found in CronSim(self.expression, moment.astimezone(zone)):
            if found > moment:  # asked within an hour that occurs twice, cronsim finds times in the first one
                return found.astimezone(UTC)
        raise _no_more(self.expression)

    def _on_the_wall(self, moment: datetime, zone: ZoneInfo) -> datetime:
        """From one change of the clocks to the next: within, the wall's time is that of a fixed offset.
        cronsim itself steps over changes by hours, and misses ticks where clocks change by half an hour.
        """
        begin, asked = moment.replace(microsecond=0), moment
        while True:
            offset = _offset(begin, zone)
            wall = (asked + offset).replace(tzinfo=None)
            found = next(CronSim(self.expression, wall), None)
            if found is None:
                raise _no_more(self.expression)
            tick = found.replace(tzinfo=UTC) - offset
            change = _first_change(begin, tick, zone)
            if change is None:
                return tick
            begin, asked = change, change - timedelta(seconds=1)

    def latest(self, tick: datetime, now: datetime, zone: ZoneInfo) -> datetime:
        """See :class:`Recurrence`. It is sought forward from moments further and further back: cronsim's way
        back differs from its way forth on days on which clocks change.
        """
        back = timedelta(minutes=1)
        while now - back > tick:
            found = self.after(now - back, zone)
            if found <= now:
                return self._last_from(found, now, zone)
            back *= 2
        return self._last_from(tick, now, zone)

    def _last_from(self, tick: datetime, now: datetime, zone: ZoneInfo) -> datetime:
        following = self.after(tick, zone)
        while following <= now:
            tick, following = following, self.after(following, zone)
        return tick

    def explain(self) -> str:
        """See :class:`Recurrence`."""
        return str(CronSim(self.expression, _EPOCH).explain())


def _offset(moment: datetime, zone: ZoneInfo) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta(0)


def _first_change(begin: datetime, end: datetime, zone: ZoneInfo) -> datetime | None:
    """The first moment after ``begin``, up to ``end``, from which on the clocks of ``zone`` differ."""
    before = _offset(begin, zone)
    while begin < end:
        later = min(begin + CHANGES_APART, end)
        if _offset(later, zone) != before:
            seconds = range(1, int((later - begin).total_seconds()) + 1)
            first = bisect_left(
                seconds, 1, key=lambda s: _offset(begin + timedelta(seconds=s), zone) != before
            )
            return begin + timedelta(seconds=seconds[first])
        begin = later
    return None


def _no_more(expression: str) -> ValueError:
    return ValueError(f"{expression!r} does not come again in this calendar")


@lru_cache(maxsize=1024)
def recurrence(text: str) -> Recurrence:
    """What ``text`` means: ``*/5 * * * *``, ``@daily``, ``30 seconds``. ``$`` is the last day of a month, as
    in pg_cron.

    Raises :class:`InvalidOption` for what can't be read, and for what never comes.
    """
    words = " ".join(text.split())
    seconds = _SECONDS.fullmatch(words)
    if seconds is not None:
        return _every(text, int(seconds[1]))
    if words.lower() == AT_START:
        return AtStart()
    expression = MACROS.get(words.lower(), words).replace("$", "L")
    if len(expression.split()) != FIELDS:
        raise _unreadable(text, _count(len(expression.split())))
    try:
        next(CronSim(expression, _EPOCH))
    except CronSimError as error:
        raise _unreadable(text, f"{error}.") from error
    except StopIteration:
        raise _unreadable(text, "No such day ever comes.") from None
    return Cron(expression)


def check(schedule: object, timezone: object) -> None:
    """Raise :class:`InvalidOption` for what is no schedule in a time zone."""
    for name, value in (("schedule", schedule), ("timezone", timezone)):
        if not isinstance(value, str):
            raise InvalidOption(f"{name}={value!r} is no text.", hint="For example: '0 3 * * *' and 'UTC'.")
    recurrence(str(schedule))
    zone_of(str(timezone))


def zone_of(name: str) -> ZoneInfo:
    """The time zone ``name``, e.g. ``Europe/Berlin``. Raises :class:`InvalidOption` for an unknown one."""
    known = _zones()
    if name in known:
        return ZoneInfo(name)
    raise InvalidOption(
        f"timezone={name!r} is not known.",
        why="It is a name of the IANA time zone database.",
        hint=did_you_mean(name, known) or "For example: Europe/Berlin, America/New_York or UTC.",
    )


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    return frozenset(available_timezones() - _NO_PLACE)


def _count(fields: int) -> str:
    found = f"It has {fields} field{'' if fields == 1 else 's'}"
    said = f"{found}. A cron expression has five: minute, hour, day, month and weekday."
    return f"{said} The first of six would be seconds, which it can't have." if fields == FIELDS + 1 else said


def _every(text: str, seconds: int) -> EverySeconds:
    if not 1 <= seconds <= LONGEST_S:
        raise _unreadable(text, f"A number of seconds is 1 to {LONGEST_S}.")
    return EverySeconds(seconds)


def _unreadable(text: str, why: str) -> InvalidOption:
    return InvalidOption(
        f"schedule={text!r} can't be read.",
        why=why,
        hint="For example: '*/5 * * * *', '@daily' or '30 seconds'.",
    )

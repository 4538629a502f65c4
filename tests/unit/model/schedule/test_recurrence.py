"""Expressions and zones: what is read, what is refused, and every kind of day on which clocks change."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postmill.model.errors import InvalidOption
from postmill.model.schedule.recurrence import Cron, EverySeconds, recurrence, zone_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BERLIN = ZoneInfo("Europe/Berlin")
MARCH = datetime(2026, 3, 1, tzinfo=UTC)


def ticks(text: str, zone: ZoneInfo, after: datetime, many: int) -> list[str]:
    """The next ticks on the wall clock of ``zone``."""
    found = []
    for _ in range(many):
        after = recurrence(text).after(after, zone)
        found.append(after.astimezone(zone).isoformat())
    return found


@pytest.mark.parametrize(
    ("text", "is_read_as"),
    [
        ("*/5 * * * *", Cron("*/5 * * * *")),
        ("  0  3 *\t* mon-fri ", Cron("0 3 * * mon-fri")),
        ("@Daily", Cron("0 0 * * *")),
        ("0 12 $ * *", Cron("0 12 L * *")),
        ("30 seconds", EverySeconds(30)),
        ("1s", EverySeconds(1)),
    ],
)
def test_reads(text: str, is_read_as: object) -> None:
    assert recurrence(text) == is_read_as


@pytest.mark.parametrize(
    "text",
    [
        "",
        "* * * *",
        "* * * * * *",  # six fields: cronsim would take the first one for seconds
        "61 * * * *",
        "0 0 30 2 *",
        "0 0 31 4,6 *",
        "0 seconds",
        "86401 seconds",
        "-5 seconds",
        "99999999999999999999 seconds",
        "\N{ARABIC-INDIC DIGIT FIVE} seconds",
        "x * * * *",
    ],
)
def test_what_can_not_be_read_or_never_comes_is_refused(text: str) -> None:
    with pytest.raises(InvalidOption, match="can't be read"):
        recurrence(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "It has 0 fields"),
        ("@nightly", "It has 1 field. A cron expression has five"),
        ("0 15 3 * * *", "It has 6 fields.*The first of six would be seconds"),
    ],
)
def test_another_number_of_fields_than_five_is_told(text: str, says: str) -> None:
    with pytest.raises(InvalidOption, match=says):
        recurrence(text)


def test_an_unknown_zone_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(InvalidOption, match="Europe/Berlin"):
        zone_of("Europe/Berlni")


@pytest.mark.parametrize("name", ["", "/etc/passwd", "../UTC", "UTC\0", "localtime"])
def test_a_zone_is_a_name_and_no_path(name: str) -> None:
    with pytest.raises(InvalidOption):
        zone_of(name)


def test_a_fixed_hour_that_occurs_twice_fires_once() -> None:
    assert ticks("30 2 * * *", BERLIN, datetime(2026, 10, 24, 12, tzinfo=UTC), 2) == [
        "2026-10-25T02:30:00+02:00",
        "2026-10-26T02:30:00+01:00",
    ]


def test_a_schedule_that_is_made_in_the_second_of_two_equal_hours_waits_for_the_next_day() -> None:
    """It fired at once: for a time of the first of the two hours, which was over."""
    assert ticks("30 2 * * *", BERLIN, datetime(2026, 10, 25, 1, 15, tzinfo=UTC), 1) == [
        "2026-10-26T02:30:00+01:00"
    ]


def test_where_clocks_change_by_half_an_hour_no_third_hour_is_left_out() -> None:
    """3:00 never came on that day."""
    lord_howe = ZoneInfo("Australia/Lord_Howe")
    assert ticks("0 */3 * * *", lord_howe, datetime(2026, 4, 4, 12, tzinfo=UTC), 3) == [
        "2026-04-05T00:00:00+11:00",
        "2026-04-05T03:00:00+10:30",
        "2026-04-05T06:00:00+10:30",
    ]


def test_every_hour_fires_in_both_hours_of_the_same_name() -> None:
    assert ticks("30 * * * *", BERLIN, datetime(2026, 10, 25, 0, tzinfo=UTC), 3) == [
        "2026-10-25T02:30:00+02:00",
        "2026-10-25T02:30:00+01:00",
        "2026-10-25T03:30:00+01:00",
    ]


def test_a_time_that_does_not_exist_fires_at_the_next_that_does() -> None:
    assert ticks("30 2 * * *", BERLIN, datetime(2026, 3, 28, 12, tzinfo=UTC), 2) == [
        "2026-03-29T03:00:00+02:00",
        "2026-03-30T02:30:00+02:00",
    ]


BEGIN, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC)
"""Two years: the Moon, by which some zones change their clocks, does not repeat itself in the second."""


@lru_cache(maxsize=1)
def zones_by_changes() -> dict[tuple[tuple[datetime, timedelta], ...], list[str]]:
    """Names of zones by the moments at which their clocks change, with the offset before each."""
    found: dict[tuple[tuple[datetime, timedelta], ...], list[str]] = {}
    for name in sorted(available_timezones()):
        if changes := tuple(changes_of(ZoneInfo(name))):
            found.setdefault(changes, []).append(name)
    return found


def changes_of(zone: ZoneInfo) -> Iterator[tuple[datetime, timedelta]]:
    """Each half day in which the clocks of ``zone`` change, and the offset before. Only weeks whose ends
    differ are looked through: no zone changes its clocks twice within one.
    """
    week, begin, before = timedelta(days=7), BEGIN, offset(zone, BEGIN)
    while begin < END:
        end = min(begin + week, END)
        after = offset(zone, end)
        if before != after:
            yield from half_days(zone, begin, end)
        begin, before = end, after


def half_days(zone: ZoneInfo, begin: datetime, end: datetime) -> Iterator[tuple[datetime, timedelta]]:
    """The same within a week, half a day after the other."""
    moment, before = begin, offset(zone, begin)
    while moment < end:
        after = offset(zone, moment + timedelta(hours=12))
        if before != after:
            yield moment, before
        moment, before = moment + timedelta(hours=12), after


def offset(zone: ZoneInfo, moment: datetime) -> timedelta:
    found = moment.astimezone(zone).utcoffset()
    assert found is not None
    return found


def test_zones_of_all_kinds_change_their_clocks() -> None:
    """By half an hour, by the Moon, in the south, at midnight: they are among those that are tried below."""
    names = {name for names in zones_by_changes().values() for name in names}
    assert {"Australia/Lord_Howe", "Africa/Casablanca", "America/Santiago", "Asia/Beirut"} <= names
    assert len(names) > 150


@pytest.mark.parametrize("names", zones_by_changes().values(), ids=lambda names: names[0])
def test_a_time_that_fires_twice_or_never_at_a_clock_change(names: list[str]) -> None:
    # The oracle walks through the minutes of the day: of a wall time that occurs twice the first counts, and
    # one that is left out counts for the first minute after the gap. Zones with the same changes are one.
    zone = ZoneInfo(names[0])
    for day, _ in changes_of(zone):
        begin, end = day - timedelta(hours=18), day + timedelta(hours=30)
        moments = walls(zone, begin, end)
        for hour, minute in ((0, 0), (0, 15), (1, 30), (2, 0), (2, 30), (3, 0), (23, 45)):
            assert fired(f"{minute} {hour} * * *", zone, begin, end) == expected(moments, hour, minute), (
                names,
                day,
                hour,
                minute,
            )
        for text, matches in ON_THE_WALL.items():
            shown = [moment for moment, wall in moments[1:] if matches(wall)]
            assert fired(text, zone, begin, end) == shown, (names, day, text)


ON_THE_WALL: dict[str, Callable[[datetime], bool]] = {
    "30 * * * *": lambda wall: wall.minute == 30,
    "*/20 * * * *": lambda wall: wall.minute % 20 == 0,
    "0 */3 * * *": lambda wall: wall.minute == 0 and wall.hour % 3 == 0,
    "* 2 * * *": lambda wall: wall.hour == 2,
}


def fired(text: str, zone: ZoneInfo, begin: datetime, end: datetime) -> list[datetime]:
    found, tick = [], begin
    while (tick := Cron(text).after(tick, zone)) <= end:
        found.append(tick)
    return found


def walls(zone: ZoneInfo, begin: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
    """Each minute, and what the clock on the wall shows."""
    many = (end - begin) // timedelta(minutes=1)
    moments = [begin + timedelta(minutes=minute) for minute in range(many + 1)]
    return [(moment, moment.astimezone(zone).replace(tzinfo=None)) for moment in moments]


def expected(moments: list[tuple[datetime, datetime]], hour: int, minute: int) -> list[datetime]:
    found: dict[date, datetime] = {}
    _, before = moments[0]
    for moment, wall in moments[1:]:
        for day in {before.date(), wall.date()}:
            wanted = datetime.combine(day, time(hour, minute))
            if wall == wanted or before < wanted < wall:
                found.setdefault(day, moment)
        before = wall
    return list(found.values())


@settings(max_examples=60)
@given(
    text=st.sampled_from(
        ["* * * * *", "*/7 */3 * * *", "30 2 * * 0", "15 1-3 * * *", "0 0 L * *", "45 seconds"]
    ),
    zone=st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"]).map(ZoneInfo),
    first=st.integers(0, 270 * 86_400).map(lambda second: MARCH + timedelta(seconds=second)),
    later=st.timedeltas(timedelta(0), timedelta(days=40)),
)
def test_the_latest_tick_is_the_one_that_a_walk_ends_at(
    text: str, zone: ZoneInfo, first: datetime, later: timedelta
) -> None:
    known = recurrence(text)
    tick = known.after(first, zone)
    now = tick + later
    found = known.latest(tick, now, zone)
    assert tick <= found <= now < known.after(found, zone)


def test_it_is_explained_in_plain_english() -> None:
    assert recurrence("0 9 * * mon-fri").explain() == "At 09:00 on Monday through Friday"
    assert recurrence("30 seconds").explain() == "Every 30 seconds"

"""Expressions and zones: what is read, what is refused, and every kind of day on which clocks change."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postmill.model.errors import InvalidOption
from postmill.model.schedule.recurrence import Cron, EverySeconds, recurrence, zone_of

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


def changes_of(zone: ZoneInfo) -> list[datetime]:
    """The days of 2026 on which the clocks of ``zone`` change."""
    days = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day) for day in range(365)]
    return [
        day
        for day in days
        if day.astimezone(zone).utcoffset() != (day + timedelta(days=1)).astimezone(zone).utcoffset()
    ]


@pytest.mark.parametrize("name", sorted(name for name in available_timezones() if changes_of(ZoneInfo(name))))
def test_on_days_on_which_clocks_change_every_wall_time_fires_exactly_once(name: str) -> None:
    # The oracle walks through the minutes of the day: of a wall time that occurs twice the first counts, and
    # one that is left out counts for the first minute after the gap.
    zone = ZoneInfo(name)
    for day in changes_of(zone):
        begin, end = day - timedelta(hours=6), day + timedelta(hours=30)
        for hour, minute in ((0, 15), (1, 30), (2, 30), (3, 0), (23, 45)):
            fired = []
            tick = begin
            while (tick := Cron(f"{minute} {hour} * * *").after(tick, zone)) <= end:
                fired.append(tick)
            assert fired == expected(zone, hour, minute, begin, end), (name, day, hour, minute)


def expected(zone: ZoneInfo, hour: int, minute: int, begin: datetime, end: datetime) -> list[datetime]:
    found: dict[date, datetime] = {}
    before = begin.astimezone(zone).replace(tzinfo=None)
    moment = begin + timedelta(minutes=1)
    while moment <= end:
        wall = moment.astimezone(zone).replace(tzinfo=None)
        for day in {before.date(), wall.date()}:
            wanted = datetime.combine(day, time(hour, minute))
            if wall == wanted or before < wanted < wall:
                found.setdefault(day, moment)
        before, moment = wall, moment + timedelta(minutes=1)
    return list(found.values())


@settings(deadline=None, max_examples=60)
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

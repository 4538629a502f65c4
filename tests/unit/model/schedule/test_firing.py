"""What fires when a schedule is due, for each way to catch up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from postmill.model.schedule.firing import MOST_TICKS, Due, due, visible_at
from postmill.model.schedule.recurrence import recurrence

UTC_ZONE = ZoneInfo("UTC")
HOURLY = recurrence("0 * * * *")
NINE, TEN, ELEVEN, NOON = (datetime(2026, 5, 1, hour, tzinfo=UTC) for hour in (9, 10, 11, 12))
MOMENT = timedelta(seconds=2)


@pytest.mark.parametrize("catch_up", ["none", "one", "all"])
def test_a_tick_in_time_fires(catch_up: str) -> None:
    assert due(HOURLY, UTC_ZONE, NINE, NINE + MOMENT, catch_up) == Due((NINE,), False, TEN)


@pytest.mark.parametrize(
    ("catch_up", "fires", "missed"),
    [("none", (), True), ("one", (ELEVEN,), True), ("all", (NINE, TEN, ELEVEN), False)],
)
def test_missed_ticks(catch_up: str, fires: tuple[datetime, ...], missed: bool) -> None:
    found = due(HOURLY, UTC_ZONE, NINE, ELEVEN + timedelta(minutes=20), catch_up)
    assert found == Due(fires, missed, NOON)


def test_without_catching_up_the_tick_of_now_still_fires() -> None:
    assert due(HOURLY, UTC_ZONE, NINE, ELEVEN + MOMENT, "none") == Due((ELEVEN,), True, NOON)


def test_a_year_of_minutes_is_caught_up_in_turns() -> None:
    found = due(recurrence("* * * * *"), UTC_ZONE, NINE, NINE + timedelta(days=365), "all")
    assert len(found.ticks) == MOST_TICKS
    assert found.next_at == NINE + timedelta(minutes=MOST_TICKS)


def test_a_clock_that_jumped_by_a_century_costs_no_walk_through_it() -> None:
    found = due(recurrence("1 second"), UTC_ZONE, NINE, NINE.replace(year=2126), "one")
    assert found.ticks == (NINE.replace(year=2126),)


def test_jitter_moves_the_message_and_not_the_tick() -> None:
    assert visible_at(NINE, timedelta(minutes=1), 0.5) == NINE + timedelta(seconds=30)

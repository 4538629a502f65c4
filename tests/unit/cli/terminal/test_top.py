from __future__ import annotations

from typing import Any

import pytest

from postmill.cli.terminal.table import age
from postmill.cli.terminal.top_frame import Frame, with_rates
from postmill.cli.terminal.top_view import lines


def reading(at: float, sent: int | None, left: int | None) -> dict[str, Any]:
    return {"queue": "q", "sent_so_far": sent, "left_so_far": left, "read_at": at}


def test_a_rate_is_the_difference_of_two_readings() -> None:
    row = with_rates(reading(12.0, 150, 80), reading(10.0, 100, 80))
    assert row == {"queue": "q", "sent_s": 25.0, "left_s": 0.0}


@pytest.mark.parametrize("before", [None, reading(12.0, 1, 1), reading(10.0, None, None)])
def test_without_two_readings_there_is_no_rate(before: dict[str, Any] | None) -> None:
    row = with_rates(reading(12.0, 150, 80), before)
    assert (row["sent_s"], row["left_s"]) == (None, None)


def test_counters_that_a_crash_has_reset_give_no_negative_rate() -> None:
    assert with_rates(reading(12.0, 0, 0), reading(10.0, 100, 100))["sent_s"] == 0


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.04, "0.0 s"), (42, "42 s"), (150, "2 min"), (7200, "2 h"), (7 * 86_400, "7 d")],
)
def test_ages_have_one_unit(seconds: float, shown: str) -> None:
    assert age(seconds) == shown


def test_what_came_from_users_stays_on_its_line() -> None:
    row = dict.fromkeys(("failed_at", "msg_id", "attempt", "kind"), 1) | {"queue": "q"}
    row |= {"error_type": "ValueError", "error_message": "a\tb\n[red]c"}
    assert [line.split("\t")[-1] for line in lines(Frame([], [], [row]))][-2] == "ValueError: a b [red]c"


def test_plain_text_has_a_heading_for_each_part() -> None:
    text = list(lines(Frame([], [], [])))
    assert [line.split("\t")[0] for line in text if line] == ["queues", "worker", "failed_at"]

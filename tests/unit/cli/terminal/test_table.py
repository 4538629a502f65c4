"""Lists fit the terminal: no heading is broken, and no id is cut."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmill.cli.terminal import table

NOW = datetime(2030, 6, 1, 12, tzinfo=UTC)
COLUMNS = ("worker_id", "queue", "in_flight", "msg_id", "heartbeat_age_s", "last_error", "message")


def shown(row: dict[str, Any], columns: tuple[str, ...] = COLUMNS, width: int = 80) -> list[str]:
    return table.lines([row], columns, width=width, now=NOW)


def test_headings_are_the_words_that_people_use_and_ages_have_a_unit() -> None:
    assert shown({"in_flight": 3, "heartbeat_age_s": 0.42, "queue": "mail"}) == [
        "queue  running   beat",
        "mail         3  0.4 s",
    ]


def test_a_column_with_nothing_in_it_is_left_out() -> None:
    assert shown({"queue": "mail", "last_error": None, "message": ""}) == ["queue", "mail"]


def test_times_of_today_have_no_date() -> None:
    assert table.cell(NOW - timedelta(minutes=1), "at", NOW) == (
        NOW - timedelta(minutes=1)
    ).astimezone().strftime("%H:%M:%S")
    yesterday = NOW - timedelta(days=1)
    assert table.cell(yesterday, "at", NOW) == yesterday.astimezone().strftime("%b %d %H:%M")
    assert table.cell(NOW - timedelta(days=366), "at", NOW) == "2029-05-31"


@pytest.mark.parametrize("at", [datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)])
def test_a_time_at_the_end_of_what_can_be_counted_is_shown(at: datetime) -> None:
    assert str(at.year) in table.cell(at, "at", NOW)


def test_an_id_is_short_and_a_path_is_seen_from_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert table.cell(UUID(int=1), "worker_id", NOW) == "00000000"
    assert table.cell(tmp_path / "functions" / "a.py", "file", NOW) == "functions/a.py"
    assert table.cell(Path("/elsewhere/a.py"), "file", NOW) == "/elsewhere/a.py"


def test_the_longest_text_gives_way_and_a_number_never_does() -> None:
    row = {"msg_id": 2**62, "last_error": "ValueError: " + "no " * 40, "message": {"url": "x" * 100}}
    heading, line = shown(row)
    assert len(line) <= 80
    assert str(2**62) in line
    assert line.count("…") == 2
    assert heading.split() == ["message", "last", "error", "payload"]


TEXTS = st.text(st.characters(codec="utf-8"), max_size=60)


@given(
    st.lists(st.fixed_dictionaries({"queue": TEXTS, "last_error": TEXTS, "msg_id": st.integers()})),
    st.integers(70, 120),
)
def test_any_rows_fit_and_each_is_one_line(rows: list[dict[str, Any]], width: int) -> None:
    found = table.lines(rows, ("msg_id", "queue", "last_error"), width=width, now=NOW)
    assert len(found) == len(rows) + 1
    assert all("\n" not in line for line in found)

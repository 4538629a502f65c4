"""A property that fails on a server tells its example before the test's time is up."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.properties import FIRST_FAILURE


def test_the_first_failing_example_is_shown_and_no_other_is_looked_for() -> None:
    tried: list[list[int]] = []

    @settings(FIRST_FAILURE, database=None)
    @given(st.lists(st.integers(0, 9)))
    def short(numbers: list[int]) -> None:
        tried.append(numbers)
        assert len(numbers) < 3

    with pytest.raises(AssertionError) as failed:
        short()
    found = next(at for at, numbers in enumerate(tried) if len(numbers) >= 3)
    again = tried[found:]
    assert again == [tried[found]] * len(again)  # run again to be sure of it, and to show it
    shown = "\n".join(failed.value.__notes__)
    assert f"numbers={tried[found]}".replace(" ", "") in "".join(shown.split())
    assert "@reproduce_failure" in shown

"""Limits of functions: what is asked for at each point, and what is no limit."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmill.model.errors import InvalidOption
from postmill.model.functions.limits import MEBIBYTE, EndReason, Limits, Usage, Verdict, judge

ALL = Limits(wall_clock_s=100, cpu_soft_s=1, cpu_hard_s=2, memory_mb=100, requests=10, idle_s=30)
OFF = Limits(wall_clock_s=0, memory_mb=0)
KEEP = Verdict()


@pytest.mark.parametrize(
    ("usage", "verdict"),
    [
        (Usage(age_s=0), KEEP),
        (Usage(age_s=49.9), KEEP),
        (Usage(age_s=50), Verdict(retire=True)),
        (Usage(age_s=90), Verdict(retire=True, warn=EndReason.WALL_CLOCK)),
        (Usage(age_s=100), Verdict(kill=EndReason.WALL_CLOCK)),
        (Usage(age_s=1, cpu_s=0.99), KEEP),
        (Usage(age_s=1, cpu_s=1), Verdict(retire=True, warn=EndReason.CPU_TIME)),
        (Usage(age_s=1, cpu_s=2), Verdict(kill=EndReason.CPU_TIME)),
        (Usage(age_s=1, memory_bytes=90 * MEBIBYTE), KEEP),
        (Usage(age_s=1, memory_bytes=90 * MEBIBYTE + 1), Verdict(retire=True, warn=EndReason.MEMORY)),
        (Usage(age_s=1, memory_bytes=100 * MEBIBYTE + 1), Verdict(kill=EndReason.MEMORY)),
        (Usage(age_s=1, requests=9), KEEP),
        (Usage(age_s=1, requests=10), Verdict(retire=True)),
        (Usage(age_s=1, idle_s=30), Verdict(retire=True)),
    ],
)
def test_each_point_asks_for_its_own(usage: Usage, verdict: Verdict) -> None:
    assert judge(usage, ALL) == verdict
    assert judge(usage, OFF) == KEEP


@given(
    st.builds(
        Usage,
        age_s=st.floats(0, 1000),
        cpu_s=st.floats(0, 1000),
        memory_bytes=st.integers(0, 1 << 40),
        requests=st.integers(0, 1000),
        idle_s=st.floats(0, 1000),
    ),
    st.sampled_from([field.name for field in fields(Limits)]),
)
def test_turning_a_limit_off_never_asks_for_more(usage: Usage, name: str) -> None:
    with_it, without = judge(usage, ALL), judge(usage, replace(ALL, **{name: 0}))
    assert without.kill is None or with_it.kill is not None
    assert not without.retire or with_it.retire or with_it.kill is not None


@pytest.mark.parametrize(
    "wrong",
    [
        {"wall_clock_s": -1},
        {"requests": True},
        {"memory_mb": "512"},
        {"memory_mb": 10},
        {"cpu_soft_s": 3, "cpu_hard_s": 2},
        {"idle_s": float("nan")},
    ],
)
def test_what_is_no_limit_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidOption):
        Limits(**wrong)  # type: ignore[arg-type]

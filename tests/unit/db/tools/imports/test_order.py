"""Jobs are imported after those that they wait for; what can't be is left, and so is what waits for it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from postmill.db.tools.imports.order import RING, WAITS_FOR_LEFT, arranged


def test_levels_keep_the_order_of_the_jobs() -> None:
    levels, left = arranged("dcba", {"c": ["a"], "b": ["c", "a"]}, {})
    assert (levels, left) == ([["d", "a"], ["c"], ["b"]], {})


def test_what_waits_for_a_job_that_is_left_is_left_to_its_end() -> None:
    levels, left = arranged("abcd", {"b": ["a"], "c": ["b"], "d": ["elsewhere"]}, {"a": "it runs"})
    assert levels == []
    assert left == {"a": "it runs", "b": WAITS_FOR_LEFT, "c": WAITS_FOR_LEFT, "d": WAITS_FOR_LEFT}


def test_a_ring_is_left_with_what_is_behind_it() -> None:
    levels, left = arranged("abcd", {"a": ["b"], "b": ["a"], "c": ["b"]}, {})
    assert (levels, left) == ([["d"]], dict.fromkeys("abc", RING))


_JOBS = st.integers(0, 9).map(str)


@given(st.dictionaries(_JOBS, st.lists(_JOBS, max_size=3)), st.dictionaries(_JOBS, st.just("it runs")))
def test_every_job_is_in_one_place_and_after_its_sources(
    sources: dict[str, list[str]], left_before: dict[str, str]
) -> None:
    jobs = [str(number) for number in range(8)]
    levels, left = arranged(jobs, sources, {job: why for job, why in left_before.items() if job in jobs})
    placed = [job for level in levels for job in level]
    assert sorted([*placed, *left]) == jobs
    done: set[str] = set()
    for level in levels:
        assert all(source in done for job in level for source in sources.get(job, ()))
        done.update(level)

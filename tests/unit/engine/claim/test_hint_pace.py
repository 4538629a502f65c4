"""When a worker writes down its position."""

from __future__ import annotations

from postmill.engine.claim.hint_pace import HINT_S, SAME_HINT_S, HintPace


def written() -> HintPace:
    """At time 0 it has written position 7."""
    pace = HintPace()
    assert pace.is_due(("one", 7), 0.0)
    pace.written(("one", 7))
    return pace


def test_an_idle_worker_seldom_writes_again_what_it_has_written() -> None:
    """Twenty idle workers wrote the same position every 30 s each."""
    assert not written().is_due(("one", 8), HINT_S - 1)
    assert written().is_due(("one", 8), HINT_S)
    assert not written().is_due(("one", 7), HINT_S)
    assert written().is_due(("two", 7), HINT_S), "another server's position is another one"
    assert written().is_due(("one", 7), SAME_HINT_S), "another worker may have written another one"


def test_a_position_that_could_not_be_written_is_tried_again_soon() -> None:
    """It counted as written, and new workers began where others had been for five minutes."""
    pace = HintPace()
    assert pace.is_due(("one", 7), 0.0)
    assert not pace.is_due(("one", 7), HINT_S - 1)
    assert pace.is_due(("one", 7), HINT_S)

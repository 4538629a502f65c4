"""When the pruning of one process asks again."""

from __future__ import annotations

from postmill.engine.maintain.pruner import AFTER_OTHERS, EVERY_S, rest_s


def test_a_process_that_is_alone_asks_every_minute() -> None:
    """It may ask just before a queue is due, and rested two minutes then: its history had gaps."""
    assert rest_s(1) == EVERY_S


def test_a_process_beside_others_asks_half_as_often() -> None:
    assert rest_s(2) == rest_s(9) == AFTER_OTHERS * EVERY_S

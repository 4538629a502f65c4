"""What follows a refused settlement: which cause, whose fault, and which weaker outcome comes next."""

from __future__ import annotations

from dataclasses import replace

import pytest

from postmill.model.queue.outcome import (
    CANCELLED,
    COMPLETED,
    LOST,
    RELEASED,
    SETTLED,
    Completed,
    Failed,
    Outcome,
    Settled,
    Snooze,
)
from postmill.model.queue.refusal import (
    PUT_OFF_S,
    TRIES,
    UNCOUNTED,
    Acceptance,
    Cause,
    Verdict,
    cause_of,
    weakened,
)

RETRIED = Failed("error", "Odd", "no", "trace", 0.0)
DEAD = Failed("error", "Odd", "no", "trace", None, reason="enough")


@pytest.mark.parametrize(
    ("sqlstate", "cause"),
    [
        ("23505", Cause.ROW),
        ("22P05", Cause.ROW),
        ("P0001", Cause.ROW),
        ("54000", Cause.ROW),
        ("", Cause.ROW),
        ("42501", Cause.UNCLEAR),
        ("42P01", Cause.UNCLEAR),
        ("26000", Cause.UNCLEAR),
        ("XX001", Cause.UNCLEAR),
        ("55P03", Cause.LOCKED),
        ("57014", Cause.LOCKED),
    ],
)
def test_the_cause_behind_a_state(sqlstate: str, cause: Cause) -> None:
    assert cause_of(sqlstate) is cause


def test_two_rows_refused_alike_are_the_queues_refusal() -> None:
    acceptance = Acceptance()
    assert acceptance.refused(1, lacking=False) is Verdict.HOLD
    assert acceptance.refused(2, lacking=False) is Verdict.QUEUE
    assert acceptance.refusing


def test_a_row_refused_while_others_are_accepted_is_odd_and_stays_so() -> None:
    acceptance = Acceptance()
    acceptance.accepted([7])  # before the refusal: the right may have gone since
    assert acceptance.refused(1, lacking=False) is Verdict.HOLD
    acceptance.accepted([8])
    assert acceptance.refused(1, lacking=False) is Verdict.ROW
    assert acceptance.refused(1, lacking=False) is Verdict.ROW  # its next attempt
    assert acceptance.refused(2, lacking=False) is Verdict.HOLD  # an odd one is no evidence against the queue


def test_a_row_alone_comes_to_an_end() -> None:
    acceptance = Acceptance()
    verdicts = [acceptance.refused(1, lacking=False) for _ in range(TRIES)]
    assert verdicts == [Verdict.HOLD] * (TRIES - 1) + [Verdict.ROW]


def test_a_reason_that_would_pass_by_itself_is_a_rows_only_after_many_tries() -> None:
    acceptance = Acceptance()
    verdicts = []
    for other in range(TRIES):
        verdicts.append(acceptance.refused(1, lacking=False, patient=True))
        acceptance.accepted([100 + other])
    assert verdicts == [Verdict.HOLD] * (TRIES - 1) + [Verdict.ROW]


def test_what_is_missing_in_the_catalogue_is_never_a_rows_fault() -> None:
    acceptance = Acceptance()
    for _ in range(3 * TRIES):
        assert acceptance.refused(1, lacking=True) is Verdict.QUEUE
    assert acceptance.accepted([1])
    assert not acceptance.refusing
    assert not acceptance.accepted([2])


UNRECORDED = [
    replace(RETRIED, kind="", retry_after_s=None, reason=UNCOUNTED),
    replace(RETRIED, kind="", retry_after_s=PUT_OFF_S, reason=UNCOUNTED),
]
"""What follows an attempt whose record is refused: it is not counted, so there is no next one."""


def ladder(outcome: Outcome, failed: Failed) -> list[Outcome]:
    """Everything that is tried in place of an outcome, one after the other."""
    steps: list[Outcome] = []
    weaker = weakened(outcome, lambda: failed)
    while weaker is not None:
        steps.append(weaker)
        assert len(steps) < 10, "it never ends"
        weaker = weakened(weaker, lambda: failed)
    return steps


@pytest.mark.parametrize(
    ("outcome", "failed", "steps"),
    [
        (COMPLETED, RETRIED, [RETRIED, *UNRECORDED]),
        (Completed("1"), RETRIED, [COMPLETED, RETRIED, *UNRECORDED]),
        (CANCELLED, RETRIED, [RETRIED, *UNRECORDED]),
        (
            COMPLETED,
            DEAD,
            [
                DEAD,
                replace(DEAD, retry_after_s=PUT_OFF_S),
                replace(DEAD, kind="", reason=DEAD.reason or UNCOUNTED),
                replace(DEAD, kind="", reason=DEAD.reason or UNCOUNTED, retry_after_s=PUT_OFF_S),
            ],
        ),
        (
            replace(RETRIED, error_message="\u00e9", error_type="\u4e2d"),
            RETRIED,
            [
                replace(RETRIED, error_message="\\xe9", error_type="\\u4e2d"),
                *(replace(step, error_message="\\xe9", error_type="\\u4e2d") for step in UNRECORDED),
            ],
        ),
        (Settled("1"), RETRIED, [SETTLED]),
        (SETTLED, RETRIED, []),
        (RELEASED, RETRIED, []),
        (LOST, RETRIED, []),
    ],
)
def test_each_answer_asks_less_than_the_one_before(
    outcome: Outcome, failed: Failed, steps: list[Outcome]
) -> None:
    assert ladder(outcome, failed) == steps


def test_a_snooze_that_is_refused_becomes_a_counted_attempt() -> None:
    assert ladder(Snooze(3), RETRIED)[0] == RETRIED

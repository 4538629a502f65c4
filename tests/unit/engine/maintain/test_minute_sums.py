"""What one worker's messages have come to."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from postmill.engine.maintain.minute_sums import MinuteSums
from postmill.model.events import Event
from postmill.model.queue.message import Claim, Message

CLAIMED_AT = datetime(2026, 5, 1, tzinfo=UTC)
CLAIMED_US = int(CLAIMED_AT.timestamp()) * 1_000_000


def message(
    *, read_ct: int = 1, waited_s: float = 0.0, ran_s: float | None = 0.0, claim: Claim | None = None
) -> Message:
    sent_us = CLAIMED_US - int(waited_s * 1_000_000)
    claim = claim or Claim(1, CLAIMED_AT, 0.0)
    each = Message("tasks", 1, read_ct, 0, sent_us, "{}", None, 0, 0, claim)
    each.started = 0.0 if ran_s is None else time.monotonic() - ran_s
    return each


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (Event.MESSAGE_COMPLETED, (1, 1, 0, 0)),
        (Event.MESSAGE_RETRYING, (1, 0, 1, 0)),
        (Event.MESSAGE_DEAD, (1, 0, 1, 1)),
        (Event.STEP_FAILED, (1, 0, 1, 1)),
        (Event.MESSAGE_SNOOZED, (1, 0, 0, 0)),
        (Event.MESSAGE_RELEASED, (1, 0, 0, 0)),
    ],
)
def test_what_each_end_counts_as(event: Event, expected: tuple[int, ...]) -> None:
    sums = MinuteSums()
    sums.count(event, [message()])
    batch = sums.batch()
    assert batch is not None
    assert batch[1:5] == expected


@pytest.mark.parametrize("event", [Event.LEASE_LOST, Event.MESSAGE_CLAIMED, Event.CLAIMS_RESCUED])
def test_what_is_no_end_is_not_counted(event: Event) -> None:
    sums = MinuteSums()
    sums.count(event, [message()])
    sums.count(Event.MESSAGE_COMPLETED, [])
    assert sums.batch() is None


def test_a_second_attempt_is_no_second_start_and_has_not_waited_since_it_was_sent() -> None:
    sums = MinuteSums()
    sums.count(Event.MESSAGE_COMPLETED, [message(read_ct=2, waited_s=50)])
    batch = sums.batch()
    assert batch is not None
    assert (batch.started, batch.completed, batch.waited_ms) == (0, 1, 0)


def test_a_message_that_died_before_it_ran_is_no_failed_attempt() -> None:
    sums = MinuteSums()
    sums.count(Event.MESSAGE_DEAD, [message(ran_s=None)])
    batch = sums.batch()
    assert batch is not None
    assert (batch.started, batch.failed, batch.dead, batch.ran_ms) == (0, 0, 1, 0)


def test_times_are_those_of_the_messages() -> None:
    sums = MinuteSums()
    sums.count(Event.MESSAGE_COMPLETED, [message(waited_s=2, ran_s=3), message(waited_s=0.5, ran_s=1)])
    batch = sums.batch()
    assert batch is not None
    assert batch.waited_ms == 2_500
    assert batch.ran_ms == pytest.approx(4_000, abs=500)


def test_fractions_of_a_millisecond_are_not_lost() -> None:
    sums, written = MinuteSums(), 0
    for _ in range(10):
        sums.count(Event.MESSAGE_COMPLETED, [message(waited_s=0.0004)])
        batch = sums.batch()
        assert batch is not None
        written += batch.waited_ms
        sums.written()
    assert written == 4


def test_what_is_not_known_to_be_written_is_sent_again_as_it_was() -> None:
    sums = MinuteSums()
    sums.count(Event.MESSAGE_COMPLETED, [message()])
    first = sums.batch()
    sums.count(Event.MESSAGE_COMPLETED, [message(), message()])
    assert sums.batch() == first
    sums.written()
    second = sums.batch()
    assert first is not None
    assert second is not None
    assert (first.number, first.completed, second.number, second.completed) == (1, 1, 2, 2)
    sums.written()
    assert sums.batch() is None


def test_a_message_that_is_sent_after_its_claim_has_not_waited() -> None:
    """The clock of a server can be set back."""
    sums = MinuteSums()
    sums.count(Event.MESSAGE_COMPLETED, [message(waited_s=-timedelta(hours=1).total_seconds())])
    batch = sums.batch()
    assert batch is not None
    assert batch.waited_ms == 0


@pytest.mark.parametrize("own", [True, False])
def test_messages_of_one_claim_wait_as_those_of_several(own: bool) -> None:
    shared = Claim(1, CLAIMED_AT, 0.0)
    sums = MinuteSums()
    each = [message(waited_s=waited, claim=None if own else shared) for waited in (1, 2, 4)]
    sums.count(Event.MESSAGE_COMPLETED, each)
    batch = sums.batch()
    assert batch is not None
    assert batch.waited_ms == 7_000

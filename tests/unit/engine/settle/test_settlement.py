"""How outcomes are put into statements."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from postmill.engine.settle.settlement import Settlings, grouped
from postmill.engine.settle.statements import OWN
from postmill.model.queue.message import Claim, HeldMessages, Message
from postmill.model.queue.outcome import COMPLETED, RELEASED, Outcome

if TYPE_CHECKING:
    from postmill.engine.settle.settlement import Settlement


class Holder:
    """A worker that holds messages and has outcomes for them."""

    def __init__(self) -> None:
        self._held = HeldMessages()
        self._outcomes: list[tuple[Message, Outcome]] = []

    def claim(self, claim_id: int, outcomes: dict[tuple[int, int], Outcome]) -> None:
        """One claim of messages, by id and read_ct, each of which ends so."""
        claim = Claim(claim_id, datetime.now(UTC), 0.0)
        messages = [
            Message("q", msg_id, read_ct, 0, 0, "1", None, 0, 0, claim) for msg_id, read_ct in outcomes
        ]
        self._held.opened(claim, messages)
        self._outcomes += zip(messages, outcomes.values(), strict=True)

    def settlements(self) -> list[Settlement]:
        """What is written down."""
        return list(grouped(self._outcomes, self._held.closing, Settlings(OWN)))


@pytest.fixture
def holder() -> Holder:
    return Holder()


def told(settlements: list[Settlement]) -> list[tuple[str, list[tuple[int, int]], list[int]]]:
    return [
        (each.kind, [(message.msg_id, message.read_ct) for message in each.messages], each.finished)
        for each in settlements
    ]


def test_one_statement_a_kind_in_order_of_id_and_the_last_closes_the_claim(holder: Holder) -> None:
    holder.claim(9, {(3, 1): COMPLETED, (2, 1): RELEASED, (1, 1): COMPLETED})
    assert told(holder.settlements()) == [
        ("complete", [(1, 1), (3, 1)], []),
        ("reschedule", [(2, 1)], [9]),
    ]


def test_a_message_that_was_lost_and_claimed_again_is_never_twice_in_one_statement(holder: Holder) -> None:
    # Statements answer with ids: both ends of message 1 were taken for completed. With results to keep the
    # statement failed, for it can't write one row twice; as dead letters there would have been two.
    holder.claim(8, {(1, 1): COMPLETED, (2, 1): COMPLETED})
    holder.claim(9, {(1, 3): COMPLETED})
    assert told(holder.settlements()) == [
        ("complete", [(1, 1), (2, 1)], [8]),
        ("complete", [(1, 3)], [9]),
    ]


@pytest.mark.parametrize(
    ("returned", "landed", "missed"),
    [
        ([3, 1, 2], [1, 2, 3], []),
        ([1, 3], [1, 3], [2]),
        ([], [], [1, 2, 3]),
        ([1, 1, 2], [1, 2], [3]),
        ([1, 2, 9], [1, 2], [3]),
        ([9, 8, 7, 6], [], [1, 2, 3]),
        ([1, 2, 3, 9], [1, 2, 3], []),
    ],
)
def test_a_settlement_believes_ids_and_not_their_number(
    holder: Holder, returned: list[int], landed: list[int], missed: list[int]
) -> None:
    """A trigger that changes what is returned gave as many ids as were sent: all counted as written down."""
    holder.claim(9, {(1, 1): COMPLETED, (2, 1): COMPLETED, (3, 1): COMPLETED})
    (settlement,) = holder.settlements()
    messages, pairs = settlement.landed(returned)
    assert [message.msg_id for message in messages] == landed
    assert [message.msg_id for message, _ in pairs] == missed

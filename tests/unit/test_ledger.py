"""What a worker holds: its claims, and how old their leases are."""

from __future__ import annotations

from datetime import UTC, datetime

from postmill.engine.held_messages import Ledger
from postmill.model.queue.message import Claim, Message, State

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def claimed(ledger: Ledger, claim_id: int, *msg_ids: int, at: float = 0.0) -> list[Message]:
    claim = Claim(claim_id, NOW, at)
    messages = [Message("tasks", msg_id, 1, 5, 0, "{}", None, 0, 0, claim) for msg_id in msg_ids]
    ledger.opened(claim, messages)
    return messages


def test_a_receipt_is_finished_with_its_last_message() -> None:
    ledger = Ledger()
    one, two, three = claimed(ledger, 7, 1, 2, 3)
    (four,) = claimed(ledger, 8, 4)
    assert ledger.closing([one]) == ([], [7])
    assert ledger.closing([two, four]) == ([8], [7])
    assert ledger.closing([three]) == ([7], [])
    assert ledger.unsettled == 0


def test_a_receipt_is_known_until_its_last_outcome_has_landed() -> None:
    """Otherwise the heartbeat would take it for a claim that the worker was never told of."""
    ledger = Ledger()
    (message,) = claimed(ledger, 7, 1)
    finished, _ = ledger.closing([message])
    assert ledger.receipts == [7]
    ledger.closed(finished)
    ledger.closed(finished)
    assert ledger.receipts == []


def test_only_unsettled_messages_of_old_leases_are_renewed() -> None:
    ledger = Ledger()
    held, settling, settled, lost = claimed(ledger, 7, 1, 2, 3, 4, at=10.0)
    claimed(ledger, 8, 5, at=20.0)
    settling.state, settled.state, lost.state = State.SETTLING, State.SETTLED, State.LOST
    assert ledger.older_than(15.0) == [held, settling]
    assert ledger.older_than(5.0) == []


def test_a_renewal_moves_the_token_and_the_age_of_its_claim() -> None:
    ledger = Ledger()
    one, two = claimed(ledger, 7, 1, 2, at=10.0)
    ledger.renewed(one, 99, 30.0)
    assert (one.vt_us, two.vt_us) == (99, 5)
    assert ledger.older_than(25.0) == []

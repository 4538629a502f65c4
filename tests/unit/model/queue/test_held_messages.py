"""What a worker holds: its claims, and how old their leases are."""

from __future__ import annotations

from datetime import UTC, datetime

from postmill.model.queue.message import Claim, HeldMessages, Message, State

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def claimed(held_messages: HeldMessages, claim_id: int, *msg_ids: int, at: float = 0.0) -> list[Message]:
    claim = Claim(claim_id, NOW, at)
    messages = [Message("tasks", msg_id, 1, 5, 0, "{}", None, 0, 0, claim) for msg_id in msg_ids]
    held_messages.opened(claim, messages)
    return messages


def test_a_claim_is_finished_with_its_last_message() -> None:
    held_messages = HeldMessages()
    one, two, three = claimed(held_messages, 7, 1, 2, 3)
    (four,) = claimed(held_messages, 8, 4)
    assert held_messages.closing([one]) == ([], [7])
    assert held_messages.closing([two, four]) == ([8], [7])
    assert held_messages.closing([three]) == ([7], [])
    assert held_messages.unsettled == 0


def test_a_claim_is_known_until_its_last_outcome_has_landed() -> None:
    """Otherwise the heartbeat would take it for a claim that the worker was never told of."""
    held_messages = HeldMessages()
    (message,) = claimed(held_messages, 7, 1)
    finished, _ = held_messages.closing([message])
    assert held_messages.claim_ids == [7]
    held_messages.closed(finished)
    held_messages.closed(finished)
    assert held_messages.claim_ids == []


def test_only_unsettled_messages_of_old_leases_are_renewed() -> None:
    held_messages = HeldMessages()
    held, settling, settled, lost = claimed(held_messages, 7, 1, 2, 3, 4, at=10.0)
    claimed(held_messages, 8, 5, at=20.0)
    settling.state, settled.state, lost.state = State.SETTLING, State.SETTLED, State.LOST
    assert held_messages.older_than(15.0) == [held, settling]
    assert held_messages.older_than(5.0) == []


def test_a_renewal_moves_the_token_and_the_age_of_its_claim() -> None:
    held_messages = HeldMessages()
    one, two = claimed(held_messages, 7, 1, 2, at=10.0)
    held_messages.renewed(one, 99, 30.0)
    assert (one.vt_us, two.vt_us) == (99, 5)
    assert held_messages.older_than(25.0) == []

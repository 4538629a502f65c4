"""What bounds a claim's look at gates holds for transactions in flight, too."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from postmill.model.queue.gate_horizon import ALL_AGAIN_S, LONG_AGO, GateHorizon

if TYPE_CHECKING:
    from datetime import datetime


def at(second: int) -> datetime:
    return LONG_AGO + timedelta(days=1, seconds=second)


def look(second: int, *writers: str, **columns: Any) -> dict[str, Any]:
    """The answer of a poll."""
    nothing = {"sequence": 0, "claiming": (), "open_claim": None}
    return {"asked_at": at(second), "writers": list(writers), **nothing, **columns}


def claim(**columns: Any) -> dict[str, Any]:
    """The answer of a claim that has looked at all groups."""
    columns = {"ahead": None, "behind": None, "wrapped": True, "seen": 0, **columns}
    ranks = {"rank_ahead": columns.pop("ahead"), "rank_behind": columns.pop("behind")}
    return {"last_key": "k", **ranks, **columns}


def begun() -> GateHorizon:
    """One whose first rounds are over."""
    horizon = GateHorizon()
    horizon.claimed(claim(), 0.0)
    return horizon


def test_a_round_shows_up_to_which_rank_nothing_waits() -> None:
    horizon = begun()
    horizon.looked(look(10), 0)
    horizon.looked(look(20), 0)
    horizon.claimed(claim(ahead=at(5), behind=at(4)), 1.0)  # a round begins that knows of both looks
    horizon.claimed(claim(ahead=at(6)), 2.0)
    assert horizon.since == at(4) - timedelta(microseconds=1)
    horizon.claimed(claim(), 3.0)  # nothing waits: as of the look before the last one
    assert horizon.since == at(10) - timedelta(microseconds=1)


def test_a_round_may_take_several_claims() -> None:
    horizon = begun()
    horizon.looked(look(10), 0)
    horizon.looked(look(20), 0)
    horizon.claimed(claim(), 1.0)
    horizon.claimed(claim(ahead=at(7), wrapped=False), 2.0)
    assert horizon.since < at(1)
    horizon.claimed(claim(ahead=at(8)), 3.0)
    assert horizon.since == at(7) - timedelta(microseconds=1)


def test_a_transaction_that_is_open_may_still_show_old_ranks() -> None:
    """It sent a message of the group, and commits minutes later."""
    horizon = begun()
    horizon.looked(look(10), 0)
    horizon.looked(look(20, "slow"), 0)
    horizon.looked(look(300, "slow"), 0)
    horizon.claimed(claim(), 1.0)
    horizon.claimed(claim(), 2.0)
    assert horizon.since < at(10)
    horizon.looked(look(310), 0)  # it has ended: what it wrote is seen by the round that begins now
    horizon.claimed(claim(), 3.0)
    horizon.claimed(claim(), 4.0)
    assert horizon.since < at(10)
    horizon.looked(look(320), 0)
    horizon.claimed(claim(), 5.0)
    horizon.claimed(claim(), 6.0)
    assert horizon.since == at(310) - timedelta(microseconds=1)


def test_all_ranks_are_looked_at_again_from_time_to_time() -> None:
    horizon = begun()
    horizon.looked(look(10), 0)
    horizon.looked(look(20), 0)
    horizon.claimed(claim(), 1.0)
    horizon.claimed(claim(), 2.0)
    assert horizon.since > LONG_AGO
    horizon.claimed(claim(), ALL_AGAIN_S + 1)
    assert horizon.since == LONG_AGO


def test_claims_are_counted_from_the_first_open_one() -> None:
    horizon = begun()
    horizon.looked(look(1, open_claim=5), 9)
    assert horizon.oldest == 1  # the first look knows of no claim before it
    horizon.looked(look(2, open_claim=7), 9)
    assert horizon.oldest == 7
    horizon.looked(look(3), 20)
    assert horizon.oldest == 10


def test_a_claim_in_flight_is_counted_when_it_is_there() -> None:
    """Its id was drawn, and it is not to be seen yet: a bound above it would let a group run one too many."""
    horizon = begun()
    horizon.looked(look(1), 10)
    horizon.looked(look(2, claiming=("open",)), 50)
    assert horizon.oldest == 11
    horizon.looked(look(3, claiming=("open",)), 90)
    assert horizon.oldest == 11
    horizon.looked(look(4), 95)  # it has ended, maybe after this look's snapshot was taken
    assert horizon.oldest == 11
    horizon.looked(look(5), 99)
    assert horizon.oldest == 96


def test_ids_that_may_have_appeared_late_are_looked_at_again() -> None:
    horizon = begun()
    horizon.looked(look(1, sequence=100), 0)
    horizon.claimed(claim(seen=100), 1.0)
    horizon.looked(look(2, "slow", sequence=200), 0)
    horizon.claimed(claim(seen=200), 1.0)
    horizon.looked(look(3, "slow", sequence=300), 0)
    assert horizon.unseen == 200
    horizon.claimed(claim(seen=300), 1.0)
    horizon.looked(look(4, sequence=300), 0)
    assert horizon.unseen == 100

"""Every order of events around a lease, on the real SQL; and again with a mistake put in that must be found.

Each exploration prints what it walked through; a mistake's shortest story is shown with ``pytest -rP``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from postmill.sql.catalog import statement
from tests.faults.explorer import explore
from tests.faults.lease_world import OUTCOMES, LeaseWorld
from tests.faults.protocol import Change, Database, Protocol

if TYPE_CHECKING:
    from tests.faults.explorer import Exploration
    from tests.faults.lease_scene import State

ROW = r"\(q\.msg_id, q\.read_ct, q\.vt\) in \(select msg_id, read_ct, vt from"
BY_ID = "q.msg_id in (select msg_id from"
SETTLED = "superseded, and did settle"
MISTAKES = {
    "a token without vt": (
        [Change("complete", ROW, "(q.msg_id, q.read_ct) in (select msg_id, read_ct from")],
        SETTLED,
    ),
    "settling by id alone": ([Change("complete", ROW, BY_ID)], SETTLED),
    "retrying by id alone": ([Change("reschedule", ROW, BY_ID)], SETTLED),
    "burying by id alone": ([Change("dead_letter", ROW, BY_ID)], SETTLED),
    "cancelling by id alone": ([Change("cancel_running", ROW, BY_ID)], SETTLED),
    "renewing by id alone": (
        [Change("renew", r" and q\.read_ct = .*\n.*(\n *for update)", r"\1")],
        "superseded, and did renew",
    ),
    "a release that lowers read_ct": (
        [Change("reschedule", r"set vt = ", "set read_ct = q.read_ct - 1, vt = ")],
        "read_ct of message 1 went down",
    ),
    "a rescue that ignores read_ct": (
        [Change("return_claim", r" and q\.read_ct = t\.read_ct", "")],
        "was taken from B, as if it were A's",
    ),
    "a rescue of the living": (
        [Change("_gone_workers", r"clock_timestamp\(\) > greatest.*", "true")],
        "was taken from A, as if it were B's",
    ),
    "a rescue that only closes claims": (
        [Change("return_claim", r"and q\.read_ct = t\.read_ct", "and false")],
        "was left with A, who is gone",
    ),
    "a retry that leaves its claim": (
        [Change("reschedule", r"(where claim_id = any .*)", r"\1 and false")],
        "was taken from nobody",
    ),
    "a claim of what is leased": (
        [Change("claim", r"and vt <= .*", "")],
        "while its lease was running",
    ),
    "a completion that forgets the archive": (
        [Change("complete", r"from gone\n\)", "from gone where false)")],
        r"archived: \[\], and not \[1\]",
    ),
}


def explored(
    db: Database, *changes: Change, messages: int = 1, deepest: int = 100, **options: Any
) -> Exploration[State]:
    """The whole world, walked through on a worker's kind of connection in one transaction after the other."""
    db.execute(b"select postmill.create_queue('lease')")
    db.execute(statement("session_pins", "session").encode())
    world = LeaseWorld(Protocol(db, "lease", *changes), **options)
    with db.pipeline():
        db.execute(b"begin")
        found = explore(world, world.start(messages), deepest)
        db.execute(b"rollback")
    print(found)
    return found


@pytest.mark.parametrize(
    "verbs", [("completes", "retries"), ("buries", "releases"), ("cancels",)], ids="-".join
)
def test_one_message(db: Database, verbs: tuple[str, ...]) -> None:
    assert not explored(db, verbs=verbs).violation


def test_two_messages_of_one_claim(db: Database) -> None:
    """Claims that lose one message and keep another."""
    assert not explored(db, messages=2, most_reads=1, stranger=False).violation


def test_renewals_whose_answer_is_lost(db: Database) -> None:
    """Asked for again, they move a lease only as long as it is this worker's."""
    assert not explored(db, stranger=False, lost_answers=True, verbs=("completes", "releases")).violation


def test_a_renewal_in_doubt_that_looks_at_no_claim_is_found(db: Database) -> None:
    blind = Change("renew", r"\n +and exists \(select from postmill\.claims as c\n.*", "")
    found = explored(db, blind, stranger=False, lost_answers=True, verbs=("completes", "releases"))
    assert re.search("superseded, and did renew", found.violation)


def test_a_renewal_in_doubt_that_knows_only_the_old_vt_is_found(db: Database) -> None:
    forgetful = Change("renew", r" or \(q\.vt > wanted\.vt and .* wanted\.vt_at_most\)", "")
    found = explored(db, forgetful, stranger=False, lost_answers=True, verbs=("completes", "releases"))
    assert re.search("current, and did not renew", found.violation)


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.timeout(1200)
def test_one_message_delivered_three_times(db: Database) -> None:
    """All mistakes below are found with two deliveries."""
    assert not explored(db, most_reads=3).violation


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_found(db: Database, mistake: str) -> None:
    changes, says = MISTAKES[mistake]
    found = explored(db, *changes, verbs=tuple(OUTCOMES))
    assert re.search(says, found.violation)


def test_why_read_ct_must_not_go_down(db: Database) -> None:
    """Two deliveries would have the same (msg_id, read_ct), by which claims tell them apart."""
    changes, _ = MISTAKES["a release that lowers read_ct"]
    found = explored(db, *changes, verbs=("releases",), read_ct_may_fall=True)
    assert "hold message 1 with the same read_ct 1" in found.violation

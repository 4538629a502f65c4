"""pause and resume."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sql.asking import Database, heard, refused, row

if TYPE_CHECKING:
    from collections.abc import Callable

STATE = (
    "select paused_at is not null as paused, pause_reason, paused_by is not null as known "
    "from postmill.queues"
)


def test_pause_says_who_and_why_and_tells_the_workers(
    db: Database, queue: str, connect: Callable[[], Database]
) -> None:
    listening = connect()
    listening.execute(b'listen "postmill.re-size"')

    db.execute(b"select postmill.pause('re-size', 'printer is on fire')")
    assert row(db, STATE) == {"paused": True, "pause_reason": "printer is on fire", "known": True}
    db.execute(b"select postmill.resume('re-size')")
    assert row(db, STATE) == {"paused": False, "pause_reason": None, "known": False}

    assert heard(listening, queue) == ["pause", "resume"]


def test_pausing_again_changes_the_reason_and_not_the_time(db: Database, queue: str) -> None:
    db.execute(b"select postmill.pause('re-size', 'first')")
    before = row(db, "select paused_at from postmill.queues")
    db.execute(b"select postmill.pause('re-size', 'second')")
    assert row(db, "select paused_at from postmill.queues") == before
    assert row(db, STATE)["pause_reason"] == "second"


def test_a_queue_of_another_client_can_be_paused_for_our_workers(db: Database, foreign: str) -> None:
    db.execute(b"select postmill.pause('theirs')")
    assert row(db, "select owned, paused_at is not null as paused from postmill.queues") == {
        "owned": False,
        "paused": True,
    }


def test_resuming_what_is_not_paused_does_nothing(db: Database, queue: str) -> None:
    db.execute(b"select postmill.resume('re-size')")


@pytest.mark.parametrize("function", ["pause", "resume"])
def test_refuses_a_queue_that_is_not_there(db: Database, function: str) -> None:
    with refused("PM001", "there is no queue 'nope'"):
        db.execute(f"select postmill.{function}('nope')".encode())

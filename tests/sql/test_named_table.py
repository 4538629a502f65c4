"""What is kept under a queue's name is not asked for under another spelling of it."""

from __future__ import annotations

import psycopg
import pytest

from tests.sql.asking import Database, claim, refused, value


@pytest.mark.parametrize(
    "call",
    [
        "cancel('Re-Size', 1)",
        "drop_queue('Re-Size')",
        "limit_groups('Re-Size', 1)",
        "limit_queue('Re-Size', 1)",
        "pause('Re-Size')",
        "purge_queue('Re-Size')",
        "queue_stats('Re-Size')",
        "resume('Re-Size')",
    ],
)
def test_a_name_in_other_letters_is_none(db: Database, queue: str, call: str) -> None:
    """A pause under it paused nothing, a purge and a cancel took what ran, a drop left the name behind."""
    claim(db, queue, value(db, "select postmill.send('re-size', '1')"))
    with refused("PM001", "there is no queue 'Re-Size'"):
        db.execute(f"select postmill.{call}".encode())
    assert value(db, 'select count(*) from pgmq."q_re-size"') == 1
    assert value(db, "select count(*) from postmill.queues where queue_name = 'Re-Size'") == 0


def test_the_name_that_was_meant_is_told(db: Database) -> None:
    db.execute(b"select pgmq.create('Theirs')")
    with pytest.raises(psycopg.Error, match=r"Did you mean Theirs\?"):
        db.execute(b"select postmill.pause('theirs')")
    db.execute(b"select postmill.pause('Theirs')")

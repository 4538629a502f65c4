"""What is kept under a queue's name is not asked for under another spelling of it."""

from __future__ import annotations

import psycopg
import pytest

from tests.sql.asking import Database, claim, refused, rows, value


@pytest.mark.parametrize(
    "call",
    [
        "cancel('Re-Size', 1)",
        "desired_workers('Re-Size', 1)",
        "disable_priority('Re-Size')",
        "discard('Re-Size')",
        "drop_queue('Re-Size')",
        "enable_priority('Re-Size')",
        "enable_wakeups('Re-Size')",
        "error_list(only_queue => 'Re-Size')",
        "limit_groups('Re-Size', 1)",
        "limit_queue('Re-Size', 1)",
        "messages('Re-Size')",
        "pause('Re-Size')",
        "plan_operation('cancel', 'Re-Size', '{}')",
        "purge_queue('Re-Size')",
        "queue_history('Re-Size')",
        "queue_stats('Re-Size')",
        "replay('Re-Size')",
        "resume('Re-Size')",
        "retry('Re-Size', 1)",
        "schedule('daily', '@daily', 'Re-Size')",
        "set_retention('Re-Size', '1 day')",
        "start_operation('cancel', 'Re-Size', '{}')",
        "why('Re-Size', 1)",
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


def test_no_second_queue_is_made_of_it(db: Database, queue: str) -> None:
    with pytest.raises(psycopg.Error, match=r"Did you mean re-size\?"):
        db.execute(b"select postmill.create_queue('Re-Size')")


def test_a_send_goes_by_the_name_that_the_queue_has(db: Database, queue: str) -> None:
    """It went by none: the limit let it through, and the key held nothing."""
    db.execute(b"select postmill.limit_queue('re-size', 1)")
    send = "select postmill.send('Re-Size', '1', unique_key => 'k')"
    first = value(db, send)
    assert value(db, send.replace("Re-Size", "re-size")) == first
    assert rows(db, "select queue_name, group_key, msg_id from postmill.gates") == [
        {"queue_name": "re-size", "group_key": "", "msg_id": first}
    ]


def test_a_message_to_send_later_is_buried_under_the_name_that_the_queue_has(
    db: Database, queue: str
) -> None:
    """Nobody could ask for a letter that was kept under the other one."""
    wanted = '{"queue": "Re-Size", "message": 1, "priority": 99}'
    db.execute(
        b"select pgmq.send('re-size', '1', jsonb_build_object('postmill-else', $1::text::jsonb))", [wanted]
    )
    value(db, "select postmill.cancel('re-size', 1)")
    assert value(db, "select queue_name from postmill.dead_letters") == "re-size"


def test_a_name_that_cant_be_created_is_not_offered(db: Database) -> None:
    with pytest.raises(psycopg.Error) as caught:
        db.execute(b"select postmill.pause('LOW2')")
    assert "create_queue" not in str(caught.value.diag.message_hint)

"""Messages that ask for more than their delivery: what their rows look like, and what is refused."""

from __future__ import annotations

import pytest

from tests.sql.asking import Database, column, refused, row, value


def test_a_priority_is_a_header_and_the_message_is_due(db: Database, queue: str) -> None:
    sent = value(db, "select postmill.send('re-size', '1', headers => '{\"a\": null}', priority => 7)")
    found = row(db, 'select msg_id, headers, vt <= clock_timestamp() as due from pgmq."q_re-size"')
    assert found == {"msg_id": sent, "headers": {"a": None, "postmill-priority": 7}, "due": True}


def test_a_batch_keeps_its_order_and_its_entries(db: Database, queue: str) -> None:
    ids = column(
        db,
        "select postmill.send_batch('re-size', array['1', '2', '3']::jsonb[], priorities => '{1, null, 9}')",
    )
    found = column(
        db, "select array[message, headers -> 'postmill-priority'] from pgmq.\"q_re-size\" order by msg_id"
    )
    assert (ids, found) == ([1, 2, 3], [[1, 1], [2, None], [3, 9]])


def test_what_a_message_sends_when_it_ends_keeps_its_nulls(db: Database, queue: str) -> None:
    db.execute(
        b"""select postmill.send('re-size', '1', then_send => '{"queue": "q", "message": {"a": null}}')"""
    )
    assert value(db, "select headers #> '{postmill-then,message}' from pgmq.\"q_re-size\"") == {"a": None}


def test_plain_calls_go_on_as_before(db: Database, queue: str) -> None:
    assert value(db, "select postmill.send('re-size', '1', interval '0', null, '{\"a\": 1}')") == 1
    ids = "select postmill.send_batch('re-size', array['1']::jsonb[], null, null, array['{}']::jsonb[])"
    assert column(db, ids) == [2]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("priority => 10", "a priority is 0 to 9"),
        ("priority => -1", "a priority is 0 to 9"),
        ("group_key => ''", "a group key has 1 to 200"),
        ("group_key => repeat('x', 201)", "a group key has 1 to 200"),
        ("unique_key => repeat('x', 201)", "a unique key has 1 to 200"),
        ("on_source_dead => 'wait'", "on_source_dead is cancel, skip or block"),
        ("on_conflict => 'ignore'", "on_conflict is skip, replace or raise"),
        ('then_send => \'{"queue": "q", "message": 1, "delay": 5}\'', "then_send has no field 'delay'"),
        ('else_send => \'{"queue": "q", "message": 1, "group": "a"}\'', "else_send has no field 'group'"),
        *(
            (f'then_send => \'{{"queue": "q", "message": 1, {field}}}\'', said)
            for field, said in (
                ('"priority": 99', "priority of then_send is not 0 to 9"),
                ('"priority": "5"', "priority of then_send is not 0 to 9"),
                ('"priority": 1.5', "priority of then_send is not 0 to 9"),
                ('"delay_s": "x"', "delay_s of then_send is no length"),
                ('"delay_s": -5', "delay_s of then_send is no length"),
                ('"delay_s": 1e300', "delay_s of then_send is no length"),
                ('"headers": []', "headers of then_send is no JSON object"),
                ('"unique_key": ""', "unique_key of then_send has not 1 to 200"),
                ('"group_key": 5', "group_key of then_send has not 1 to 200"),
            )
        ),
        ('else_send => \'{"queue": "", "message": 1}\'', "else_send is no message"),
        ("on_conflict => 'replace'", "on_conflict without a unique key"),
        ("on_conflict => 'raise'", "on_conflict without a unique key"),
        ("unique_for => '1 s'", "unique_for without a unique key"),
        ("unique_key => 'a', unique_for => '0 s'", "unique_for is no length of time"),
        ("unique_key => 'a', unique_for => '-1 s'", "unique_for is no length of time"),
        ("unique_key => 'a', on_conflict => 'ignore'", "on_conflict is skip, replace or raise"),
        ("unique_key => 'a', on_conflict => null", "on_conflict is skip, replace or raise"),
        ("priority => 1, on_source_dead => 'wait'", "on_source_dead is cancel, skip or block"),
        ('then_send => \'{"queue": 1, "message": 1}\'', "then_send is no message"),
        ('else_send => \'{"queue": "a"}\'', "else_send is no message"),
        ("run_at => '9999-01-01 00:00+00'", "can't wait until"),
        ("run_at => '20000-01-01 00:00+00', priority => 1", "can't wait until"),
    ],
)
def test_what_is_out_of_range_is_refused(db: Database, queue: str, options: str, said: str) -> None:
    with refused("PM003", said):
        db.execute(f"select postmill.send('re-size', '1', {options})".encode())
    assert value(db, 'select count(*) from pgmq."q_re-size"') == 0


@pytest.mark.parametrize(
    "entries",
    [
        "unique_keys => array['a']",
        "priorities => array[1]",
        "group_keys => array['g']",
        "after => array['[]']::jsonb[]",
    ],
)
def test_an_array_has_one_entry_a_message(db: Database, queue: str, entries: str) -> None:
    with refused("PM003", "there is not one"):
        db.execute(f"select postmill.send_batch('re-size', array['1', '2']::jsonb[], {entries})".encode())

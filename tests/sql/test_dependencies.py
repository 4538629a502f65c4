"""Messages that wait for others: what is written, what opens or cancels them, and what is refused."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from postmill.model.queue.queue_name import QueueShape
from postmill.sql.catalog import queue_statement
from tests.sql.asking import Database, claim, column, refused, row, rows, value
from tests.sql.test_privileges import grants

if TYPE_CHECKING:
    from collections.abc import Callable


LEFT = "select (select count(*) from postmill.edges) + (select count(*) from postmill.blocked)"


@pytest.fixture
def mail(db: Database) -> str:
    """A second queue."""
    db.execute(b"select postmill.create_queue('mail')")
    return "mail"


def send(db: Database, queue: str, options: str = "") -> int:
    """Send a message."""
    sent: int = value(db, f"select postmill.send('{queue}', '1'{', ' if options else ''}{options})")
    return sent


def state(db: Database, queue: str, msg_id: int) -> str:
    """``parked``, ``due``, ``later``, ``cancelled`` or ``gone``."""
    found = rows(
        db,
        "select case when vt = postmill._parked_until() then 'parked' when vt <= clock_timestamp() then 'due'"
        f" else 'later' end as state from pgmq.\"q_{queue}\" where msg_id = $1",
        msg_id,
    )
    if found:
        return str(found[0]["state"])
    cancelled = "select count(*) from postmill.cancelled where queue_name = $1 and msg_id = $2"
    return "cancelled" if value(db, cancelled, queue, msg_id) else "gone"


def complete(db: Database, queue: str, *ids: int, archive: bool = True) -> None:
    """Finish messages as a worker does: the row goes, then its end is passed on, in one transaction."""
    with db.transaction():
        found = rows(
            db,
            f'delete from pgmq."q_{queue}" where msg_id = any ($1) returning msg_id, headers',
            list(ids),
        )
        if archive:
            db.execute(
                f'insert into pgmq."a_{queue}" (msg_id, read_ct, enqueued_at, vt, message) '
                "select id, 1, now(), now(), '1' from unnest($1::bigint[]) as id".encode(),
                [list(ids)],
            )
        for each in found:
            if each["headers"] is not None:
                ended(db, queue, each["msg_id"], "completed", each["headers"])


def ended(db: Database, queue: str, msg_id: int, fate: str, headers: Any) -> None:
    """What every settlement calls."""
    db.execute(
        b"select postmill._ended($1, array[$2::bigint], array[$3::jsonb], $4)",
        [queue, msg_id, Jsonb(headers), fate],
    )


def kill(db: Database, queue: str, msg_id: int) -> int:
    """Move a message to the dead letters as a worker does; returns the letter's id."""
    with db.transaction():
        found = row(
            db,
            f'with gone as (delete from pgmq."q_{queue}" where msg_id = $1 returning *) '
            "insert into postmill.dead_letters (queue_name, msg_id, read_ct, enqueued_at, message, headers, "
            "attempts, kind, reason) select $2, msg_id, 1, enqueued_at, message, headers, 1, 'error', "
            "'it broke' from gone "
            "returning letter_id, headers",
            msg_id,
            queue,
        )
        if found["headers"]:
            ended(db, queue, msg_id, "dead", found["headers"])
    letter: int = found["letter_id"]
    return letter


def sweep(db: Database) -> None:
    """One whole round."""
    db.execute(b"update postmill.edge_sweep set due_at = '-infinity'")
    while value(db, "select postmill.sweep_dependents()"):
        pass


def test_one_waits_parked_under_its_final_id_and_its_source_is_marked(db: Database, queue: str) -> None:
    source = send(db, queue)
    target = send(db, queue, f"after => array['re-size:{source}'], headers => '{{\"a\": 1}}'")
    assert (source, target, state(db, queue, target)) == (1, 2, "parked")
    assert value(db, 'select headers from pgmq."q_re-size" where msg_id = 2') == {
        "a": 1,
        "postmill-after": True,
    }
    assert value(db, 'select headers from pgmq."q_re-size" where msg_id = 1') == {"postmill-dependents": True}
    assert row(db, "select queue_name, msg_id, waits from postmill.blocked") == {
        "queue_name": "re-size",
        "msg_id": 2,
        "waits": 1,
    }


def test_it_is_due_with_the_end_of_its_last_source(db: Database, queue: str, mail: str) -> None:
    first, second = send(db, queue), send(db, mail)
    refs = f"after => array['re-size:{first}', 'mail:{second}', 'mail:{second}']"
    target = send(db, mail, f"{refs}, headers => '{{\"a\": 1}}'")
    bare = send(db, queue, refs)

    complete(db, queue, first)
    assert (state(db, mail, target), state(db, queue, bare)) == ("parked", "parked")
    complete(db, mail, second)

    assert (state(db, mail, target), state(db, queue, bare)) == ("due", "due")
    assert value(db, "select headers from pgmq.q_mail where msg_id = $1", target) == {"a": 1}
    assert value(db, 'select headers from pgmq."q_re-size" where msg_id = $1', bare) is None
    assert value(db, LEFT) == 0


def test_it_keeps_the_time_that_it_was_sent_for(db: Database, queue: str) -> None:
    source = send(db, queue)
    target = send(db, queue, f"delay => '1 hour', after => array['re-size:{source}']")
    assert state(db, queue, target) == "parked"
    complete(db, queue, source)
    assert state(db, queue, target) == "later"


def test_one_of_a_group_waits_at_its_gate_from_then_on(db: Database, queue: str, mail: str) -> None:
    source = send(db, queue)
    grouped = send(db, queue, f"group_key => 'acme', after => array['re-size:{source}']")
    db.execute(b"update postmill.queues set max_running = 1 where queue_name = 'mail'")
    limited = send(db, mail, f"after => array['re-size:{source}']")
    assert rows(db, "select * from postmill.gates") == []

    complete(db, queue, source)

    assert (state(db, queue, grouped), state(db, mail, limited)) == ("parked", "parked")
    assert rows(db, "select queue_name, group_key, msg_id, claim_id from postmill.gates order by 1") == [
        {"queue_name": "mail", "group_key": "", "msg_id": limited, "claim_id": None},
        {"queue_name": "re-size", "group_key": "acme", "msg_id": grouped, "claim_id": None},
    ]
    assert value(db, LEFT) == 0
    assert value(db, "select count(*) from pgmq.q_mail where headers ? 'postmill-after'") == 0


def test_a_batch_with_edges_inside_it(db: Database, queue: str) -> None:
    ids = column(
        db,
        "select postmill.send_batch('re-size', array['1', '2', '3', '4']::jsonb[], "
        'after => array[null, \'["#1"]\', \'["#1", "re-size:1"]\', \'["#2", "#3"]\']::jsonb[])',
    )
    assert [state(db, queue, each) for each in ids] == ["due", "parked", "parked", "parked"]
    complete(db, queue, ids[0])
    assert [state(db, queue, each) for each in ids[1:]] == ["due", "due", "parked"]
    complete(db, queue, ids[1], ids[2])
    assert state(db, queue, ids[3]) == "due"
    assert value(db, LEFT) == 0


def test_an_empty_list_is_none(db: Database, queue: str) -> None:
    assert state(db, queue, send(db, queue, "after => '{}'")) == "due"
    column(db, "select postmill.send_batch('re-size', array['1']::jsonb[], after => array['[]']::jsonb[])")
    assert value(db, 'select count(*) from pgmq."q_re-size" where headers is not null') == 0


@pytest.mark.parametrize(
    ("refs", "code", "said"),
    [
        ("nope:1", "PM001", "there is no queue 'nope'"),
        ("re-size:2", "PM003", "queue 're-size' has no message 2 yet"),
        ("re-size:99", "PM003", "queue 're-size' has no message 99 yet"),
        ("mail:1", "PM003", "queue 'mail' has no message 1 yet"),
        ("re-size:0", "PM003", "has no message 0"),
        ("re-size:999999999999999999999999999", "PM003", "has no message 9999"),
        ("mail:999999999999999999999999999", "PM003", "has no message"),
        ("re-size:-1", "PM003", "is no reference"),
        ("re-size:", "PM003", "is no reference"),
        (":1", "PM003", "is no reference"),
        ("17", "PM003", "is no reference"),
        ("#1", "PM003", "can't wait for"),
        ("#0", "PM003", "can't wait for"),
        ("#x", "PM003", "is no reference"),
        ("", "PM003", "is no reference"),
    ],
)
def test_a_reference_to_nothing_is_refused(
    db: Database, queue: str, mail: str, refs: str, code: str, said: str
) -> None:
    send(db, queue)
    with refused(code, said):
        send(db, queue, f"after => array['{refs}']")
    assert value(db, 'select count(*) from pgmq."q_re-size"') == 1


@pytest.mark.parametrize("entry", ["[1]", "[null]", '[["re-size:1"]]', '["#2"]', '["#3"]', '["re-size:3"]'])
def test_a_batch_with_a_reference_to_nothing_is_refused(db: Database, queue: str, entry: str) -> None:
    send(db, queue)
    with refused("PM003", "is no reference|can't wait for|has no message 3 yet"):
        db.execute(
            f"select postmill.send_batch('re-size', array['1', '2']::jsonb[], "
            f"after => array[null, '{entry}']::jsonb[])".encode()
        )


def test_a_queues_name_may_have_a_colon(db: Database) -> None:
    db.execute(b"select pgmq.create('a:b')")
    db.execute(b"select pgmq.create('Big')")
    source, other = send(db, "a:b"), send(db, "Big")
    target = send(db, "a:b", f"after => array['a:b:{source}', 'BIG:{other}']")
    complete(db, "a:b", source)
    assert state(db, "a:b", target) == "parked"
    db.execute(b"select pgmq.archive('Big', 1)")
    sweep(db)
    assert state(db, "a:b", target) == "due"


def test_a_source_that_has_ended_is_no_reason_to_wait(db: Database, queue: str) -> None:
    done, kept = send(db, queue), send(db, queue)
    complete(db, queue, done)
    complete(db, queue, kept, archive=False)
    db.execute(b"insert into postmill.results (queue_name, msg_id) values ('re-size', $1)", [kept])
    targets = [send(db, queue, f"after => array['re-size:{each}']") for each in (done, kept)]
    assert [state(db, queue, each) for each in targets] == ["due", "due"]
    assert value(db, LEFT) == 0


def test_a_source_that_ends_between_the_send_and_its_commit(
    db: Database, queue: str, connect: Callable[[], Database]
) -> None:
    """Its settlement saw no mark, and with no archive it left no trace: the message waited for ever."""
    other = connect()
    source = send(db, queue)
    with db.transaction():
        target = send(db, queue, f"after => array['re-size:{source}']")
        complete(other, queue, source, archive=False)
    assert state(db, queue, target) == "due"


@pytest.mark.parametrize("how", ["dead", "cancelled", "unknown"])
@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize(("on_dead", "then"), [("cancel", "cancelled"), ("skip", "due"), ("block", "parked")])
def test_a_failed_source_does_what_its_target_asked_for(
    db: Database, queue: str, how: str, on_dead: str, then: str, *, before: bool
) -> None:
    """A failed source that blocks its targets for ever: only where asked for, and a replay may come."""
    source = send(db, queue)

    def end() -> None:
        if how == "dead":
            kill(db, queue, source)
        elif how == "cancelled":
            value(db, "select postmill.cancel('re-size', $1)", source)
        else:
            db.execute(b"select pgmq.delete('re-size', $1::bigint)", [source])

    if before:
        end()
    target = send(db, queue, f"after => array['re-size:{source}'], on_source_dead => '{on_dead}'")
    last = send(db, queue, f"after => array['re-size:{target}']")
    if not before:
        end()
        sweep(db)
    if (how, on_dead) == ("unknown", "block"):
        then = "cancelled"  # no letter that could be replayed
    assert state(db, queue, target) == then
    assert state(db, queue, last) == {"due": "parked"}.get(then, then)
    assert value(db, "select count(*) from postmill.edges where died") == (then == "parked")


def test_a_message_waits_in_vain_for_one_that_was_cancelled(db: Database, queue: str) -> None:
    """It was said to wait for a replay, and no letter was there to replay."""
    source = send(db, queue)
    target = send(db, queue, f"after => array['re-size:{source}'], on_source_dead => 'block'")
    value(db, "select postmill.cancel('re-size', $1)", source)
    sweep(db)
    said = value(db, "select postmill._sources_left('re-size', $1)", target)
    assert said == "waits in vain for 1 of queue re-size, which was cancelled: cancel or release it"
    stuck = "select fate from postmill._stuck('re-size', interval '-1 hour', 10)"
    assert value(db, stuck) == "cancelled"
    value(db, "select postmill.release('re-size', array[$1::bigint], 'completed')", source)
    sweep(db)
    assert state(db, queue, target) == "due"


def test_a_cancelled_target_says_why(db: Database, queue: str) -> None:
    source = send(db, queue)
    target = send(db, queue, f"after => array['re-size:{source}']")
    kill(db, queue, source)
    reason = "select reason from postmill.cancellations where msg_id = $1"
    assert value(db, reason, target) == "it waited for re-size:1, which died"


def test_what_waited_for_a_queue_that_was_dropped_says_so(db: Database, queue: str) -> None:
    """Its source was called -1, as the database keeps it apart from a new message 1."""
    db.execute(b"select postmill.create_queue('parts')")
    send(db, "parts")
    target = send(db, queue, "after => array['parts:1']")
    db.execute(b"select postmill.drop_queue('parts')")
    assert value(db, "select postmill._sources_left('re-size', $1)", target) == "waits for 1 of queue parts"
    sweep(db)
    reason = "select reason from postmill.cancellations where msg_id = $1"
    assert value(db, reason, target) == "it waited for parts:1, which is gone with its queue"


def test_a_long_chain_is_cancelled_to_its_end(db: Database, queue: str) -> None:
    """2,500 levels are more than one settlement takes on, and more than a recursion could."""
    first = send(db, queue)
    db.execute(
        b"select count(*) from (select postmill.send_batch('re-size', array_agg('1'::jsonb), after => "
        b"array_agg(jsonb_build_array(case i when 1 then 're-size:1' else '#' || i - 1 end) order by i)) "
        b"from generate_series(1, 2500) as i) as x"
    )
    kill(db, queue, first)
    for _ in range(4):
        sweep(db)
    assert value(db, 'select count(*) from pgmq."q_re-size"') == 0
    assert value(db, "select count(*) from postmill.cancelled") == 2500
    assert value(db, LEFT) == 0
    assert value(db, "select count(*) from postmill.ended") == 0


def test_a_source_with_very_many_targets_is_passed_on_in_parts(db: Database, queue: str) -> None:
    source = send(db, queue)
    db.execute(
        b"select count(*) from (select postmill.send_batch('re-size', array_agg('1'::jsonb), after => "
        b"array_agg('[\"re-size:1\"]'::jsonb)) from generate_series(1, 2500)) as x"
    )
    complete(db, queue, source, archive=False)
    open_now = value(db, 'select count(*) from pgmq."q_re-size" where vt <= clock_timestamp()')
    assert 0 < open_now < 2500
    for _ in range(4):
        sweep(db)
    assert value(db, 'select count(*) from pgmq."q_re-size" where vt <= clock_timestamp()') == 2500
    assert value(db, LEFT) == 0
    assert value(db, "select count(*) from postmill.ended") == 0


def test_a_replay_of_the_source_is_what_its_targets_wait_for(db: Database, queue: str) -> None:
    source = send(db, queue, "priority => 3, group_key => 'acme', headers => '{\"a\": 1}'")
    target = send(db, queue, f"after => array['re-size:{source}'], on_source_dead => 'block'")
    letter = kill(db, queue, source)
    again = value(db, "select msg_id from postmill.replay('re-size', array[$1::bigint])", letter)
    assert value(db, 'select headers from pgmq."q_re-size" where msg_id = $1', again) == {
        "a": 1,
        "postmill-priority": 3,
        "postmill-group": "acme",
        "postmill-replayed-from": letter,
        "postmill-dependents": True,
    }
    assert row(db, "select source_id, died from postmill.edges") == {"source_id": again, "died": False}
    late = send(db, queue, f"after => array['re-size:{source}']")
    assert (state(db, queue, target), state(db, queue, late)) == ("parked", "parked")
    complete(db, queue, again)
    assert (state(db, queue, target), state(db, queue, late)) == ("due", "due")
    assert value(db, LEFT) == 0


def test_a_replay_without_dependents_has_no_mark(db: Database, queue: str) -> None:
    source = send(db, queue)
    send(db, queue, f"after => array['re-size:{source}']")
    letter = kill(db, queue, source)
    again = value(db, "select msg_id from postmill.replay('re-size')")
    headers = value(db, 'select headers from pgmq."q_re-size" where msg_id = $1', again)
    assert headers == {"postmill-replayed-from": letter}


def test_a_letter_with_odd_headers_stops_no_replay(db: Database, queue: str) -> None:
    """One letter of another client's message, whose headers were a list, kept all from being replayed."""
    db.execute(b"select pgmq.send('re-size', '1', '[1]'::jsonb), pgmq.send('re-size', '2')")
    kill(db, queue, 1)
    kill(db, queue, 2)
    assert column(db, "select msg_id from postmill.replay('re-size') order by letter_id") == [3, 4]
    assert value(db, "select headers -> 'postmill-odd-headers' from pgmq.\"q_re-size\" where msg_id = 3") == [
        1
    ]


def test_a_discarded_source_cancels_what_waits_for_its_replay(db: Database, queue: str) -> None:
    source = send(db, queue)
    target = send(db, queue, f"after => array['re-size:{source}'], on_source_dead => 'block'")
    kill(db, queue, source)
    assert value(db, "select postmill.discard('re-size')") == 1
    assert state(db, queue, target) == "cancelled"
    assert value(db, LEFT) == 0
    reason = value(db, "select reason from postmill.cancellations where msg_id = $1", target)
    assert reason == f"it waited for re-size:{source}, which was deleted"


def test_a_release_says_what_waited(db: Database, queue: str) -> None:
    source, other = send(db, queue), send(db, queue)
    target = send(db, queue, f"after => array['re-size:{source}']")
    call = "select msg_id, released from postmill.release($1, $2::bigint[], 'completed')"
    asked = [other, source, 999]
    assert [(found["msg_id"], found["released"]) for found in rows(db, call, "Re-Size", asked)] == [
        (other, False),
        (source, True),
        (999, False),
    ]
    assert state(db, queue, target) == "due"
    assert not any(found["released"] for found in rows(db, call, queue, asked))
    with refused("PM001", "there is no queue 'nope'"):
        rows(db, call, "nope", asked)


def test_a_cancelled_message_leaves_nothing(db: Database, queue: str) -> None:
    source = send(db, queue)
    target = send(db, queue, f"after => array['re-size:{source}']")
    assert value(db, "select postmill.cancel('re-size', $1)", target) == "cancelled"
    assert value(db, LEFT) == 0
    complete(db, queue, source)
    assert state(db, queue, target) == "cancelled"


def test_a_retry_of_one_that_waits_is_refused_in_words(db: Database, queue: str) -> None:
    source = send(db, queue)
    target = send(db, queue, f"after => array['re-size:{source}']")
    with refused("PM005", f"message {target} of queue 're-size' waits for other messages"):
        db.execute(b"select postmill.retry('re-size', $1)", [target])
    db.execute(b"select postmill.release('re-size', array[$1::bigint], 'completed')", [source])
    assert state(db, queue, target) == "due"
    complete(db, queue, source)
    assert value(db, LEFT) == 0


def test_a_purge_takes_what_waits_and_tells_what_waits_elsewhere(db: Database, queue: str, mail: str) -> None:
    source = send(db, mail)
    send(db, queue, f"after => array['mail:{source}']")
    other = send(db, mail, "after => array['re-size:1']")
    assert value(db, "select postmill.purge_queue('re-size')") == 1
    assert state(db, mail, other) == "cancelled"
    assert value(db, LEFT) == 0


def test_what_waited_for_a_dropped_queue_does_not_wait_for_the_next_one(
    db: Database, queue: str, mail: str
) -> None:
    """Its ids start again at 1: a new message was taken for the old source."""
    source = send(db, queue)
    cancelled = send(db, mail, f"after => array['re-size:{source}']")
    skipped = send(db, mail, f"after => array['re-size:{source}'], on_source_dead => 'skip'")
    blocked = send(db, mail, f"after => array['re-size:{source}'], on_source_dead => 'block'")
    db.execute(b"select postmill.drop_queue('re-size'), postmill.create_queue('re-size')")
    assert send(db, queue) == source
    complete(db, queue, source)
    assert [state(db, mail, each) for each in (cancelled, skipped, blocked)] == ["parked"] * 3
    sweep(db)
    assert [state(db, mail, each) for each in (cancelled, skipped, blocked)] == [
        "cancelled",
        "due",
        "cancelled",
    ]
    assert value(db, LEFT) == 0


def test_a_queue_that_another_client_made_anew(db: Database, queue: str, mail: str) -> None:
    """Old rows of ours met new messages with the same ids: one ran an hour early, and one was cancelled."""
    for _ in range(2):
        send(db, mail)
    source = send(db, queue)
    waiting = send(db, mail, f"after => array['re-size:{source}']")
    db.execute(
        b"select postmill.send('re-size', '1', after => array['mail:1']), "
        b"postmill.send('re-size', '1', after => array['mail:2'])"
    )
    db.execute(b"select pgmq.drop_queue('re-size'), pgmq.create('re-size')")
    for _ in range(3):
        send(db, queue, "delay => '1 hour'")

    complete(db, mail, 1)
    kill(db, mail, 2)
    sweep(db)

    assert [state(db, queue, each) for each in (1, 2, 3)] == ["later"] * 3
    assert state(db, mail, waiting) == "cancelled"
    assert value(db, LEFT) == 0


def test_a_message_of_a_queue_made_anew_waits_for_its_own_sources(
    db: Database, queue: str, mail: str
) -> None:
    """Where no sweep had come by, what an earlier message of its id had left was in the way: "duplicate key
    value violates unique constraint".
    """
    old, new = send(db, mail), send(db, mail)
    send(db, queue, f"after => array['mail:{old}']")
    db.execute(b"select pgmq.drop_queue('re-size'), pgmq.create('re-size')")

    assert send(db, queue, f"after => array['mail:{old}', 'mail:{new}']") == 1
    complete(db, mail, old)
    assert state(db, queue, 1) == "parked"
    complete(db, mail, new)
    assert state(db, queue, 1) == "due"
    assert value(db, LEFT) == 0


def test_a_message_waits_for_no_successor_of_its_source(db: Database, queue: str, mail: str) -> None:
    """It was let go with the end of a new message that had its source's id."""
    source = send(db, queue)
    waits_in_vain = send(db, mail, f"after => array['re-size:{source}']")
    db.execute(b"select pgmq.drop_queue('re-size'), pgmq.create('re-size')")
    assert send(db, queue) == source
    waits = send(db, mail, f"after => array['re-size:{source}']")

    complete(db, queue, source)
    assert [state(db, mail, each) for each in (waits_in_vain, waits)] == ["parked", "due"]
    sweep(db)
    assert state(db, mail, waits_in_vain) == "cancelled"
    assert value(db, LEFT) == 0


@pytest.mark.parametrize("how", ["archive", "delete", "purge", "drop"])
def test_sources_that_other_clients_end(db: Database, queue: str, mail: str, how: str) -> None:
    source = send(db, queue)
    target = send(db, mail, f"after => array['re-size:{source}']")
    db.execute(
        {
            "archive": b"select pgmq.archive('re-size', 1)",
            "delete": b"select pgmq.delete('re-size', 1)",
            "purge": b"select pgmq.purge_queue('re-size')",
            "drop": b"select pgmq.drop_queue('re-size')",
        }[how]
    )
    assert state(db, mail, target) == "parked"
    sweep(db)
    assert state(db, mail, target) == ("due" if how == "archive" else "cancelled")
    assert value(db, LEFT) == 0


@pytest.mark.parametrize("how", ["archive", "delete", "purge", "drop"])
def test_targets_that_other_clients_end(db: Database, queue: str, mail: str, how: str) -> None:
    source = send(db, mail)
    send(db, queue, f"after => array['mail:{source}']")
    db.execute(
        {
            "archive": b"select pgmq.archive('re-size', 1)",
            "delete": b"select pgmq.delete('re-size', 1)",
            "purge": b"select pgmq.purge_queue('re-size')",
            "drop": b"select pgmq.drop_queue('re-size')",
        }[how]
    )
    sweep(db)
    assert value(db, LEFT) == 0
    complete(db, mail, source)


@pytest.mark.parametrize("headers", ["[]", '"postmill-dependents"', "7", "null", '["postmill-dependents"]'])
def test_a_source_with_odd_headers_is_never_altered_and_missed_by_nobody(
    db: Database, queue: str, headers: str
) -> None:
    db.execute(b"select pgmq.send('re-size', '1', $1::text::jsonb)", [headers])
    target = send(db, queue, "after => array['re-size:1']")
    assert value(db, 'select headers::text from pgmq."q_re-size" where msg_id = 1') == headers
    sweep(db)
    assert state(db, queue, target) == "parked"
    complete(db, queue, 1, archive=False)
    assert state(db, queue, target) == ("parked" if headers == "null" else "due")


def test_a_target_whose_time_another_client_has_changed_keeps_it(db: Database, queue: str) -> None:
    source = send(db, queue)
    target = send(db, queue, f"after => array['re-size:{source}']")
    db.execute(b"select pgmq.set_vt('re-size', $1, 600)", [target])
    complete(db, queue, source)
    assert state(db, queue, target) == "later"
    assert value(db, 'select headers from pgmq."q_re-size" where msg_id = $1', target) is None


def test_a_target_that_runs_all_the_same_is_asked_to_stop(db: Database, queue: str) -> None:
    source = send(db, queue)
    target = send(db, queue, f"after => array['re-size:{source}']")
    claim(db, queue, target)
    kill(db, queue, source)
    assert state(db, queue, target) == "later"
    assert row(db, "select msg_id, cancelled_at from postmill.cancelled") == {
        "msg_id": target,
        "cancelled_at": None,
    }
    assert value(db, LEFT) == 0


def test_a_locked_target_is_left_to_the_sweep(
    db: Database, queue: str, connect: Callable[[], Database]
) -> None:
    """A settlement that waited for the row of another message could wait in a ring."""
    other = connect()
    first, second = send(db, queue), send(db, queue)
    opened = send(db, queue, f"after => array['re-size:{first}']")
    killed = send(db, queue, f"after => array['re-size:{second}']")
    with other.transaction():
        other.execute(b'select from pgmq."q_re-size" where msg_id > 2 for update')
        complete(db, queue, first, archive=False)
        kill(db, queue, second)
        assert (state(db, queue, opened), state(db, queue, killed)) == ("parked", "parked")
        sweep(db)
        assert (state(db, queue, opened), state(db, queue, killed)) == ("parked", "parked")
    sweep(db)
    assert (state(db, queue, opened), state(db, queue, killed)) == ("due", "cancelled")
    assert value(db, LEFT) == 0


def test_a_settlement_is_not_stopped_by_those_who_wait(
    db: Database, queue: str, connect: Callable[[], Database]
) -> None:
    """What can't be done now is noted: without an archive there is no other trace of a completed message."""
    other = connect()
    source = send(db, queue)
    target = send(db, queue, f"after => array['re-size:{source}']")
    db.execute(b"set lock_timeout = '10ms'")
    with other.transaction():
        other.execute(b"select from postmill.blocked for update")
        complete(db, queue, source, archive=False)
        assert state(db, queue, source) == "gone"
    assert rows(db, "select queue_name, msg_id, fate from postmill.ended") == [
        {"queue_name": "re-size", "msg_id": source, "fate": "completed"}
    ]
    sweep(db)
    assert state(db, queue, target) == "due"
    assert value(db, "select count(*) from postmill.ended") == 0


def test_one_sweep_at_a_time(db: Database, queue: str, connect: Callable[[], Database]) -> None:
    source = send(db, queue)
    target = send(db, queue, f"after => array['re-size:{source}']")
    sweep(db)
    db.execute(b"select pgmq.archive('re-size', $1::bigint)", [source])
    db.execute(b"update postmill.edge_sweep set due_at = '-infinity'")
    other = connect()
    with other.transaction():
        other.execute(b"select from postmill.edge_sweep for update")
        assert value(db, "select postmill.sweep_dependents()") is False
        assert state(db, queue, target) == "parked"
    sweep(db)
    assert state(db, queue, target) == "due"


def test_then_and_else(db: Database, queue: str, mail: str) -> None:
    options = (
        """then_send => '{"queue": "mail", "message": {"ok": null}, "delay_s": 60, "headers": {"a": 1}, """
        """"priority": 4}', else_send => '{"queue": "mail", "message": "bad"}'"""
    )
    done, dead, cancelled = (send(db, queue, options) for _ in range(3))
    complete(db, queue, done)
    sent = row(db, "select message, headers, vt > now() + interval '50 s' as later from pgmq.q_mail")
    assert sent == {
        "message": {"ok": None},
        "headers": {"a": 1, "postmill-priority": 4},
        "later": True,
    }
    kill(db, queue, dead)
    value(db, "select postmill.cancel('re-size', $1)", cancelled)
    assert column(db, "select message from pgmq.q_mail where msg_id > 1") == ["bad", "bad"]


def test_else_of_a_message_that_is_cancelled_with_its_source(db: Database, queue: str, mail: str) -> None:
    options = """else_send => '{"queue": "mail", "message": "bad"}'"""
    source = send(db, queue)
    target = send(db, queue, f"after => array['re-size:{source}'], {options}")
    kill(db, queue, source)
    assert state(db, queue, target) == "cancelled"
    late = send(db, queue, f"after => array['re-size:{source}'], {options}")
    assert state(db, queue, late) == "parked"  # not by the sender's commit, which has the owner's rights
    sweep(db)
    assert state(db, queue, late) == "cancelled"
    assert column(db, "select message from pgmq.q_mail") == ["bad", "bad"]


@pytest.mark.parametrize(
    "wanted",
    [
        "5",
        "null",
        "[]",
        '"mail"',
        "{}",
        '{"queue": "mail"}',
        '{"queue": 1, "message": 1}',
        '{"message": 1}',
        '{"queue": null, "message": 1}',
        '{"queue": "", "message": 1}',
    ],
)
def test_what_is_no_message_is_left_out(db: Database, queue: str, mail: str, wanted: str) -> None:
    """Another client can put anything into these headers, and the settlement goes on."""
    db.execute(
        b"select pgmq.send('re-size', '1', jsonb_build_object('postmill-then', $1::text::jsonb))", [wanted]
    )
    complete(db, queue, 1)
    assert state(db, queue, 1) == "gone"
    assert value(db, "select count(*) from postmill.dead_letters") == 0


@pytest.mark.parametrize(
    "wanted",
    [
        '{"queue": "nope", "message": 7}',
        '{"queue": "nope", "message": 7, "delay_s": -1}',
        '{"queue": "nope", "message": 7, "delay_s": "NaN"}',
        '{"queue": "nope", "message": 7, "delay_s": 1e300}',
        '{"queue": "nope", "message": 7, "priority": "high"}',
        '{"queue": "nope", "message": 7, "headers": [1]}',
        '{"queue": "nope", "message": 7, "delay_s": "x"}',
        '{"queue": "nope", "message": 7, "unique_key": ""}',
    ],
)
def test_a_message_that_cant_be_sent_is_a_dead_letter(db: Database, queue: str, wanted: str) -> None:
    """A queue that was renamed in between lost the messages that others were to send to it."""
    db.execute(
        b"select pgmq.send('re-size', '1', jsonb_build_object('postmill-then', $1::text::jsonb))", [wanted]
    )
    complete(db, queue, 1)
    letter = row(db, "select queue_name, message, reason from postmill.dead_letters")
    assert (letter["queue_name"], letter["message"]) == ("nope", 7)
    assert "it could not be sent when message 1 of queue re-size ended" in letter["reason"]
    db.execute(b"select postmill.create_queue('nope')")
    assert column(db, "select msg_id from postmill.replay('nope')") == [1]
    assert value(db, "select message from pgmq.q_nope") == 7


def test_what_passes_by_itself_stops_the_settlement(
    db: Database, queue: str, mail: str, connect: Callable[[], Database]
) -> None:
    """Else the message would be lost for a lock of half a second: the settlement is sent again."""
    send(db, queue, """then_send => '{"queue": "mail", "message": 1}'""")
    other = connect()
    db.execute(b"set lock_timeout = '10ms'")
    with other.transaction():
        other.execute(b"lock table pgmq.q_mail in access exclusive mode")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            complete(db, queue, 1)
    assert state(db, queue, 1) == "due"
    complete(db, queue, 1)
    assert value(db, "select count(*) from pgmq.q_mail") == 1


def test_a_sender_needs_the_right_to_write_to_the_source(db: Database, stranger: Database) -> None:
    for name in ("emails", "resize"):
        db.execute(b"select postmill.create_queue($1)", [name])
    send(db, "resize")
    *general, table, sequence = grants("A role whose messages wait for others").split(";")[:-1]
    db.execute(grants("A role that only sends").replace('"q_re-size"', "q_emails").encode())
    named = ";".join(general).replace('"q_re-size_msg_id_seq"', "q_emails_msg_id_seq")
    db.execute(named.replace('"q_re-size"', "q_emails").encode())
    of_other_columns = table.replace("update (headers)", "update (vt)")
    for missing, given in (("resize", sequence), ("resize", of_other_columns), ("resize", table)):
        with refused("42501", f"messages of queue '{missing}' can't be waited for by role stranger"):
            send(stranger, "emails", "after => array['resize:1']")
        db.execute(given.encode())
    target = send(stranger, "emails", "after => array['resize:1']")
    assert state(db, "emails", target) == "parked"
    assert value(db, "select headers from pgmq.q_resize") == {"postmill-dependents": True}
    complete(db, "resize", 1)
    assert state(db, "emails", target) == "due"


def test_a_savepoint_takes_edges_back(db: Database, queue: str) -> None:
    source = send(db, queue)
    with db.transaction():
        kept = send(db, queue, f"after => array['re-size:{source}']")
        with db.transaction(force_rollback=True):
            send(db, queue, f"after => array['re-size:{source}']")
        later = send(db, queue, f"after => array['re-size:{kept}']")
    assert column(db, "select target_id from postmill.edges where told order by 1") == [kept, later]
    complete(db, queue, source)
    assert state(db, queue, kept) == "due"


@pytest.mark.parametrize(
    "trick",
    [
        "reset all",
        "set local postmill.edges = 'nonsense'",
        "set local postmill.edges = '[\"re-size\", [99]]'",
        "set constraints all immediate",
    ],
)
def test_settings_that_somebody_changes_change_nothing(db: Database, queue: str, trick: str) -> None:
    source, other = send(db, queue), send(db, queue)
    with db.transaction():
        db.execute(b"select 1")
        if "constraints" in trick:
            db.execute(trick.encode())
        first = send(db, queue, f"after => array['re-size:{source}', 're-size:{other}']")
        db.execute(trick.encode())
        second = send(db, queue, f"after => array['re-size:{source}']")
    assert value(db, "select count(*) from postmill.edges where not told") == 0
    complete(db, queue, source, other)
    assert (state(db, queue, first), state(db, queue, second)) == ("due", "due")


def test_where_workers_delete_what_they_complete_no_trace_is_the_trace(db: Database, queue: str) -> None:
    source, early = send(db, queue), send(db, queue)
    complete(db, queue, source, early, archive=False)
    assert state(db, queue, send(db, queue, f"after => array['re-size:{source}']")) == "cancelled"
    db.execute(
        b"insert into postmill.workers (queue_name, function_name, hostname, pid, version, max_concurrent, "
        b"deletes) values ('re-size', 'f', 'h', 1, '1', 1, true)"
    )
    assert state(db, queue, send(db, queue, f"after => array['re-size:{source}']")) == "due"


def test_one_that_is_opened_while_its_worker_parks_it(
    db: Database, queue: str, connect: Callable[[], Database]
) -> None:
    """The worker had seen that it waits, and parked it with nothing left that would ever open it."""
    source = send(db, queue)
    target = send(db, queue, f"after => array['re-size:{source}']")
    claim(db, queue, target)
    token = row(
        db,
        "select read_ct, (extract(epoch from vt) * 1000000)::bigint as vt_us "
        'from pgmq."q_re-size" where msg_id = $1',
        target,
    )
    values = [f"{{{part}}}" for part in (target, token["read_ct"], token["vt_us"])]
    worker = connect()
    text = queue_statement("park", QueueShape("re-size", 0))
    with ThreadPoolExecutor(1) as pool:
        with db.transaction():
            complete(db, queue, source)
            parking = pool.submit(worker.execute, text.encode(), [*values, [], [], queue])
            waits = "select count(*) from pg_locks where not granted and pid = $1"
            while not value(db, waits, worker.info.backend_pid):
                assert not parking.done()
        assert parking.result().fetchall()
    assert state(db, queue, target) == "due"
    assert value(db, "select count(*) from postmill.gates") == 0


@pytest.mark.parametrize("how", ["partitioned", "unlogged"])
def test_other_kinds_of_queues(db: Database, how: str) -> None:
    if how == "unlogged":
        db.execute(b"select pgmq.create_unlogged('parts')")
    else:
        db.execute(b"select pgmq.create('parts')")
        db.execute(b"alter table pgmq.q_parts rename to whole")
        db.execute(
            b"create table pgmq.q_parts (like pgmq.whole including defaults including identity)"
            b" partition by range (msg_id)"
        )
        for part in range(3):
            db.execute(
                f"create table pgmq.part_{part} partition of pgmq.q_parts "
                f"for values from ({part * 2}) to ({part * 2 + 2})".encode()
            )
    first = send(db, "parts")
    second = send(db, "parts", f"after => array['parts:{first}']")
    third = send(db, "parts", f"after => array['parts:{second}']")
    complete(db, "parts", first)
    assert (state(db, "parts", second), state(db, "parts", third)) == ("due", "parked")
    value(db, "select postmill.cancel('parts', $1)", second)
    assert state(db, "parts", third) == "cancelled"
    assert value(db, LEFT) == 0


def test_the_commit_of_one_that_waits_for_many_reads_each_edge_a_few_times(db: Database, queue: str) -> None:
    """Where each message waited for one other, the index of the targets looks as good to the planner as the
    primary key. For one that waits for 500 it is not: each edge would be sought among all of them."""
    db.execute(
        b"select postmill.send_batch('re-size', array_fill('1'::jsonb, '{1000}'), after => array("
        b"select case when n > 1 then to_jsonb(array['#' || n - 1]) end from generate_series(1, 1000) as n))"
    )
    db.execute(b"analyze postmill.edges")
    sources = column(db, "select postmill.send_batch('re-size', array_fill('1'::jsonb, '{500}'))")
    before = edges_read(db)

    send(db, queue, f"after => array{[f're-size:{source}' for source in sources]}")

    assert edges_read(db) - before < 500 * 20


@pytest.mark.parametrize("fate", ["completed", "dead"])
def test_the_end_of_one_of_many_sources_reads_few_edges(db: Database, queue: str, fate: str) -> None:
    """A message that waits for 500 would else have all of its edges read 500 times."""
    sources = column(db, "select postmill.send_batch('re-size', array_fill('1'::jsonb, '{500}'))")
    after = f"after => array{[f're-size:{source}' for source in sources]}"
    target = send(db, queue, f"{after}, on_source_dead => 'skip'")
    before = edges_read(db)

    for source in sources[:10]:
        db.execute(b"select postmill.release('re-size', array[$1::bigint], $2)", [source, fate])

    # Before PostgreSQL 17 such a range is read by its first columns alone: all edges of the target.
    most = 50 if db.info.server_version >= 170_000 else 600
    assert edges_read(db) - before < 10 * most
    assert value(db, "select waits from postmill.blocked where msg_id = $1", target) == 490


def edges_read(db: Database) -> int:
    """How many entries of the indexes of edges were read so far."""
    db.execute(b"select pg_stat_force_next_flush()")
    read: int = value(
        db, "select sum(idx_tup_read)::bigint from pg_stat_user_indexes where relname = 'edges'"
    )
    return read


def test_a_group_whose_row_was_removed_meanwhile_has_one_when_its_message_is_let_go(db: Database) -> None:
    """Claims make the groups of new messages. An older one, let go into a group without a row, waited for the
    sweep, and then up to a minute for the next look at all ranks.
    """
    db.execute(b"select postmill.create_queue('a')")
    first = send(db, "a")
    send(db, "a", f"after => array['a:{first}'], group_key => 'g'")
    assert value(db, "select count(*) from postmill.groups where group_key = 'g'") == 0
    complete(db, "a", first)
    assert value(db, "select count(*) from postmill.groups where group_key = 'g'") == 1

"""Schedules as SQL knows them: made, changed, paused, run by hand, fired, and followed to their end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sql.asking import Database, column, heard, refused, row, rows, value

if TYPE_CHECKING:
    from collections.abc import Callable

CANCELLED_UNSEEN = """
    select postmill.cancel('re-size', 1);
    update postmill.schedule_runs set status = 'sent', ended_at = null
"""
TICKS = "array['2026-05-01 09:00+00', '2026-05-01 10:00+00']::timestamptz[]"


@pytest.fixture
def nightly(db: Database, queue: str) -> int:
    made: int = value(db, "select postmill.schedule('nightly', '0 3 * * *', 're-size', '{\"a\": null}')")
    return made


def fire(db: Database, schedule_id: int, ticks: str = TICKS) -> list[str]:
    return column(
        db,
        f"select status from postmill.fire_schedules(array[$1, $1]::bigint[], {ticks}, {ticks}, {ticks},"
        " array[null, null])",
        schedule_id,
    )


def test_a_schedule_is_made_and_changed_under_its_name(db: Database, nightly: int) -> None:
    db.execute(b"update postmill.schedules set next_at = now(), problem = 'x', declared_by = 'w'")
    again = value(db, "select postmill.schedule('nightly', '0 4 * * *', 're-size', overlap => 'allow')")
    found = row(
        db, "select recurrence, overlap, next_at, problem, declared_by, target from postmill.schedules"
    )
    assert again == nightly
    assert found == {
        "recurrence": "0 4 * * *",
        "overlap": "allow",
        "next_at": None,
        "problem": None,
        "declared_by": None,
        "target": {"queue": "re-size", "message": {}},
    }


def test_a_queue_called_schedules_has_its_channel_for_itself(
    db: Database, queue: str, connect: Callable[[], Database]
) -> None:
    """Each message of such a queue had every scheduler look, and each new schedule woke its workers."""
    listening = connect()
    listening.execute(b'listen "postmill.schedules"')
    db.execute(b"select postmill.schedule('nightly', '@daily', 're-size')")
    assert heard(listening, "schedules") == []


def test_another_message_does_not_move_the_next_tick(db: Database, nightly: int) -> None:
    db.execute(b"update postmill.schedules set next_at = '2026-05-01 03:00+00'")
    db.execute(b"select postmill.schedule('nightly', '0 3 * * *', 're-size', '{\"b\": 1}')")
    assert value(db, "select next_at = '2026-05-01 03:00+00' from postmill.schedules")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ("null, '@daily', 're-size'", "PM003", "the name of a schedule"),
        ("'', '@daily', 're-size'", "PM003", "the name of a schedule"),
        ("'a', ' ', 're-size'", "PM003", "there is no schedule"),
        ("'a', '@daily', 'nowhere'", "PM001", "there is no queue"),
        ("'a', '@daily', 're-size', null", "PM003", "the message is null"),
        ("'a', '@daily', 're-size', timezone => 'Europe/Berlni'", "PM003", "not the name of a time zone"),
        ("'a', '@daily', 're-size', overlap => 'wait'", "PM003", "overlap is"),
        ("'a', '@daily', 're-size', catch_up => null", "PM003", "catch_up is"),
        ("'a', '@daily', 're-size', jitter => '-1 s'", "PM003", "jitter is"),
        ("'a', '@daily', 're-size', options => '[]'", "PM003", "options is no JSON object"),
        ("'a', '@daily', 're-size', options => '{\"delay\": 1}'", "PM003", "options has no 'delay'"),
        ("'a', '@daily', 're-size', options => '{\"after\": \"a:1\"}'", "PM003", "after is for one message"),
        ("'a', '@daily', 're-size', options => '{\"run_at\": null}'", "PM003", "run_at is for one message"),
        ("'a', '@daily', 're-size', options => '{\"priority\": 10}'", "PM003", "a priority is 0 to 9"),
        ("'a', '@daily', 're-size', options => '{\"priority\": \"9\"}'", "PM003", 'priority is "9"'),
        ("'a', '@daily', 're-size', options => '{\"delay_s\": -1}'", "PM003", "delay_s is -1"),
        ("'a', '@daily', 're-size', options => '{\"unique_for_s\": 60}'", "PM003", "without a unique key"),
        ("'a', '@daily', 're-size', options => '{\"then_send\": {}}'", "PM003", "then_send is no message"),
    ],
)
def test_what_can_be_no_schedule_is_refused(
    db: Database, queue: str, arguments: str, code: str, said: str
) -> None:
    with refused(code, said):
        db.execute(f"select postmill.schedule({arguments})".encode())


def test_each_tick_sends_and_is_written_down(db: Database, nightly: int) -> None:
    db.execute(b"update postmill.schedules set overlap = 'allow'")
    assert fire(db, nightly) == ["sent", "sent"]
    assert column(db, 'select message from pgmq."q_re-size"') == [{"a": None}, {"a": None}]
    assert value(db, "select count(*) from postmill.schedule_runs where status = 'sent'") == 2


def test_ticks_that_ask_for_nothing_special_are_fired_together(db: Database, nightly: int) -> None:
    """One statement a queue; what is special, or can't be sent, stands beside them and is told by itself."""
    db.execute(b"select postmill.create_queue('other'), postmill.create_queue('gone')")
    for name, queue, options in (
        ("b", "re-size", "{}"),
        ("c", "other", '{"headers": {"h": 1}}'),
        ("d", "other", "{}"),
        ("e", "other", '{"priority": 3}'),
        ("f", "gone", "{}"),
        ("g", "gone", "{}"),
    ):
        db.execute(
            b"select postmill.schedule($1, '@daily', $2, to_jsonb($1::text), options => $3::jsonb)",
            [name, queue, options],
        )
    db.execute(b"select pgmq.drop_queue('gone')")
    tick = "'2026-05-01 09:00+00'::timestamptz"
    fire_all = (
        "with due as (select array_agg(schedule_id order by name) as ids,"
        f" array_agg({tick} order by name) as ticks from postmill.schedules)"
        " select fired.name, fired.status from due, postmill.fire_schedules(due.ids, due.ticks, due.ticks,"
        " due.ticks, array_fill(null::text, array[cardinality(due.ids)])) as fired"
    )
    expected = dict.fromkeys(("nightly", "b", "c", "d", "e"), "sent") | {"f": "failed", "g": "failed"}
    assert {row["name"]: row["status"] for row in rows(db, fire_all)} == expected
    assert [row["status"] for row in rows(db, fire_all)] == [], "each has fired"
    found = rows(
        db,
        "select s.name, s.target -> 'message' = q.message as same, q.headers ->> 'h' as h"
        " from postmill.schedules as s"
        " join postmill.schedule_runs as run using (schedule_id)"
        " join (select *, 're-size' as queue from pgmq.\"q_re-size\""
        " union all select *, 'other' from pgmq.q_other) as q"
        " on q.msg_id = run.msg_id and q.queue = run.queue_name"
        " and q.headers -> 'postmill-run' ->> 'schedule_id' = s.schedule_id::text order by s.name",
    )
    assert [(row["name"], row["same"], row["h"]) for row in found] == [
        ("b", True, None),
        ("c", True, "1"),
        ("d", True, None),
        ("e", True, None),
        ("nightly", True, None),
    ]


def test_a_tick_fires_once(db: Database, nightly: int) -> None:
    db.execute(b"update postmill.schedules set overlap = 'allow'")
    fire(db, nightly)
    assert fire(db, nightly) == []
    assert value(db, 'select count(*) from pgmq."q_re-size"') == 2


def test_a_tick_is_skipped_while_the_last_message_is_not_done(db: Database, nightly: int) -> None:
    assert fire(db, nightly) == ["sent", "skipped"]
    assert value(db, "select reason from postmill.schedule_history where status = 'skipped'") == (
        "message 1 of queue re-size, sent for the tick before, is not done"
    )


def test_a_tick_waits_for_the_last_message_where_it_is_to_queue(db: Database, nightly: int) -> None:
    db.execute(b"update postmill.schedules set overlap = 'queue'")
    assert fire(db, nightly) == ["sent", "sent"]
    assert column(db, "select state from postmill.messages('re-size') order by msg_id") == [
        "ready",
        "waiting",
    ]
    assert value(db, "select waits_for from postmill.messages('re-size', only_id => 2)") == (
        "waits for 1 of queue re-size"
    )


def test_a_tick_whose_key_is_taken_has_sent_nothing(db: Database, nightly: int) -> None:
    db.execute(
        b"update postmill.schedules set overlap = 'allow', target = target || '{\"unique_key\": \"k\"}'"
    )
    fire(db, nightly)
    assert column(db, "select status from postmill.schedule_history order by tick") == ["sent", "skipped"]
    assert value(db, 'select count(*) from pgmq."q_re-size"') == 1


OPTIONS = """{"headers": {"tenant": null}, "delay_s": 60, "priority": 7, "group_key": "acme",
    "unique_key": "k", "unique_for_s": 3600, "on_conflict": null,
    "then_send": {"queue": "next", "message": 1},
    "else_send": {"queue": "next", "message": 2}}"""


def test_a_schedules_message_has_every_option_of_a_message(db: Database, queue: str) -> None:
    made = value(
        db,
        "select postmill.schedule('a', '@daily', 're-size', overlap => 'allow', options => $1::text::jsonb)",
        OPTIONS,
    )
    ticks = "array['2099-05-01 09:00+00', '2099-05-01 10:00+00']::timestamptz[]"
    assert fire(db, made, ticks) == ["sent", "skipped"]
    assert value(db, "select headers - 'postmill-run' from pgmq.\"q_re-size\"") == {
        "tenant": None,
        "postmill-priority": 7,
        "postmill-group": "acme",
        "postmill-unique-key": "k",
        "postmill-then": {"queue": "next", "message": 1},
        "postmill-else": {"queue": "next", "message": 2},
    }
    assert value(db, "select rank::timestamptz(0) = '2099-05-01 09:01+00' from postmill.gates")


def test_a_tick_that_replaces_the_message_that_waits_is_that_messages_run(db: Database, queue: str) -> None:
    options = '{"unique_key": "k", "on_conflict": "replace"}'
    made = value(
        db,
        "select postmill.schedule('a', '@daily', 're-size', overlap => 'allow', options => $1::text::jsonb)",
        options,
    )
    assert fire(db, made) == ["sent", "sent"]
    assert value(db, 'select count(*) from pgmq."q_re-size"') == 1
    headers = value(db, 'select headers::text from pgmq."q_re-size"')
    db.execute(END.encode(), [headers])
    db.execute(b"select pgmq.archive('re-size', 1)")
    db.execute(b"update postmill.schedule_runs set fired_at = fired_at - interval '1 hour'")
    value(db, "select postmill.tidy_schedule_runs()")
    assert column(db, "select status from postmill.schedule_history") == ["succeeded", "succeeded"]


def test_a_queue_that_is_gone_fails_that_run_and_no_other_schedule(db: Database, nightly: int) -> None:
    db.execute(b"select postmill.create_queue('other')")
    other = value(db, "select postmill.schedule('other', '@daily', 'other')")
    db.execute(b"select pgmq.drop_queue('re-size')")
    ticks = "array['2026-05-01 09:00+00', '2026-05-01 09:00+00']::timestamptz[]"
    states = column(
        db,
        f"select status from postmill.fire_schedules(array[{nightly}, {other}], {ticks}, {ticks}, {ticks},"
        " array[null, null])",
    )
    assert states == ["failed", "sent"]
    assert "there is no queue" in value(
        db, "select reason from postmill.schedule_history where name = 'nightly'"
    )


def test_run_now_fires_a_paused_schedule_too(db: Database, nightly: int) -> None:
    db.execute(b"select postmill.pause_schedule('nightly'), postmill.pause_schedule('nightly')")
    assert value(db, "select postmill.run_schedule('nightly')") == 1
    assert value(db, "select state from postmill.schedule_list") == "paused"


def test_resuming_counts_ticks_from_now(db: Database, nightly: int) -> None:
    db.execute(b"update postmill.schedules set next_at = '2001-01-01 00:00+00', changed_at = '2001-01-01'")
    db.execute(b"select postmill.pause_schedule('nightly')")
    db.execute(b"select postmill.resume_schedule('nightly')")
    assert row(
        db, "select next_at, changed_at > now() - interval '1 hour' as now from postmill.schedules"
    ) == {
        "next_at": None,
        "now": True,
    }


@pytest.mark.parametrize("name", ["unschedule", "pause_schedule", "resume_schedule", "run_schedule"])
def test_an_unknown_name_is_told(db: Database, name: str) -> None:
    with refused("PM008", "there is no schedule 'x'"):
        db.execute(f"select postmill.{name}('x')".encode())


def test_removing_takes_the_runs_along_and_leaves_the_messages(db: Database, nightly: int) -> None:
    fire(db, nightly)
    db.execute(b"select postmill.unschedule('nightly')")
    assert value(db, "select count(*) from postmill.schedule_runs") == 0
    assert value(db, 'select count(*) from pgmq."q_re-size"') == 1


def test_a_message_that_another_client_took_leaves_its_run_unknown(db: Database, nightly: int) -> None:
    fire(db, nightly)
    db.execute(b"update postmill.schedule_runs set fired_at = fired_at - interval '1 hour'")
    assert value(db, "select postmill.tidy_schedule_runs()") == 0
    db.execute(b"select pgmq.delete('re-size', 1)")
    assert value(db, "select postmill.tidy_schedule_runs()") == 1
    assert column(db, "select status from postmill.schedule_history order by tick") == ["unknown", "skipped"]


END = "select postmill._ended('re-size', array[1::bigint], array[$1::text::jsonb], 'completed')"


def test_the_end_of_a_message_finds_its_run_in_any_time_zone(db: Database, nightly: int) -> None:
    fire(db, nightly)
    headers = value(db, 'select headers::text from pgmq."q_re-size"')
    db.execute(b"set timezone = 'Asia/Kathmandu'")
    db.execute(END.encode(), [headers])
    assert column(db, "select status from postmill.schedule_history order by tick") == [
        "succeeded",
        "skipped",
    ]


@pytest.mark.parametrize(
    "run",
    [
        "null",
        "7",
        '"x"',
        "[1]",
        '{"schedule_id": "x", "tick_us": "y"}',
        '{"schedule_id": 99999999999999999999, "tick_us": -1}',
        '{"schedule_id": 1, "tick_us": 999999999999999999}',
        '{"schedule_id": 1, "tick_us": 1e400}',
    ],
)
def test_what_another_client_writes_there_stops_no_settlement(db: Database, nightly: int, run: str) -> None:
    fire(db, nightly)
    db.execute(END.encode(), [f'{{"postmill-run": {run}}}'])
    assert column(db, "select status from postmill.schedule_history order by tick") == ["sent", "skipped"]


@pytest.mark.parametrize(
    ("ends", "status"),
    [
        ("select pgmq.archive('re-size', 1)", "succeeded"),
        (
            "select postmill.cancel('re-size', 1); update postmill.schedule_runs set status = 'sent'",
            "cancelled",
        ),
    ],
)
def test_a_run_ends_as_its_message_did_where_that_is_known(
    db: Database, nightly: int, ends: str, status: str
) -> None:
    fire(db, nightly, "array['2026-05-01 09:00+00', null]::timestamptz[]")
    db.execute(ends.encode())
    db.execute(b"update postmill.schedule_runs set fired_at = fired_at - interval '1 hour'")
    assert value(db, "select postmill.tidy_schedule_runs()") == 1
    assert column(db, "select status from postmill.schedule_history") == [status]


def test_a_tick_whose_queue_is_locked_fires_at_the_next_look(
    db: Database, connect: Callable[[], Database], nightly: int
) -> None:
    """It was written down as failed, and was lost: a lock passes. Others fire meanwhile."""
    db.execute(b"update postmill.schedules set next_at = '2026-05-01 09:00+00', catch_up = 'all'")
    db.execute(b"select postmill.create_queue('other')")
    other = value(db, "select postmill.schedule('other', '@daily', 'other')")
    locking = connect()
    locking.execute(b'begin; lock table pgmq."q_re-size"')
    db.execute(b"set lock_timeout = '50ms'")
    ticks = f"{TICKS} || '2026-05-01 09:00+00'::timestamptz"
    fired = column(
        db,
        f"select name from postmill.fire_schedules(array[{nightly}, {nightly}, {other}], {ticks}, {ticks},"
        f" {ticks}, array[null, null, null])",
    )
    locking.execute(b"rollback")
    assert fired == ["other"]
    assert value(db, "select next_at = '2026-05-01 09:00+00' from postmill.schedules where name = 'nightly'")
    assert fire(db, nightly) == ["sent", "skipped"]


def test_of_two_missed_ticks_the_one_whose_queue_was_locked_is_not_lost(db: Database, nightly: int) -> None:
    """The first tick had moved the schedule past both."""
    db.execute(b"update postmill.schedules set next_at = '2026-05-01 09:00+00', overlap = 'allow'")
    db.execute(
        b"create function locked() returns trigger language plpgsql as $$ begin"
        b' if (select count(*) from pgmq."q_re-size") > 0 then'
        b" raise exception 'locked' using errcode = '55P03'; end if; return new; end $$"
    )
    db.execute(
        b'create trigger locked before insert on pgmq."q_re-size" for each row execute function locked()'
    )
    assert fire(db, nightly) == ["sent"]
    assert value(db, "select next_at = '2026-05-01 09:00+00' from postmill.schedules")
    db.execute(b'drop trigger locked on pgmq."q_re-size"')
    assert fire(db, nightly) == ["sent"]
    assert column(db, "select tick::text from postmill.schedule_runs order by tick") == [
        "2026-05-01 09:00:00+00",
        "2026-05-01 10:00:00+00",
    ]
    assert value(db, "select next_at = '2026-05-01 10:00+00' from postmill.schedules")


def test_old_runs_are_deleted(db: Database, nightly: int) -> None:
    fire(db, nightly)
    db.execute(
        b"update postmill.schedule_runs set ended_at = now() - interval '8 days' where status = 'skipped'"
    )
    assert value(db, "select postmill.tidy_schedule_runs()") == 1
    assert column(db, "select status from postmill.schedule_runs") == ["sent"]

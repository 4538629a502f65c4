"""Schedules whose ticks make calls: as which role, one call a tick, and a run that ends as its call does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from postmill.sql.catalog import statement
from tests.sql.asking import Database, column, heard, refused, row, rows, value
from tests.sql.test_privileges import grants
from tests.sql.test_schedules import TICKS, fire

if TYPE_CHECKING:
    from collections.abc import Callable

KEYED = """headers => '{"Authorization": "Bearer {{secret:KEY}}"}'"""
STATUS = "select status from postmill.schedule_history order by tick"
REASON = "select reason from postmill.schedule_history order by tick limit 1"
URLS = "select call_id from postmill.calls order by call_id"
AS_ANOTHER = "insert into postmill.scheduled_calls (schedule_id, method, url, timeout_ms, max_attempts,"
ONE_TICK = "array['2026-05-01 09:00+00', null]::timestamptz[]"


def scheduled(db: Database, arguments: str = "url => 'https://example.com/x'") -> int:
    made: int = value(db, f"select postmill.schedule_call('hook', '@daily', {arguments})")
    return made


def taken(db: Database, *, functions: bool = True) -> list[int]:
    """Calls that a process takes now."""
    arguments = [0, 100, [], [], 100, functions]
    return [each["call_id"] for each in db.execute(statement("calls_claim").encode(), arguments).fetchall()]


def answer(
    db: Database, call_id: int, status: int | None = 200, error: str | None = None, **more: Any
) -> None:
    """An attempt at a call ends."""
    ends = (more.get("unknown", False), more.get("again_s"))
    columns = (call_id, more.get("attempt", 1), status, None, None, None, False, error, *ends)
    db.execute(statement("calls_answer").encode(), [[each] for each in columns])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("null", "a call has a function or a url"),
        ("'https://x', 'resize'", "a call has a function or a url"),
        ("function => '../admin'", "not a name for a function"),
        ("function => 'a', params => '{\"a\": 1}'", "params are the query of a url"),
        ("'nowhere'", "no address"),
        ("'https://x', method => 'CONNECT'", "no method"),
        ("'https://x', headers => '[]'", "object"),
        ("'https://x', timeout => '2 hours'", "time limit"),
        ("'https://x', max_attempts => 0", "max_attempts"),
        ("'https://x', overlap => 'wait'", "overlap is"),
        ("'https://x', timezone => 'Berlin'", "not the name of a time zone"),
    ],
)
def test_what_can_be_no_scheduled_call_is_refused(db: Database, arguments: str, says: str) -> None:
    with refused("PM003", says):
        db.execute(f"select postmill.schedule_call('hook', '@daily', {arguments})".encode())
    assert rows(db, "select * from postmill.schedules") == []


def test_it_is_shown_without_what_may_hold_keys(db: Database) -> None:
    scheduled(
        db,
        """'https://x/y', body => '{"pin": 1234}', method => 'put', params => '{"a": "b c"}',"""
        """ headers => '{"X-Key": "s3cret"}', timeout => '90 s', max_attempts => 3""",
    )
    found = row(db, "select * from postmill.schedule_list")
    assert found["target"] == {
        "url": "https://x/y?a=b%20c",
        "method": "PUT",
        "timeout_ms": 90_000,
        "max_attempts": 3,
    }
    assert (found["state"], found["run_as"]) == ("active", "postgres")
    assert "s3cret" not in str(found)
    assert "1234" not in str(found)


def test_a_change_leaves_nothing_of_what_was_called_before(db: Database, queue: str) -> None:
    first = scheduled(db, f"'https://x', {KEYED.replace('{{secret:KEY}}', 's3cret')}")
    assert scheduled(db, "function => 'resize'") == first
    assert row(db, "select function_name, url, headers from postmill.scheduled_calls") == {
        "function_name": "resize",
        "url": None,
        "headers": {},
    }
    db.execute(b"select postmill.schedule('hook', '@daily', 're-size')")
    assert rows(db, "select * from postmill.scheduled_calls") == []
    assert value(db, "select postmill.run_schedule('hook')") == 1
    assert rows(db, "select * from postmill.calls") == []


def test_each_tick_asks_for_one_call(db: Database) -> None:
    made = scheduled(
        db, "'https://x/y', body => '{\"a\": 1}', timeout => '9 s', max_attempts => 2, overlap => 'allow'"
    )
    assert fire(db, made) == ["sent", "sent"]
    assert fire(db, made) == [], "a tick fires once"
    first, second = rows(db, "select * from postmill.calls order by call_id")
    assert (first["method"], first["url"], first["host"]) == ("POST", "https://x/y", "https://x")
    assert (first["body"], first["headers"]) == (b'{"a": 1}', {"Content-Type": "application/json"})
    assert (first["timeout_ms"], first["max_attempts"], first["created_by"]) == (9000, 2, "postgres")
    assert first["due_at"].isoformat() == "2026-05-01T09:00:00+00:00"
    assert first["idempotency_key"] != second["idempotency_key"]
    assert column(db, "select call_id from postmill.schedule_history order by tick") == column(db, URLS)


def test_a_call_of_a_function_is_taken_where_functions_are_served(db: Database) -> None:
    scheduled(db, "function => 'resize'")
    call = value(db, "select postmill.run_schedule('hook')")
    assert value(db, "select host from postmill.calls") == "function:resize"
    assert row(db, statement("calls_next"), False)["due_s"] is None
    assert taken(db, functions=False) == []
    assert taken(db) == [call]
    listed = row(db, "select state, function, url from postmill.call_list")
    assert listed == {"state": "running", "function": "resize", "url": None}


def test_a_tick_is_skipped_while_the_last_call_has_not_ended(db: Database) -> None:
    """One that waits for its next attempt has not ended."""
    made = scheduled(db, "'https://x', max_attempts => 2")
    assert fire(db, made, ONE_TICK) == ["sent"]
    (call,) = taken(db)
    answer(db, call, 500, again_s=60.0)
    assert fire(db, made) == ["skipped"]
    assert column(db, "select reason from postmill.schedule_history where status = 'skipped'") == [
        f"call {call}, of a tick before, has not ended"
    ]
    assert len(column(db, URLS)) == 1


def test_a_tick_waits_for_the_last_call_where_it_is_to_queue(
    db: Database, connect: Callable[[], Database]
) -> None:
    made = scheduled(db, "'https://x', overlap => 'queue'")
    assert fire(db, made) == ["sent", "sent"]
    first, second = column(db, URLS)
    assert (taken(db), taken(db)) == ([first], [])
    assert row(db, statement("calls_next"), True)["due_s"] is None
    assert row(db, statement("check_calls"), 1.0)["waiting"] == 0, "it is not late: it waits"
    listening = connect()
    listening.execute(b'listen "postmill:calls"; listen "postmill.hook"')
    answer(db, first, 500)
    assert heard(listening, "hook") == [""], "what makes calls is told"
    assert taken(db) == [second]
    assert column(db, STATUS) == ["failed", "sent"]


def test_of_a_number_of_seconds_one_call_waits_at_most(db: Database) -> None:
    made = value(db, "select postmill.schedule_call('hook', '5 seconds', 'https://x', overlap => 'queue')")
    ticks = "array['2026-05-01 09:00:05+00', '2026-05-01 09:00:10+00']::timestamptz[]"
    assert fire(db, made, ticks) == ["sent", "sent"]
    assert fire(db, made) == ["skipped", "skipped"]


@pytest.mark.parametrize(
    ("status_code", "error", "unknown", "status", "reason"),
    [
        (200, None, False, "succeeded", None),
        (204, None, False, "succeeded", None),
        (301, None, False, "failed", "HTTP 301"),
        (404, None, False, "failed", "HTTP 404"),
        (503, None, False, "failed", "HTTP 503"),
        (200, "the answer is larger than 9 bytes", False, "failed", "the answer is larger than 9 bytes"),
        (None, "no answer within 5 s", False, "failed", "no answer within 5 s"),
        (None, "it was stopped", True, "unknown", "it was stopped"),
    ],
)
def test_the_run_ends_as_its_call_does(
    db: Database, status_code: int | None, error: str | None, unknown: bool, status: str, reason: str | None
) -> None:
    scheduled(db)
    call = value(db, "select postmill.run_schedule('hook')")
    assert taken(db) == [call]
    assert column(db, STATUS) == ["sent"]
    answer(db, call, status_code, error, unknown=unknown)
    found = row(db, "select status, reason, returned, ended_at from postmill.schedule_history")
    assert (found["status"], found["reason"]) == (status, reason)
    assert found["returned"] == (None if status_code is None else f"HTTP {status_code}")
    assert found["ended_at"] is not None


def test_an_outcome_that_was_unknown_may_become_known(db: Database) -> None:
    scheduled(db)
    call = value(db, "select postmill.run_schedule('hook')")
    taken(db)
    db.execute(b"update postmill.calls set lost_at = now() - interval '1 s'")
    assert value(db, "select unknown from postmill.tidy_calls()") == 1
    assert column(db, STATUS) == ["unknown"]
    answer(db, call, 200)
    assert column(db, STATUS) == ["succeeded"]
    assert value(db, REASON) is None


def test_a_call_that_was_deleted_leaves_its_run_unknown(db: Database) -> None:
    made = scheduled(db, "'https://x', overlap => 'allow'")
    fire(db, made)
    db.execute(b"update postmill.schedule_runs set fired_at = fired_at - interval '1 hour'")
    assert value(db, "select postmill.tidy_schedule_runs()") == 0
    db.execute(b"delete from postmill.calls where call_id = (select min(call_id) from postmill.calls)")
    assert fire(db, made, "array['2026-05-01 11:00+00', null]::timestamptz[]") == ["sent"]
    assert value(db, "select postmill.tidy_schedule_runs()") == 1
    assert column(db, STATUS) == ["unknown", "sent", "sent"]


def test_a_run_that_another_session_holds_keeps_no_answer_from_being_stored(
    db: Database, connect: Callable[[], Database]
) -> None:
    """One who removes a schedule in a long transaction held up the answers of all calls."""
    scheduled(db)
    call = value(db, "select postmill.run_schedule('hook')")
    taken(db)
    holding = connect()
    with holding.transaction(force_rollback=True):
        holding.execute(b"select postmill.unschedule('hook')")
        db.execute(b"set lock_timeout = '1s'")
        answer(db, call)
    assert value(db, "select status_code from postmill.call_responses") == 200
    assert column(db, STATUS) == ["sent"]
    db.execute(b"update postmill.schedule_runs set fired_at = fired_at - interval '1 hour'")
    assert value(db, "select postmill.tidy_schedule_runs()") == 1
    assert column(db, STATUS) == ["succeeded"]


def test_removing_a_schedule_leaves_its_calls(db: Database) -> None:
    scheduled(db)
    call = value(db, "select postmill.run_schedule('hook')")
    db.execute(b"select postmill.unschedule('hook')")
    assert rows(db, "select * from postmill.scheduled_calls") == []
    assert taken(db) == [call]
    answer(db, call)
    assert value(db, "select status_code from postmill.call_responses") == 200


def test_the_start_of_the_service_calls_too(db: Database) -> None:
    db.execute(b"select postmill.schedule_call('warm-up', '@reboot', 'https://x')")
    assert value(db, "select postmill.join_runners(true)")
    assert column(db, STATUS) == ["sent"]
    assert len(column(db, URLS)) == 1


@pytest.fixture
def role(db: Database, stranger: Database) -> Database:
    """A role with the grants of the reference, and no others."""
    db.execute(grants("A role that schedules calls").encode())
    return stranger


def test_the_grants_for_scheduled_calls_are_enough_and_not_more(db: Database, role: Database) -> None:
    scheduled(role)
    made = scheduled(role, "function => 'resize'")
    assert fire(db, made, ONE_TICK) == ["sent"]
    assert value(db, "select created_by from postmill.calls") == "stranger"
    assert value(db, "select run_as from postmill.schedule_list") == "stranger"
    for forbidden in (
        "select headers from postmill.scheduled_calls",
        "update postmill.scheduled_calls set url = 'https://mine'",
        f"{AS_ANOTHER} created_by) values (1, 'GET', 'https://mine', 1, 1, 'postgres')",
        f"{AS_ANOTHER} secrets) values (1, 'GET', 'https://mine', 1, 1, '{{KEY}}')",
        "select postmill.call('https://x')",
        "select * from postmill.calls",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            role.execute(forbidden.encode())


def test_a_secret_is_that_of_the_role_that_scheduled_it(db: Database, role: Database) -> None:
    """The process that fires may have other rights: its owner, here, may use every secret."""
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="not granted the secret KEY"):
        scheduled(role, f"'https://x', {KEYED}")
    assert rows(db, "select * from postmill.schedules") == []
    db.execute(b"select postmill.grant_secret('KEY', 'stranger')")
    made = scheduled(role, f"'https://x', {KEYED}, overlap => 'allow'")
    assert fire(db, made, ONE_TICK) == ["sent"]
    assert row(db, "select secrets, created_by from postmill.calls") == {
        "secrets": ["KEY"],
        "created_by": "stranger",
    }
    db.execute(b"select postmill.revoke_secret('KEY', 'stranger')")
    assert fire(db, made) == ["failed"], "it is looked at again at each tick"
    assert column(db, "select reason from postmill.schedule_history where status = 'failed'") == [
        "role stranger was not granted the secret KEY"
    ]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        db.execute(b"select postmill.run_schedule('hook')")


def test_nobody_points_the_secret_of_another_role_elsewhere(db: Database, role: Database) -> None:
    """Who may change every schedule still can't: the call is then that role's own, with its own secrets."""
    db.execute(b"select postmill.grant_secret('KEY', 'pg_monitor')")  # the owner is a member of every role
    scheduled(db, f"'https://x', {KEYED}")
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="not granted the secret KEY"):
        scheduled(role, "'https://mine/{{secret:KEY}}'")
    role.execute(b"""update postmill.schedules set target = '{"call": true, "url": "https://mine"}'""")
    assert value(db, "select target ->> 'url' from postmill.schedule_list") == "https://x"
    scheduled(role, "'https://mine'")
    assert row(db, "select url, headers, created_by, secrets from postmill.scheduled_calls") == {
        "url": "https://mine",
        "headers": {},
        "created_by": "stranger",
        "secrets": [],
    }


@pytest.mark.parametrize(
    ("ends", "says"),
    [
        ("revoke insert (url) on postmill.scheduled_calls from stranger", "may not schedule such a call"),
        ("delete from postmill.scheduled_calls", "what it calls is gone"),
        ("update postmill.scheduled_calls set created_by = 'nobody of that name'", "is gone"),
    ],
)
def test_a_tick_that_may_not_call_fails_in_words_and_keeps_no_other(
    db: Database, role: Database, queue: str, ends: str, says: str
) -> None:
    made = scheduled(role)
    other = value(db, "select postmill.schedule('other', '@daily', 're-size')")
    db.execute(ends.encode())
    fired = rows(
        db,
        "select status, reason from postmill.fire_schedules("
        f"array[{made}, {other}], {TICKS}, {TICKS}, {TICKS}, array[null, null])",
    )
    assert [each["status"] for each in fired] == ["failed", "sent"]
    assert says in fired[0]["reason"]
    assert rows(db, "select * from postmill.calls") == []

"""Failed attempts that are alike have one fingerprint, whoever has recorded them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.sql.asking import Database, bury, claim, column, refused, row, rows, value

if TYPE_CHECKING:
    from collections.abc import Callable

RECORD = """
insert into postmill.failures (queue_name, msg_id, attempt, kind, error_type, error_message, traceback)
values ('re-size', $1, 1, $2, $3, $4, $5) returning fingerprint
"""


def traceback(*frames: tuple[str, int, str]) -> str:
    lines = [f'  File "{file}", line {line}, in {function}\n    work()\n' for file, line, function in frames]
    return "Traceback (most recent call last):\n" + "".join(lines) + "ValueError: no\n"


OWN = ("/srv/shop/tasks/mail.py", 12, "deliver")
LIBRARY = ("/srv/shop/.venv/lib/python3.12/site-packages/httpx/client.py", 900, "send")
HOUSE = ("/home/ada/postmill/engine/run/executor.py", 40, "run")
PYTHON = ("/usr/lib/python3.12/json/decoder.py", 355, "raw_decode")


def recorded(
    db: Database,
    message: str | None = "no",
    frames: tuple[tuple[str, int, str], ...] = (HOUSE, OWN, LIBRARY),
    kind: str = "error",
    error_type: str | None = "ValueError",
    msg_id: int = 1,
) -> str:
    text = traceback(*frames) if frames else None
    found: str = value(db, RECORD, msg_id, kind, error_type, message, text)
    return found


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("no page 17", "no page 18"),
        ("it took 1.5 s", "it took 12.25 s"),
        ("no user 'ada'", "no user 'bob'"),
        ('key "a" of "b"', 'key "c" of "d"'),
        ("can't read 'a', don't know why", "can't read 'b', don't know why"),
        (
            "order 9f0c1a2b-0000-4000-8000-00000000aa01 is gone",
            "order 11111111-2222-4333-8444-555555555555 is gone",
        ),
        ("<Job object at 0x7f62779ae090>", "<Job object at 0x7fa4a5fb8610>"),
        ("ada@example.org bounced", "bob.b@mail.example.com bounced"),
        ("commit 4f2a9c1 failed", "commit 9b1e77d failed"),
    ],
)
def test_what_differs_each_time_does_not_count(db: Database, queue: str, one: str, other: str) -> None:
    assert recorded(db, one) == recorded(db, other)


def test_what_is_said_does_count(db: Database, queue: str) -> None:
    said = ["no page", "no face", "can't read 'a'", "can't write 'a'", "decade", None]
    assert len({recorded(db, each) for each in said}) == len(said)
    assert recorded(db) != recorded(db, kind="timeout")
    assert recorded(db) != recorded(db, error_type="KeyError")


def test_the_place_is_the_innermost_frame_of_the_users_own_code(db: Database, queue: str) -> None:
    same = recorded(db)
    for frames in (
        (HOUSE, OWN),
        (OWN, LIBRARY, PYTHON),
        (("/app/other.py", 1, "before"), OWN, PYTHON),
        (HOUSE, ("/srv/shop/tasks/mail.py", 99, "deliver")),  # the next release
        (HOUSE, ("/opt/release-7/tasks/mail.py", 12, "deliver")),  # another folder
    ):
        assert recorded(db, frames=frames) == same
    python = ("C:\\Python312\\Lib\\json\\decoder.py", 1, "x")
    assert recorded(db, frames=(("C:\\shop\\mail.py", 12, "deliver"), python)) != recorded(
        db, frames=(python,)
    )
    others: tuple[tuple[tuple[str, int, str], ...], ...] = (
        (HOUSE, ("/srv/shop/tasks/mail.py", 12, "receive")),
        (HOUSE, ("/srv/shop/tasks/post.py", 12, "deliver")),
        (HOUSE, LIBRARY),
        (),
    )
    for other in others:
        assert recorded(db, frames=other) != same


def test_what_sql_records_has_one_too(db: Database, queue: str) -> None:
    db.execute(b"select postmill.send_batch('re-size', array_fill('1'::jsonb, array[2]))")
    for msg_id in (1, 2):
        claim(db, queue, msg_id)
        held = row(db, "select * from postmill.claims order by claim_id desc limit 1")
        db.execute(
            b"select postmill.return_claim('re-size', $1, $2, $3, $4)",
            [held["worker_id"], held["msg_ids"], held["read_cts"], held["claimed_at"]],
        )
    (error,) = rows(db, "select kind, failures, messages from postmill.error_list()")
    assert error == {"kind": "crash", "failures": 2, "messages": 2}


def test_the_list_has_the_one_seen_last_first(db: Database, queue: str) -> None:
    first = recorded(db, "no page 1", msg_id=1)
    second = recorded(db, "no route")
    recorded(db, "no page 2", msg_id=2)
    db.execute(
        b"update postmill.failures set failed_at = clock_timestamp() - interval '90 min' where msg_id = 1"
    )
    db.execute(
        b"update postmill.failures set failed_at = clock_timestamp() - interval '3 days' "
        b"where error_message = 'no route'"
    )
    seen = rows(db, "select * from postmill.error_list()")
    assert [each["fingerprint"] for each in seen] == [first, second]
    assert {name: seen[0][name] for name in ("state", "failures", "messages", "queues", "error_message")} == {
        "state": "open", "failures": 2, "messages": 2, "queues": ["re-size"], "error_message": "no page 2",
    }  # fmt: skip
    assert seen[0]["last_24_hours"] == [0] * 22 + [1, 1]
    assert sum(seen[1]["last_24_hours"]) == 0
    assert column(db, "select fingerprint from postmill.error_list(max_failures => 1)") == [first]
    assert column(db, "select fingerprint from postmill.error_list($1)", second) == [second]
    db.execute(b"select postmill.create_queue('other')")
    assert rows(db, "select from postmill.error_list(only_queue => 'other')") == []


def test_a_resolved_error_that_is_seen_again_is_open(db: Database, queue: str) -> None:
    error = recorded(db)
    stands = "select state, reopened from postmill.error_list()"
    for state in ("ignored", "resolved", "open", "resolved"):
        db.execute(b"select postmill.set_error_state($1, $2)", [error, state])
        assert row(db, stands) == {"state": state, "reopened": False}
    recorded(db)
    assert row(db, stands) == {"state": "open", "reopened": True}
    db.execute(b"select postmill.set_error_state($1, 'ignored')", [error])
    recorded(db)
    assert row(db, stands) == {"state": "ignored", "reopened": False}
    assert value(db, "select changed_by = session_user from postmill.error_list()")


def test_an_operation_finds_what_failed_so(db: Database, queue: str) -> None:
    db.execute(b"select postmill.send_batch('re-size', array_fill('1'::jsonb, array[3]))")
    error = recorded(db, "no page 1", msg_id=2)
    letter = bury(db, queue, 11)
    bury(db, queue, 12)
    recorded(db, "no page 2", msg_id=11)
    recorded(db, "other", msg_id=3)
    start = "select postmill.start_operation($1, 're-size', jsonb_build_object('fingerprint', $2::text))"
    for kind, expected in (("cancel", [2]), ("replay", [letter])):
        operation = value(db, start, kind, error)
        while rows(db, "select state from postmill._step_operation()"):
            pass
        found = column(db, "select id from postmill.operation_rows where operation_id = $1", operation)
        assert found == expected


def test_refuses_what_is_none(db: Database, queue: str) -> None:
    error = recorded(db)
    with refused("PM003", "'mended' is no state"):
        db.execute(b"select postmill.set_error_state($1, 'mended')", [error])
    with refused("PM014", "no failed attempt has the fingerprint '0'"):
        db.execute(b"select postmill.set_error_state('0', 'open')")
    with refused("PM001", "there is no queue"):
        db.execute(b"select postmill.error_list(only_queue => 'nope')")


def test_looking_reads_no_failure_that_is_not_asked_for(
    db: Database, queue: str, connect: Callable[[], Database]
) -> None:
    """A look at one error, or at the latest, is bounded however many failures there are."""
    db.execute(
        b"insert into postmill.failures (queue_name, msg_id, attempt, kind, error_message) "
        b"select 're-size', n, 1, 'error', 'often' from generate_series(1, 3000) n"
    )
    rare = recorded(db, "rare")
    db.execute(b"analyze postmill.failures")

    def pages(look: str, *arguments: Any) -> int:
        with connect() as session, session.transaction():
            session.execute(b"set local jit = off")
            column(session, look, *arguments)
            read: int = value(
                session, "select pg_stat_get_xact_blocks_fetched('postmill.failures'::regclass)"
            )
            return read

    everything = value(db, "select pg_relation_size('postmill.failures') / 8192")
    assert pages("select fingerprint from postmill.error_list($1)", rare) < everything / 4
    assert pages("select fingerprint from postmill.error_list(max_failures => 10)") < everything / 4


def test_many_errors_are_listed_within_the_time_of_a_look(db: Database, queue: str) -> None:
    """The hours of each error were counted among the failures of all: four hundred errors took half a minute,
    and with thirty the page of errors was a time-out.
    """
    db.execute(
        b"insert into postmill.failures (queue_name, msg_id, attempt, kind, error_type, failed_at) "
        b"select 're-size', n, 1, 'error', translate(mod(n, 400)::text, '0123456789', 'abcdefghij'), "
        b"clock_timestamp() - mod(n, 48) * interval '30 minutes' from generate_series(1, 10000) n"
    )
    with db.transaction():
        db.execute(b"set local statement_timeout = '2s'")
        found = rows(db, "select failures, last_24_hours from postmill.error_list()")
    assert len(found) == 400
    assert all(each["failures"] == sum(each["last_24_hours"]) == 25 for each in found)

"""The facade pgmq_public: the names and arguments of Supabase Queues, as PostgREST calls them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Json

from postmill.db.tools.facades import named
from postmill.db.tools.migrate import migrate
from tests.sql.asking import Database, claim, column, refused, row, rows, value
from tests.sql.test_privileges import grants

PAGE = Path(__file__).parents[2] / "docs" / "coming-from" / "supabase-queues.md"
RIGHTS = "A role that uses the names of Supabase Queues"
ARGUMENTS = """
select unnest(proargnames) as name, unnest(proargtypes)::regtype::text as type
from pg_proc where proname = $1 and pronamespace = 'pgmq_public'::regnamespace
"""


@pytest.fixture(autouse=True)
def facade(db: Database) -> None:
    migrate(db, wanted=[named("pgmq_public")])


@pytest.fixture
def client(db: Database, queue: str, stranger: Database) -> Database:
    """A role that may use the queue through the facade, as the reference says."""
    db.execute(grants(RIGHTS).encode())
    return stranger


def rpc(db: Database, function: str, arguments: dict[str, Any]) -> list[Any]:
    """What ``supabase.schema('pgmq_public').rpc(function, arguments)`` makes PostgREST ask: the body of the
    request as one value, taken apart by the types of the arguments, which are passed by name.
    """
    known = {
        each["name"]: each["type"] for each in rows(db, ARGUMENTS, function) if each["name"] in arguments
    }
    assert known.keys() == arguments.keys(), "no function has these arguments"
    body = ", ".join(f'"{name}" {kind}' for name, kind in known.items())
    named_arguments = ", ".join(f'"{name}" := body."{name}"' for name in known)
    return column(
        db,
        f"select to_jsonb(answer) from json_to_record($1) as body ({body}), "
        f'lateral "pgmq_public"."{function}"({named_arguments}) as answer',
        Json(arguments),
    )


def test_a_message_is_sent_read_and_archived(client: Database, queue: str) -> None:
    sent = {"queue_name": queue, "message": {"hello": "world"}, "sleep_seconds": 0}
    assert rpc(client, "send", sent) == [1]
    (read,) = rpc(client, "read", {"queue_name": queue, "sleep_seconds": 30, "n": 5})
    assert (read["msg_id"], read["read_ct"], read["message"]) == (1, 1, {"hello": "world"})
    assert rpc(client, "read", {"queue_name": queue, "sleep_seconds": 30, "n": 5}) == []
    assert rpc(client, "archive", {"queue_name": queue, "message_id": 1}) == [True]
    assert rpc(client, "archive", {"queue_name": queue, "message_id": 1}) == [False]


def test_a_batch_is_sent_popped_and_deleted(client: Database, queue: str) -> None:
    sent = {"queue_name": queue, "messages": [{"n": 1}, [2], "three"], "sleep_seconds": 0}
    assert rpc(client, "send_batch", sent) == [1, 2, 3]
    (popped,) = rpc(client, "pop", {"queue_name": queue})
    assert (popped["msg_id"], popped["message"]) == (1, {"n": 1})
    assert rpc(client, "delete", {"queue_name": queue, "message_id": 2}) == [True]
    assert rpc(client, "delete", {"queue_name": queue, "message_id": 2}) == [False]
    assert [each["message"] for each in rpc(client, "pop", {"queue_name": queue})] == ["three"]
    assert rpc(client, "pop", {"queue_name": queue}) == []


def test_sleep_seconds_may_be_left_out_and_delays(db: Database, queue: str) -> None:
    assert rpc(db, "send", {"queue_name": queue, "message": 1}) == [1]
    assert rpc(db, "send_batch", {"queue_name": queue, "messages": [1]}) == [2]
    assert rpc(db, "send", {"queue_name": queue, "message": 1, "sleep_seconds": 60}) == [3]
    assert rpc(db, "send_batch", {"queue_name": queue, "messages": [1], "sleep_seconds": 60}) == [4]
    late = "select msg_id from pgmq.\"q_re-size\" where vt > clock_timestamp() + interval '50 s' order by 1"
    assert column(db, late) == [3, 4]
    assert [
        each["msg_id"] for each in rpc(db, "read", {"queue_name": queue, "sleep_seconds": 9, "n": 9})
    ] == [1, 2]


def test_the_functions_are_those_of_supabase(db: Database) -> None:
    shown = rows(
        db,
        "select proname as name, pg_get_function_arguments(oid) as arguments, "
        "pg_get_function_result(oid) as returns, prosecdef as definer "
        "from pg_proc where pronamespace = 'pgmq_public'::regnamespace and proname !~ '^_'",
    )
    assert {each["name"]: (each["arguments"], each["returns"]) for each in shown} == {
        "send": ("queue_name text, message jsonb, sleep_seconds integer DEFAULT 0", "SETOF bigint"),
        "send_batch": ("queue_name text, messages jsonb[], sleep_seconds integer DEFAULT 0", "SETOF bigint"),
        "read": ("queue_name text, sleep_seconds integer, n integer", "SETOF pgmq.message_record"),
        "pop": ("queue_name text", "SETOF pgmq.message_record"),
        "archive": ("queue_name text, message_id bigint", "boolean"),
        "delete": ("queue_name text, message_id bigint", "boolean"),
    }
    assert not any(each["definer"] for each in shown)


@pytest.mark.parametrize(
    "call",
    [
        "send('gone', '1')",
        "send_batch('gone', array['1']::jsonb[])",
        "read('gone', 1, 1)",
        "pop('gone')",
        "archive('gone', 1)",
        "delete('gone', 1)",
        "pop(null)",
        "pop('')",
        "pop('x''; drop table pgmq.meta; --')",
    ],
)
def test_a_queue_that_is_not_there_is_named(db: Database, call: str) -> None:
    with refused("PM001", "there is no queue"):
        db.execute(f"select pgmq_public.{call}".encode())


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ("send('re-size', '1', -1)", "sleep_seconds is -1"),
        ("send_batch('re-size', array['1']::jsonb[], null)", "sleep_seconds is null"),
        ("read('re-size', null, 1)", "sleep_seconds is null"),
        ("read('re-size', -1, 1)", "sleep_seconds is -1"),
        ("read('re-size', 1, 0)", "n is 0"),
        ("read('re-size', 1, null)", "n is null"),
    ],
)
def test_an_argument_out_of_its_range_is_refused(db: Database, queue: str, call: str, says: str) -> None:
    """pgmq reads without a limit for null: one request took the whole queue."""
    with refused("PM003", says):
        db.execute(f"select pgmq_public.{call}".encode())


def test_it_runs_with_the_rights_of_its_caller(db: Database, client: Database, queue: str) -> None:
    db.execute(b"select postmill.create_queue('private'); select pgmq.send('private', '1')")
    for forbidden in (
        "send('private', '1')",
        "pop('private')",
        "read('private', 1, 1)",
        "delete('private', 1)",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="q_private"):
            client.execute(f"select pgmq_public.{forbidden}".encode())
    assert value(db, 'select count(*) from pgmq."q_private"') == 1


def test_the_policies_of_a_queue_hold(db: Database, client: Database, queue: str) -> None:
    """As Supabase has them: row-level security on the queue's table."""
    db.execute(
        b'alter table pgmq."q_re-size" enable row level security; '
        b"create policy mine on pgmq.\"q_re-size\" to stranger using (message ->> 'of' = 'stranger')"
    )
    db.execute(b"""select pgmq.send('re-size', '{"of": "others"}')""")
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
        rpc(client, "send", {"queue_name": queue, "message": {"of": "others"}})
    (mine,) = rpc(client, "send", {"queue_name": queue, "message": {"of": "stranger"}})
    read = rpc(client, "read", {"queue_name": queue, "sleep_seconds": 9, "n": 9})
    assert [each["msg_id"] for each in read] == [mine]


def test_what_a_worker_is_running_is_not_read_and_can_be_archived_by_id(db: Database, queue: str) -> None:
    rpc(db, "send", {"queue_name": queue, "message": 1})
    claim(db, queue, 1)
    assert rpc(db, "read", {"queue_name": queue, "sleep_seconds": 9, "n": 9}) == []
    assert rpc(db, "archive", {"queue_name": queue, "message_id": 1}) == [True]
    assert row(db, "select state from postmill.messages('re-size')") == {"state": "completed"}


def test_what_the_page_on_moving_shows(db: Database) -> None:
    """Its queue is one of pgmq's, and one message of two is archived."""
    (block,) = re.findall(r"^```sql\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    db.execute(block.encode())
    assert column(db, "select message ->> 'to' from pgmq.a_emails") == ["ada@example.org"]
    assert column(db, "select read_ct from pgmq.q_emails") == [1]

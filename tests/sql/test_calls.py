"""What a call may say, who may ask for one, and what the facade of pg_net shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.sql.asking import Database, column, refused, row, rows, value
from tests.sql.test_privileges import grants

if TYPE_CHECKING:
    from collections.abc import Callable

URL = "https://example.com/x"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("''", "no address"),
        ("null", "no address"),
        ("'ftp://example.com/'", "no address"),
        ("'http://'", "no address"),
        ("'javascript:alert(1)'", "no address"),
        ("'https://x', method => 'CONNECT'", "no method"),
        ("'https://x', method => null", "no method"),
        ("'https://x', headers => '[]'", "object"),
        ("'https://x', params => '[]'", "object"),
        ("""'https://x', headers => '{"a b": "1"}'""", "can't be sent"),
        ("""'https://x', headers => '{"a": "1\\r\\nb: 2"}'""", "can't be sent"),
        ("""'https://x', headers => '{"a": ["1"]}'""", "can't be sent"),
        ("'https://x', timeout => '0'", "time limit"),
        ("'https://x', timeout => '2 hours'", "time limit"),
        ("'https://x', timeout => null", "time limit"),
        ("'https://x', max_attempts => 0", "max_attempts"),
    ],
)
def test_what_can_not_be_called_is_refused_in_words(db: Database, arguments: str, says: str) -> None:
    with refused("PM003", says):
        db.execute(f"select postmill.call({arguments})".encode())
    assert value(db, "select count(*) from postmill.calls") == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("'jobs'", "function or a url"),
        ("'jobs', function => 'a', url => 'https://x'", "function or a url"),
        ("'jobs', function => '../admin'", "not a name for a function"),
        ("'jobs', url => 'https://x', workers => 0", "max_running"),
        ("'jobs', url => 'https://x', workers => null", "workers"),
        ("'jobs', url => 'nowhere'", "no address"),
    ],
)
def test_what_can_not_be_a_call_queue_is_refused_in_words(db: Database, arguments: str, says: str) -> None:
    with refused("PM003", says):
        db.execute(f"select postmill.create_call_queue({arguments})".encode())
    assert rows(db, "select * from pgmq.meta") == []


def test_params_become_the_query_of_the_url(db: Database) -> None:
    encode = "select postmill._with_params($1, $2)"
    params = '{"a": "1 & 2", "ü": "ß/?", "n": 3, "none": null}'
    query = "a=1%20%26%202&n=3&%C3%BC=%C3%9F%2F%3F&none="
    assert value(db, encode, "https://x/p", params) == f"https://x/p?{query}"
    assert value(db, encode, "https://x/p?q=1#f", '{"a": "b"}') == "https://x/p?q=1&a=b"
    assert value(db, encode, "https://x/p?", '{"a": "b"}') == "https://x/p?a=b"
    assert value(db, encode, "https://x/p", "{}") == "https://x/p"


def test_the_facade_shows_what_pg_net_shows(db: Database) -> None:
    post = "select net.http_post($1, body => '{\"a\": 1}')"
    assert value(db, post, URL) == 1
    assert value(db, "select net.http_delete($1, body => '{}')", URL) == 2
    waiting = rows(db, "select * from net.http_request_queue order by id")
    assert [each["method"] for each in waiting] == ["POST", "DELETE"]
    assert (waiting[0]["url"], waiting[0]["body"], waiting[0]["timeout_milliseconds"]) == (
        URL,
        b'{"a": 1}',
        5000,
    )
    assert waiting[0]["headers"] == {"Content-Type": "application/json"}

    db.execute(
        b"insert into postmill.call_responses"
        b" (call_id, method, url, status_code, headers, content, attempts, created_by)"
        b" values (7, 'GET', '', 200, '{}', 'hi', 1, current_user)"
    )
    assert [*row(db, "select * from net._http_response")] == [
        *("id", "status_code", "content_type", "headers", "content", "timed_out", "error_msg", "created")
    ]
    collect = "select (net._http_collect_response($1)).*"
    assert row(db, collect, 7)["status"] == "SUCCESS"
    assert row(db, collect, 1)["status"] == "PENDING"
    assert row(db, collect, 99)["status"] == "ERROR"


def test_waiting_for_what_this_transaction_asks_for_is_refused(db: Database) -> None:
    """The wait would have no end: a call is made after the commit."""
    with refused("PM003", "after its commit"), db.transaction():
        call_id = value(db, "select net.http_get($1)", URL)
        db.execute(b"select net._http_collect_response($1, async => false)", [call_id])


def test_the_grants_for_calls_are_enough_and_not_more(db: Database, stranger: Database) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        stranger.execute(b"select net.http_get($1)", [URL])
    db.execute(grants("A role that makes calls").encode())
    db.execute(b"""select net.http_get($1, headers => '{"Authorization": "of the owner"}')""", [URL])
    mine = value(stranger, "select net.http_post($1)", URL)

    assert column(stranger, "select id from net.http_request_queue") == [mine], "others' headers are hidden"
    assert len(column(db, "select id from net.http_request_queue")) == 2
    for forbidden in (
        "select headers from postmill.calls",
        "select * from postmill.call_responses",
        "insert into postmill.calls (method, url, timeout_ms, created_by) values ('', '', 1, 'postgres')",
        "insert into postmill.calls (method, url, timeout_ms, secrets) values ('', '', 1, '{KEY}')",
        "update postmill.calls set url = ''",
        "delete from postmill.calls",
        "insert into postmill.call_responses values (1, '', '')",
        "update postmill.call_responses set status_code = 200",
        "select postmill.tidy_calls()",
        "select postmill.create_call_queue('jobs', url => 'https://x')",
        "select postmill.grant_secret('KEY', 'stranger')",
        "insert into postmill.secret_grants (secret, role_name) values ('KEY', 'stranger')",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            stranger.execute(forbidden.encode())


def test_a_secret_is_for_roles_that_were_granted_it(db: Database, stranger: Database) -> None:
    """Otherwise anybody could send any secret to a server of theirs."""
    db.execute(grants("A role that makes calls").encode())
    keyed = """select net.http_get($1, headers => '{"Authorization": "Bearer {{secret:KEY}}"}')"""
    hidden = "select net.http_get($1 || '/{{secret:KEY}}')"
    for call in (keyed, hidden):
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="not granted the secret KEY"):
            stranger.execute(call.encode(), [URL])
    with refused("PM003", "no role"):
        db.execute(b"select postmill.grant_secret('KEY', 'nobody-of-that-name')")
    db.execute(b"select postmill.grant_secret('KEY', 'stranger')")
    made = value(stranger, keyed, URL)
    assert value(db, "select secrets from postmill.calls where call_id = $1", made) == ["KEY"]
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="not granted the secret OTHER"):
        stranger.execute(b"select net.http_get('{{secret:OTHER}}')")
    db.execute(b"select postmill.revoke_secret('KEY', 'stranger')")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        stranger.execute(keyed.encode(), [URL])


def test_a_secret_in_params_is_refused(db: Database) -> None:
    """Its name was encoded, and sent to the server in place of its value."""
    with refused("PM003", "params can't have a secret"):
        db.execute(b"""select net.http_get($1, '{"key": "{{secret:KEY}}"}')""", [URL])


def test_a_secret_is_asked_for_again_when_the_call_is_sent(db: Database, stranger: Database) -> None:
    """One that was revoked was filled in all the same. A role that is gone keeps no other call waiting."""
    from postmill.sql.catalog import statement

    claim = statement("calls_claim")
    db.execute(grants("A role that makes calls").encode())
    for secret in ("KEY", "OTHER"):
        db.execute(b"select postmill.grant_secret($1, 'stranger')", [secret])
    keyed = """select net.http_get($1, headers => '{"A": "{{secret:KEY}} {{secret:OTHER}}"}')"""
    for _ in range(2):
        value(stranger, keyed, URL)
    db.execute(b"update postmill.calls set created_by = 'of-nobody' where call_id = 2")
    db.execute(b"select postmill.revoke_secret('KEY', 'stranger')")
    taken = db.execute(claim.encode(), [0, 10, [], [], 10, True]).fetchall()
    assert [each["secrets"] for each in taken] == [["OTHER"], []]


def test_two_processes_take_each_call_once(db: Database, connect: Callable[[], Database]) -> None:
    from postmill.sql.catalog import statement

    db.execute(b"select net.http_get($1) from generate_series(1, 20)", [URL])
    claim = statement("calls_claim").encode()
    other = connect()
    with db.transaction(), other.transaction():
        first = {each["call_id"] for each in db.execute(claim, [0, 12, [], [], 100, True]).fetchall()}
        second = {each["call_id"] for each in other.execute(claim, [0, 12, [], [], 100, True]).fetchall()}
    assert (len(first), len(second), first & second) == (12, 8, set())


def test_a_host_has_no_more_calls_than_places(db: Database) -> None:
    from postmill.sql.catalog import statement

    db.execute(b"select net.http_get($1) from generate_series(1, 5)", [URL])
    db.execute(b"select net.http_get('https://other/')")
    claim = statement("calls_claim").encode()
    taken = db.execute(claim, [0, 100, ["https://example.com"], [1], 3, True]).fetchall()
    assert sorted(each["host"] for each in taken) == ["https://example.com"] * 2 + ["https://other"]
    assert db.execute(claim, [0, 100, ["https://example.com"], [3], 3, True]).fetchall() == []


def test_hosts_are_walked_over_by_name_and_give_as_many_calls_as_they_have_places(db: Database) -> None:
    from postmill.sql.catalog import statement

    for host in ("b", "a", "b", "c", "b"):
        db.execute(b"select net.http_get($1)", [f"https://{host}/"])
    db.execute(b"select postmill.grant_secret('URL', current_user::name)")
    db.execute(b"select net.http_get('{{secret:URL}}/path')")
    db.execute(b"update postmill.calls set due_at = due_at + interval '1 hour' where host = 'https://c'")

    def walked(last: str, most: int) -> list[tuple[str, bool]]:
        found = db.execute(statement("calls_hosts").encode(), [last, most, True]).fetchall()
        return [(each["host"], each["is_due"]) for each in found]

    everywhere = sorted([("https://a", True), ("https://b", True), ("https://c", False)])
    assert sorted(walked("", 10)) == sorted([*everywhere, ("{{secret:URL}}", True)])
    assert walked("https://a", 1) == [("https://b", True)]
    claim = statement("calls_claim_at_hosts").encode()
    taken = db.execute(claim, [0, 100, ["https://b", "https://c"], [2, 2]]).fetchall()
    assert [each["host"] for each in taken] == ["https://b"] * 2
    assert len(db.execute(claim, [0, 1, ["https://b", "https://a"], [2, 2]]).fetchall()) == 1


def test_responses_are_kept_for_six_hours(db: Database) -> None:
    db.execute(
        b"insert into postmill.call_responses (call_id, method, url, attempts, created_by)"
        b" select n, 'GET', '', 1, current_user from generate_series(1, 3) n"
    )
    assert value(db, "select pruned from postmill.tidy_calls()") == 0
    db.execute(b"set postmill.clock_shift = '6 hours 1 minute'")
    assert value(db, "select pruned from postmill.tidy_calls(2)") == 2
    assert value(db, "select pruned from postmill.tidy_calls(2)") == 1


def test_a_dropped_queue_is_no_call_queue_any_more(db: Database) -> None:
    db.execute(b"select postmill.create_call_queue('jobs', function => 'resize', workers => 2)")
    assert row(db, "select queue, function, workers from postmill.call_queue_list") == {
        "queue": "jobs",
        "function": "resize",
        "workers": 2,
    }
    db.execute(b"select postmill.drop_queue('jobs')")
    db.execute(b"select postmill.create_queue('jobs')")
    assert rows(db, "select * from postmill.call_queue_list") == []


def test_calls_are_listed_with_their_states_and_without_headers(db: Database) -> None:
    db.execute(b"""select net.http_get($1, headers => '{"Authorization": "s3cret"}')""", [URL])
    found = row(db, "select * from postmill.call_list")
    assert (found["state"], found["url"], found["host"]) == ("waiting", URL, "https://example.com")
    assert "s3cret" not in str(found)

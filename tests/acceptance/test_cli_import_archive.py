"""``postmill import pgmq-archive``: those of this database are moved, those of another one copied."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.importing import column, held_up, lines, wait_until_held_up
from tests.servers import cloned_database, session

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from postmill.embedded import Server
    from tests.acceptance.conftest import Cli

    Database = psycopg.Connection[dict[str, Any]]

ARCHIVED = """
    insert into pgmq.a_old (msg_id, read_ct, enqueued_at, archived_at, vt, message, headers)
    select number, 2, now() - interval '2 hours',
           case when number > 10 then now() - interval '8 days' else now() end, now() - interval '1 hour',
           to_jsonb(number), case when number % 2 = 0 then '{"tenant": "acme"}'::jsonb end
    from generate_series(1, 12) as number
"""
ARRIVED = "select message::int as number from pgmq.a_mail order by number"
TEN = list(range(1, 11))


@pytest.fixture
def here(db: Database) -> Database:
    """A queue of Postmill that has sent a message already."""
    db.execute(b"select postmill.create_queue('mail')")
    db.execute(b"select postmill.send('mail', '0')")
    return db


def fill(db: Database) -> None:
    """A queue of another client with twelve archived messages, of which two are older than seven days."""
    db.execute(b"select pgmq.create('old')")
    db.execute(ARCHIVED.encode())


@pytest.fixture
def there_url(shared_server: Server) -> Iterator[str]:
    """Another database with such a queue."""
    with cloned_database(shared_server.url) as url:
        with session(url) as there:
            fill(there)
        yield url


def test_of_this_database_they_are_moved(cli: Cli, here: Database) -> None:
    fill(here)
    left = ("pgmq.a_old", "mail", "left", 2)
    dry = cli("import", "pgmq-archive", "pgmq.a_old", "mail", "--json")
    assert lines(dry) == [left, ("pgmq.a_old", "mail", "to do", 10)]
    assert column(here, ARRIVED) == []
    done = cli("import", "pgmq-archive", "pgmq.a_old", "mail", "--run", "--batch", "3", "--json")
    assert lines(done) == [("pgmq.a_old", "mail", "done", 10), left]
    assert column(here, ARRIVED) == TEN
    assert column(here, "select msg_id from pgmq.a_old order by msg_id") == [11, 12]
    again = cli("import", "pgmq-archive", "pgmq.a_old", "mail", "--run", "--json")
    assert lines(again) == [left]


def test_of_another_database_they_are_copied(cli: Cli, here: Database, there_url: str) -> None:
    command = ("import", "pgmq-archive", "pgmq.a_old", "mail", "--from", there_url, "--batch", "3", "--json")
    left = ("pgmq.a_old", "mail", "left", 2)
    assert lines(cli(*command)) == [left, ("pgmq.a_old", "mail", "to do", 10)]
    assert lines(cli(*command, "--run")) == [("pgmq.a_old", "mail", "done", 10), left]
    assert column(here, ARRIVED) == TEN
    assert lines(cli(*command, "--run")) == [left]
    with session(there_url) as there:
        there.execute(b"update pgmq.a_old set archived_at = now() where msg_id = 11")
        assert column(there, "select count(*) from pgmq.a_old") == [12]
    assert lines(cli(*command)) == [("pgmq.a_old", "mail", "left", 1), ("pgmq.a_old", "mail", "to do", 1)]


@pytest.mark.parametrize("other", [False, True])
def test_a_message_is_whole_and_postmill_lists_it(
    cli: Cli, here: Database, there_url: str, other: bool
) -> None:
    """It has a new id, since the queue has had its own message 1; the old one is in a header."""
    if not other:
        fill(here)
    options = ("--from", there_url) if other else ()
    assert cli("import", "pgmq-archive", "pgmq.a_old", "mail", *options, "--run").code == 0
    listed = cli("message", "list", "mail", "--state", "completed", "--json").json
    assert sorted(each["msg_id"] for each in listed) == list(range(2, 12))
    second = here.execute(
        b"select read_ct, headers, enqueued_at < now() - interval '119 minutes' as sent_at_its_time, "
        b"archived_at > now() - interval '5 minutes' as archived_at_its_time, "
        b"vt between now() - interval '65 minutes' and now() - interval '59 minutes' as due_at_its_time "
        b"from pgmq.a_mail where message = '2'"
    ).fetchone()
    assert second == {
        "read_ct": 2,
        "headers": {"tenant": "acme", "imported": {"from": "pgmq.a_old", "msg_id": 2}},
        "sent_at_its_time": True,
        "archived_at_its_time": True,
        "due_at_its_time": True,
    }


@pytest.mark.parametrize("other", [False, True])
def test_an_archive_of_an_older_pgmq_has_neither_headers_nor_reads(
    cli: Cli, here: Database, there_url: str, other: bool
) -> None:
    with session(there_url) as there:
        for db in (there,) if other else (here,):
            if not other:
                fill(db)
            db.execute(b"alter table pgmq.a_old drop column headers, drop column if exists last_read_at")
    options = ("--from", there_url) if other else ()
    assert cli("import", "pgmq-archive", "pgmq.a_old", "mail", *options, "--run").code == 0
    assert column(here, "select headers from pgmq.a_mail where message = '2'") == [
        {"imported": {"from": "pgmq.a_old", "msg_id": 2}}
    ]


@pytest.mark.parametrize("other", [False, True])
@pytest.mark.parametrize("backend_dies_too", [False, True])
def test_killed_inside_a_batch_and_run_again(
    cli: Cli,
    here: Database,
    there_url: str,
    spawn: Any,
    database_url: str,
    other: bool,
    backend_dies_too: bool,
) -> None:
    if not other:
        fill(here)
    options = ("--from", there_url) if other else ()
    command = ("import", "pgmq-archive", "pgmq.a_old", "mail", *options, "--batch", "3", "--run")
    with held_up(here, "pgmq.a_mail", "8"):
        process = spawn(*command, env={"POSTMILL_DB_URL": database_url})
        backend = wait_until_held_up(here, process)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert column(here, ARRIVED) == TEN[:6]
        if backend_dies_too:
            here.execute(b"select pg_terminate_backend($1, 10000)", [backend])
    assert cli(*command).code == 0
    assert column(here, ARRIVED) == TEN


def test_two_imports_at_once_copy_once(
    cli: Cli, here: Database, there_url: str, spawn: Any, database_url: str
) -> None:
    """Both have read the same page when the first one writes it: the second waits for its marks."""
    command = ("import", "pgmq-archive", "pgmq.a_old", "mail", "--from", there_url, "--run", "--json")
    with held_up(here, "pgmq.a_mail", "8"):
        first, second = (spawn(*command, env={"POSTMILL_DB_URL": database_url}) for _ in range(2))
        wait_until_held_up(here, first)
        waiting = (
            "select count(*) from pg_locks where not granted and locktype = 'transactionid' "
            "and pid in (select pid from pg_stat_activity where datname = current_database())"
        )
        while column(here, waiting) == [0]:
            assert (first.poll(), second.poll()) == (None, None)
    reports = [json.loads(each.communicate(timeout=30)[0]) for each in (first, second)]
    done = [each["count"] for report in reports for each in report if each["outcome"] == "done"]
    assert sum(done) == 10
    assert column(here, ARRIVED) == TEN


def test_a_source_is_known_whatever_its_address_and_its_messages_by_more_than_their_ids(
    cli: Cli, here: Database, there_url: str
) -> None:
    """Two addresses of one database were two sources; a queue made anew there begins with id 1 again."""
    command = ("import", "pgmq-archive", "pgmq.a_old", "mail", "--json", "--from")
    assert cli(*command, there_url, "--run").code == 0
    left = ("pgmq.a_old", "mail", "left", 2)
    assert lines(cli(*command, there_url + "&connect_timeout=9")) == [left]
    with session(there_url) as there:
        there.execute(b"select pgmq.drop_queue('old')")
        fill(there)
    assert lines(cli(*command, there_url)) == [left, ("pgmq.a_old", "mail", "to do", 10)]


def test_a_queue_that_is_dropped_is_imported_into_anew(cli: Cli, here: Database, there_url: str) -> None:
    command = ("import", "pgmq-archive", "pgmq.a_old", "mail", "--from", there_url, "--run")
    assert cli(*command).code == 0
    here.execute(b"select postmill.drop_queue('mail', force => true)")
    here.execute(b"select postmill.create_queue('mail')")
    assert cli(*command).code == 0
    assert column(here, ARRIVED) == TEN


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("pgmq.a_none", "mail"), "not-found", "There is no table pgmq.a_none"),
        (("pgmq.a_old", "post"), "queue-not-found", "postmill queue create post"),
        (("pgmq.q_mail", "mail"), "refused", "It has no column archived_at"),
        (("pgmq.a_mail", "mail"), "refused", "nothing to import"),
    ],
)
def test_what_can_not_be_imported_is_told(
    cli: Cli, here: Database, arguments: tuple[str, str], code: str, says: str
) -> None:
    fill(here)
    refusal = cli("import", "pgmq-archive", *arguments)
    assert (refusal.error_code, says in refusal.err) == (code, True), refusal.err


def test_an_archive_that_would_be_pruned_at_once_is_refused(cli: Cli, here: Database) -> None:
    fill(here)
    here.execute(b"select postmill.set_retention('mail', '7 days', 9)")
    refusal = cli("import", "pgmq-archive", "pgmq.a_old", "mail", "--run")
    assert (refusal.error_code, "room for 9 messages" in refusal.err) == ("refused", True)
    assert column(here, ARRIVED) == []


def test_the_address_of_the_same_database_is_refused(cli: Cli, here: Database, database_url: str) -> None:
    """Else a move would be a copy, and the messages would be there twice."""
    fill(here)
    refusal = cli("import", "pgmq-archive", "pgmq.a_old", "mail", "--from", database_url)
    assert (refusal.error_code, "Leave --from out" in refusal.err) == ("refused", True)

"""`postmill migrate` and `postmill doctor` on servers that do not do all that Postmill needs: each lack is
made once, by a server that really answers so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import pytest

from postmill.db.tools import server_needs
from tests import servers
from tests.empty_database import empty_url
from tests.faults.foreign import foreign
from tests.faults.pooler import pooler

if TYPE_CHECKING:
    import psycopg

    from postmill.embedded import Server
    from tests.acceptance.conftest import Answer, Cli

__all__ = ["empty_url"]

LEFT = """
    select (select count(*) from pg_class) as relations, (select count(*) from pg_namespace) as schemas,
           (select count(*) from pg_locks where locktype = 'advisory' and database = (
                select oid from pg_database where datname = current_database())) as locks
"""


class CliAt(Protocol):
    """Runs one command on a database."""

    def __call__(self, url: str, *arguments: str) -> Answer: ...


@pytest.fixture
def at(cli_without_database: Cli, monkeypatch: pytest.MonkeyPatch) -> CliAt:
    """``postmill`` on the address that comes first."""

    def run(url: str, *arguments: str) -> Answer:
        monkeypatch.setenv("POSTMILL_DB_URL", url)
        return cli_without_database(*arguments)

    return run


def left(url: str) -> dict[str, Any]:
    """What is in a database, and which locks are held."""
    return told(url, LEFT)


def told(url: str, query: str) -> dict[str, Any]:
    """The row of a query on a session of its own."""
    with servers.session(url) as session:
        return session.execute(query.encode()).fetchone() or {}


def change(url: str, script: str) -> None:
    """Change the catalogue of a database, as only a superuser can."""
    with servers.session(url) as session:
        session.execute(b"set allow_system_table_mods = on")
        session.execute(script.encode())


def doctor(at: CliAt, url: str) -> dict[str, str]:
    """What doctor says of the server."""
    (found,) = (row for row in at(url, "doctor", "--json").json if row["check"] == "server")
    return dict(found)


def refused(at: CliAt, url: str) -> str:
    """Why migrate does not touch the database there."""
    answer = at(url, "migrate")
    assert (answer.code, answer.error_code) == (1, "migration-failed")
    assert "This server can't carry Postmill." in answer.err
    assert "postmill docs compatibility" in answer.err
    return answer.err


def test_postgres_does_what_is_needed_and_nothing_is_left_of_the_question(
    at: CliAt, database_url: str
) -> None:
    before = left(database_url)
    found = doctor(at, database_url)
    assert found["status"] == "pass"
    needs = (*server_needs.OF_SESSIONS, *server_needs.OF_ROWS)
    assert found["found"] == "does what is needed: " + ", ".join(need.name for need in needs)
    assert left(database_url) == before


@pytest.mark.parametrize(
    ("instead", "said"),
    [
        ({".ctid": ".its_place"}, "rows by ctid: the server says: column namespace.its_place does not exist"),
        (
            {"pg_current_xact_id(": "no_xact_id("},
            "transactions in snapshots: the server says: function pg_catalog.no_xact_id() does not exist",
        ),
        (
            {"pg_locks": "no_locks"},
            'locks in pg_locks: the server says: relation "pg_catalog.no_locks" does not exist',
        ),
    ],
)
def test_a_server_that_knows_no_such_thing_gets_nothing_installed(
    at: CliAt, empty_url: str, instead: dict[str, str], said: str
) -> None:
    before = left(empty_url)
    with foreign(empty_url, instead) as server:
        assert said in refused(at, server.url)
        assert doctor(at, server.url)["status"] == "fail"
        assert server.changed > 0
    assert left(empty_url) == before


@pytest.mark.parametrize(
    ("hidden", "said"),
    [
        ("advisory", "an advisory lock"),
        ("relation", "a table's lock"),
    ],
)
def test_a_server_that_does_not_show_locks(at: CliAt, empty_url: str, hidden: str, said: str) -> None:
    """A living worker would be taken for gone, and what is being sent for sent."""
    change(
        empty_url,
        "create or replace view pg_catalog.pg_locks as select * from pg_lock_status() as lock"
        f" where locktype <> '{hidden}'",
    )
    assert f"another session does not see {said};" in refused(at, empty_url)


def test_a_role_that_may_not_see_locks(at: CliAt, empty_url: str) -> None:
    change(empty_url, "revoke select on pg_catalog.pg_locks from public")
    as_reader = f"{empty_url}&options=-crole%3Dpg_read_all_settings"
    assert "the server says: permission denied for view pg_locks" in refused(at, as_reader)


def test_a_balancer_over_two_servers(at: CliAt, shared_server: Server, server: servers.PrivateServer) -> None:
    """Two sessions see nothing of each other: locks don't show, and ids of transactions mean nothing."""
    busy, fresh = (servers.named(url, "postgres") for url in (shared_server.url, server.url))
    with servers.session(busy) as session:
        while number_of(session) <= number_in(fresh):
            pass  # each look takes one
    for url, other_url, said in (
        (busy, fresh, "one that is over counts as under way"),
        (fresh, busy, "one that is under way counts as over"),
    ):
        with foreign(url, {}, other_url) as balancer:
            found = refused(at, balancer.url)
        assert "another session does not see a table's lock and an advisory lock" in found
        assert said in found


def number_in(url: str) -> int:
    """The id of a new transaction of the server there."""
    with servers.session(url) as session:
        return number_of(session)


def number_of(session: psycopg.Connection[Any]) -> int:
    """The id of a new transaction."""
    row = session.execute(b"select pg_current_xact_id()::text::bigint as id").fetchone()
    return int(row["id"])  # type: ignore[index]


@pytest.mark.parametrize(
    ("instead", "said"),
    [
        # Waits for the lock, as a server does that takes no notice of the two words.
        (
            {"for update skip locked": "for update"},
            "SKIP LOCKED: the server says: canceling statement due to lock timeout",
        ),
        ({"for update skip locked": ""}, "SKIP LOCKED: a row that another session has locked was given out"),
        # As where every transaction reads from one snapshot.
        (
            {"isolation level read committed": "isolation level repeatable read"},
            "read committed: the server says: could not serialize access due to concurrent update",
        ),
    ],
)
def test_doctor_names_what_a_foreign_server_does_with_rows(
    at: CliAt, database_url: str, instead: dict[str, str], said: str
) -> None:
    before = left(database_url)
    with foreign(database_url, instead) as server:
        found = doctor(at, server.url)
    assert found["status"] == "fail"
    assert said in found["found"]
    assert "compatibility" in found["fix"]
    assert left(database_url) == before


def test_a_writer_that_waited_and_finds_nothing(at: CliAt, database_url: str) -> None:
    """As on a server that only looks at the rows of its snapshot again."""
    change(
        database_url,
        "create function skip() returns trigger language plpgsql as 'begin return null; end';"
        "create trigger skip before update on postmill.migrations for each row execute function skip()",
    )
    said = "read committed: a writer that had to wait no longer finds its row"
    assert said in doctor(at, database_url)["found"]


def test_migrate_names_what_only_rows_can_show(at: CliAt, empty_url: str) -> None:
    with foreign(empty_url, {"for update skip locked": ""}) as server:
        assert "SKIP LOCKED: a row that another session has locked was given out" in refused(at, server.url)


def test_behind_a_pooler_migrate_says_that_workers_will_poll(at: CliAt, empty_url: str) -> None:
    with pooler(empty_url) as made:
        answer = at(made.url, "migrate")
        assert answer.code == 0
        assert "Workers will poll: not possible through this pooler. Set listen_url" in answer.err
        assert "Workers will poll" not in at(made.url, "migrate").err, "nothing was to be done"
        assert doctor(at, made.url)["status"] == "pass"


def test_a_pooler_that_keeps_sessions_is_as_the_server_itself(at: CliAt, database_url: str) -> None:
    with pooler(database_url, mode="session") as made:
        answer = at(f"{made.url}?pgbouncer=false", "doctor", "--strict", "-q")
        assert (answer.code, answer.out) == (0, "")


@pytest.mark.slow
def test_a_pool_of_one_session(at: CliAt, database_url: str) -> None:
    """The second session waits until the first is done: here for the twenty seconds that it is given."""
    with pooler(database_url, pool=1) as made:
        found = doctor(at, made.url)
        assert found["status"] == "fail"
        assert found["found"].startswith("two sessions at once: a second one got no answer")
        assert "a pool needs two sessions at least" in found["found"]


def test_a_pooler_that_takes_no_transactions_gets_nothing_installed(at: CliAt, empty_url: str) -> None:
    before = left(empty_url)
    with pooler(empty_url, mode="statement") as made:
        answer = at(made.url, "migrate")
        assert answer.code != 0
        assert "statement pooling mode" in answer.err
    assert left(empty_url) == before


def test_a_role_that_owns_nothing_is_asked_what_two_sessions_show(at: CliAt, database_url: str) -> None:
    found = doctor(at, f"{database_url}&options=-crole%3Dpg_read_all_data")
    assert found["status"] == "pass"
    assert "SKIP LOCKED" not in found["found"]

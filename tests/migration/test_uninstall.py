from __future__ import annotations

import pytest

from postmill.db.tools import pgmq
from postmill.db.tools.migrate import check_version, migrate, uninstall
from postmill.model.errors import Refused, SchemaMissing
from tests.sql.asking import Database, bury, column, rows, value

PGMQ = (
    "select oid::regprocedure::text as name, pg_get_functiondef(oid) as text from pg_proc "
    "where pronamespace = 'pgmq'::regnamespace order by 1"
)
RELATIONS = (
    "select relname, relkind, reloptions, relacl, relhastriggers from pg_class "
    "where relnamespace = 'pgmq'::regnamespace order by 1"
)


def test_removes_what_is_ours_and_no_queue(empty: Database) -> None:
    migrate(empty)
    empty.execute(b"select postmill.create_queue('jobs')")
    empty.execute(b"select postmill.send('jobs', '1')")

    uninstall(empty)

    ours = "('postmill', 'postmill_commands', 'edge_worker', 'cron', 'net')"
    assert column(empty, f"select nspname from pg_namespace where nspname in {ours}") == []
    assert rows(empty, "select from pg_trigger where tgrelid = 'pgmq.q_jobs'::regclass") == []
    assert column(empty, "select pgmq.send('jobs', '2')") == [2]
    assert value(empty, "select count(*) from pgmq.q_jobs") == 2
    with pytest.raises(SchemaMissing):
        check_version(empty)


def test_can_be_installed_again_on_the_same_queues(empty: Database) -> None:
    migrate(empty)
    empty.execute(b"select postmill.create_queue('jobs')")
    uninstall(empty)
    migrate(empty)
    empty.execute(b"select postmill.create_queue('jobs')")
    assert column(empty, "select queue_name from postmill.queue_stats()") == ["jobs"]


def test_another_ones_pgmq_is_used_and_never_changed(empty: Database) -> None:
    empty.execute(pgmq.bundle().sql.encode())
    empty.execute(b"select pgmq.create('theirs')")
    before = rows(empty, PGMQ), rows(empty, RELATIONS)

    assert "pgmq" not in migrate(empty).steps
    empty.execute(b"select postmill.create_queue('theirs')")
    assert (rows(empty, PGMQ), rows(empty, RELATIONS)) == before

    uninstall(empty)
    assert (rows(empty, PGMQ), rows(empty, RELATIONS)) == before


def test_refuses_to_lose_dead_letters_unless_told_to(empty: Database) -> None:
    migrate(empty)
    bury(empty, "gone", 1)
    with pytest.raises(Refused, match="1 dead letters"):
        uninstall(empty)
    check_version(empty)
    assert uninstall(empty, force=True).changed


WAITING = {
    "1 calls that have not ended": "select postmill.call('http://127.0.0.1:1/')",
    "2 messages that wait for others or for a place": (
        "select postmill.limit_groups('jobs', max_running => 1);"
        "select postmill.send('jobs', '2', group_key => 'acme');"
        "select postmill.send('jobs', '3', after => array['jobs:1'])"
    ),
    "1 messages on their way to another database": (
        "insert into postmill.departures values ('jobs', 1, 'eu2', now(), now(), '1', null)"
    ),
    "1 runs that have not ended": (
        "select postmill.register_flow('shop', 'graph', 'jobs',"
        ' \'{"steps": [{"name": "a", "needs": []}]}\');'
        "select postmill.start_flow('shop')"
    ),
}


@pytest.mark.parametrize(("lost", "scene"), WAITING.items())
def test_refuses_to_lose_what_was_to_be_worked_on_yet(empty: Database, lost: str, scene: str) -> None:
    migrate(empty)
    empty.execute(b"select postmill.create_queue('jobs')")
    empty.execute(b"select postmill.send('jobs', '1')")
    empty.execute(scene.encode())
    with pytest.raises(Refused, match=lost):
        uninstall(empty)
    check_version(empty)
    assert uninstall(empty, force=True).changed


def test_where_nothing_is_installed_nothing_happens(empty: Database) -> None:
    assert uninstall(empty).steps == ()


def test_a_schema_edge_worker_of_somebody_else_stays(empty: Database) -> None:
    empty.execute(b"create schema edge_worker; create table edge_worker.mine (x int)")
    migrate(empty)
    uninstall(empty)
    assert value(empty, "select to_regclass('edge_worker.mine') is not null")


def test_the_owner_of_the_database_can(owner: Database) -> None:
    migrate(owner)
    assert uninstall(owner).changed

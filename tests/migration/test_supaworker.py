"""The facade supaworker, installed by a role that does not own Supaworker's tables."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import psycopg
import pytest

from postmill.db.tools.facades import named
from postmill.db.tools.migrate import remove_facades
from postmill.model.errors import MigrationFailed
from tests.sql.asking import Database, value
from tests.sql.supaworker import install, run_their_migration

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def of_another(empty: Database, owner: Database) -> Iterator[Database]:
    """A session of the facade's owner, who may read and delete jobs of another role's table."""
    run_their_migration(empty)
    role = value(owner, "select current_user")
    empty.execute(f"grant select, update, delete on public.supaworker_jobs to {role}".encode())
    install(owner)
    owner.execute(b"select postmill.create_queue('mail')")
    empty.execute(b"insert into public.supaworker_jobs (queue) values ('mail')")
    yield owner
    empty.execute(f"revoke all on public.supaworker_jobs from {role}".encode())


def test_jobs_that_row_level_security_hides_are_an_error(of_another: Database) -> None:
    """They would look like no jobs at all, and wait for ever."""
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
        value(of_another, "select supaworker.bridge('mail')")


def test_jobs_of_another_roles_table_are_moved(empty: Database, of_another: Database) -> None:
    """No trigger tells of them: that takes the table's owner."""
    empty.execute(b"alter table public.supaworker_jobs disable row level security")
    assert value(of_another, "select supaworker.bridge('mail')") == 1
    triggers = "select count(*) from pg_trigger where tgrelid = 'public.supaworker_jobs'::regclass"
    assert value(of_another, triggers) == 0
    remove_facades(of_another, [named("supaworker")])


@pytest.mark.parametrize("table", ["supaworker_jobs", "supaworker_logs"])
def test_a_strangers_table_is_refused(empty: Database, table: str) -> None:
    """Its triggers would run with the rights of the facade's owner."""
    stranger = f"stranger_{uuid4().hex[:12]}"
    run_their_migration(empty)
    empty.execute(f"create role {stranger}; alter table public.{table} owner to {stranger}".encode())
    try:
        with pytest.raises(MigrationFailed, match=f"public.{table} belongs to a role that is neither"):
            install(empty)
        assert value(empty, "select to_regnamespace('supaworker')") is None
    finally:
        empty.execute(f"drop owned by {stranger} cascade; drop role {stranger}".encode())


def test_a_strangers_table_with_our_mark_is_left_alone(empty: Database) -> None:
    """Neither its rows nor its mark stop the removal, and it stays."""
    stranger = f"stranger_{uuid4().hex[:12]}"
    install(empty)
    empty.execute(
        f"create role {stranger}; create table public.notes as select 1 as x; "
        "comment on table public.notes is 'Facade supaworker of Postmill: rows.'; "
        f"alter table public.notes owner to {stranger}".encode()
    )
    try:
        remove_facades(empty, [named("supaworker")])
        assert value(empty, "select to_regnamespace('supaworker')") is None
        assert value(empty, "select x from public.notes") == 1
    finally:
        empty.execute(f"drop owned by {stranger} cascade; drop role {stranger}".encode())

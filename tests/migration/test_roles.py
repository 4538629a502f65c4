"""`postmill migrate --roles` and `--remove-roles`: what they make, what they refuse, and what they leave."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from postmill.db.tools import migrate, roles
from postmill.db.tools.facades import named
from postmill.db.tools.role_grants import ALL_ROLES
from postmill.model.errors import Refused
from tests import servers
from tests.sql.asking import Database, column, rows, value

if TYPE_CHECKING:
    from collections.abc import Iterator

RIGHTS = """
    select kind, name, grantee::regrole::text as role, privilege_type as privilege from (
        select 'relation' as kind, oid::regclass::text as name, relacl as acl, relowner as owner from pg_class
        union all select 'routine', oid::regprocedure::text, proacl, proowner from pg_proc
        union all select 'schema', nspname, nspacl, nspowner from pg_namespace
        union all select 'column', attrelid::regclass || '.' || attname, attacl, 0 from pg_attribute
    ) as known cross join aclexplode(acl) as given
    where given.grantee::regrole::text like 'postmill\\_%' order by 1, 2, 3, 4
"""


@pytest.fixture
def own(server: servers.PrivateServer) -> Iterator[Database]:
    """A session of the superuser on a server of this test's own: roles belong to the whole server."""
    with servers.session(server.url) as session:
        yield session


@pytest.fixture
def plain(own: Database, server: servers.PrivateServer) -> Iterator[Database]:
    """A session of a login that owns a second database, may make roles, and is no superuser."""
    own.execute(b"create role plain login createrole")
    own.execute(b"create database shop owner plain")
    with servers.session(servers.named(server.url, "shop").replace("postgres@", "plain@")) as session:
        yield session


def test_the_roles_are_made_once_and_granted_again_without_a_change(own: Database) -> None:
    own.execute(b"select postmill.create_queue('mails')")
    assert roles.grant(own).steps == ("roles",)
    first = rows(own, RIGHTS)
    assert {right["role"] for right in first} == set(ALL_ROLES)
    assert column(own, "select distinct rolcanlogin from pg_roles where rolname like 'postmill%'") == [False]
    assert roles.grant(own).steps == ("roles",)
    assert rows(own, RIGHTS) == first


def test_a_right_that_is_no_longer_needed_goes(own: Database) -> None:
    roles.grant(own)
    own.execute(b"grant insert on postmill.secret_grants to postmill_producer")
    own.execute(b"grant select (message) on postmill.dead_letters to postmill_producer")
    roles.grant(own)
    granted = "has_table_privilege('postmill_producer', 'postmill.secret_grants', 'insert')"
    payload = "has_column_privilege('postmill_producer', 'postmill.dead_letters', 'message', 'select')"
    assert rows(own, f"select {granted} as a, {payload} as b") == [{"a": False, "b": False}]


def test_who_owns_the_database_and_may_make_roles_needs_no_superuser(plain: Database) -> None:
    assert roles.grant(plain).steps[-1] == "roles"
    plain.execute(b"select postmill.create_queue('mails')")
    assert value(plain, "select has_table_privilege('postmill_worker', 'pgmq.q_mails', 'delete')")
    assert len(roles.remove(plain).steps) == len(ALL_ROLES)
    assert column(plain, "select rolname from pg_roles where rolname like 'postmill%'") == []


def test_rights_on_a_facade_outlive_an_upgrade_and_go_with_the_roles(own: Database) -> None:
    roles.grant(own, wanted=[named("pgmq_public")])
    own.execute(
        b"grant usage on schema pgmq_public to postmill_producer; "
        b"grant execute on function pgmq_public.send to postmill_producer"
    )
    roles.grant(own)
    sends = "'pgmq_public.send(text, jsonb, integer)'"
    assert value(own, f"select has_function_privilege('postmill_producer', {sends}, 'execute')")
    assert "postmill_producer: the role and its rights in this database" in roles.remove(own).steps


def test_an_upgrade_grants_what_is_new(own: Database) -> None:
    """Without --roles too: a function that is new, or a table, must not be missing to those who run it."""
    roles.grant(own)
    own.execute(b"drop function postmill.claim_gated; drop view postmill.limits")
    own.execute(b"delete from postmill.components where name ~ 'claim_gated|limits'")
    assert migrate.migrate(own).changed
    assert value(own, "select has_table_privilege('postmill_reader', 'postmill.limits', 'select')")
    assert value(
        own,
        "select has_function_privilege('postmill_worker', oid, 'execute') from pg_proc "
        "where proname = 'claim_gated'",
    )
    assert rows(own, "select name from postmill.components where name = 'roles'")


def test_who_may_not_make_roles_is_told_what_to_run(own: Database, plain: Database) -> None:
    own.execute(b"alter role plain nocreaterole")
    with pytest.raises(Refused, match="may not make roles") as refused:
        roles.grant(plain)
    assert "create role postmill_producer;" in refused.value.hint
    assert value(plain, "select to_regnamespace('postmill')") is None, "nothing was changed"
    own.execute(
        refused.value.hint.removeprefix("As a superuser: ").removesuffix(" Then run it again.").encode()
    )
    roles.grant(plain)


@pytest.mark.parametrize("attributes", ["login", "nologin bypassrls"])
def test_a_name_that_is_taken_is_refused(own: Database, attributes: str) -> None:
    own.execute(f"create role postmill_worker {attributes}".encode())
    with pytest.raises(Refused, match="a role postmill_worker that Postmill has not made"):
        roles.grant(own)
    assert rows(own, RIGHTS) == []


def test_roles_that_another_database_needs_stay(own: Database, plain: Database) -> None:
    own.execute(b"select postmill.create_queue('mails')")
    roles.grant(own)
    own.execute(b"grant " + ", ".join(ALL_ROLES).encode() + b" to plain with admin option")
    roles.grant(plain)
    steps = roles.remove(own).steps
    assert all("the role stays, it is needed by" in step and "database shop" in step for step in steps)
    assert rows(own, RIGHTS) == []
    assert migrate.migrate(own).steps == (), "the next migration does not grant again"
    assert value(plain, "select has_schema_privilege('postmill_reader', 'postmill', 'usage')")
    assert {step.partition(": ")[2] for step in roles.remove(plain).steps} == {
        "the role and its rights in this database"
    }


def test_what_a_role_owns_is_not_dropped(own: Database) -> None:
    """A table that somebody made as the role, and filled."""
    roles.grant(own)
    own.execute(b"create table public.kept (x int); alter table public.kept owner to postmill_worker")
    (said,) = (step for step in roles.remove(own).steps if step.startswith("postmill_worker"))
    assert said.endswith("it is needed by: owner of table public.kept")
    assert value(own, "select count(*) from public.kept") == 0


def test_they_can_be_removed_after_the_schema(own: Database) -> None:
    own.execute(b"select postmill.create_queue('mails')")
    roles.grant(own)
    migrate.uninstall(own)
    roles.remove(own)
    assert column(own, "select rolname from pg_roles where rolname like 'postmill%'") == []


def test_a_database_that_does_not_use_them_grants_nothing_on_new_queues(
    own: Database, plain: Database
) -> None:
    roles.grant(own)
    migrate.migrate(plain)
    plain.execute(b"select postmill.create_queue('mails')")
    assert rows(plain, RIGHTS) == []


def test_who_may_not_give_the_caller_of_commands_away_has_none(own: Database, plain: Database) -> None:
    """With the schema's owner as its owner, a command could run as that owner. So there is none, and that is
    told in the run.
    """
    roles.grant(own)
    own.execute(b"alter role plain nocreaterole")
    roles.grant(plain)
    assert value(plain, "select to_regprocedure('postmill.call_command(text)')") is None
    plain.execute(b"grant usage, create on schema postmill_commands to plain")
    own.execute(b"create role runner login in role postmill_scheduler")
    plain.execute(b"select postmill.schedule_sql('job', '@daily', 'select 1')")
    why = value(plain, "select postmill._why_not_run('runner', schedule_id, run_as) from postmill.schedules")
    assert "no function postmill.call_command that belongs to postmill_nobody" in why
    own.execute(b"grant postmill_nobody to plain with admin option")
    roles.grant(plain)
    owner = "select proowner::regrole::text from pg_proc where proname = 'call_command'"
    assert value(plain, owner) == "postmill_nobody"
    assert not value(plain, "select has_schema_privilege('postmill_nobody', 'postmill', 'create')")

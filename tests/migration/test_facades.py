"""Facades: how they come, stay and go, and that a name of somebody else's is never touched."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from postmill import sql
from postmill.db.tools import facades
from postmill.db.tools.facades import FACADES, Facade, named
from postmill.db.tools.migrate import check_version, migrate, pending_sql, remove_facades, state, uninstall
from postmill.model.errors import InvalidOption, Refused
from tests.faults.restoring import restored_copy
from tests.servers import session
from tests.sql.asking import Database, column, rows, value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from postmill.embedded.binaries import Binaries

OPTIONAL = [facade for facade in FACADES if not facade.by_itself]
OBJECTS = """
select object.identity, coalesce(obj_description(known.objid, known.classid::regclass::text), '') as mark
from (select classid, objid from pg_depend
      where refclassid = 'pg_namespace'::regclass and deptype = 'n'
        and refobjid::regnamespace::text !~ '^(postmill|postmill_commands|pgmq|information_schema|pg_.*)$'
      union all select 'pg_namespace'::regclass, oid from pg_namespace
      where nspname !~ '^(postmill|postmill_commands|pgmq|information_schema|public|pg_.*)$') as known,
    pg_identify_object(known.classid, known.objid, 0) as object
order by 1
"""
"""What is in the database, with its comment, apart from Postmill's and the server's own schemas."""
OPEN = """
select oid::regnamespace::text from pg_namespace
where nspname = any ($1) and has_schema_privilege('public', oid, 'usage')
union all
select oid::regprocedure::text from pg_proc
where pronamespace::regnamespace::text = any ($1) and has_function_privilege('public', oid, 'execute')
union all
select oid::regclass::text from pg_class
where relnamespace::regnamespace::text = any ($1) and relkind in ('r', 'v')
    and has_table_privilege('public', oid, 'select, insert, update, delete')
"""
"""What every role may use in the schemas $1."""
MARK = re.compile(r"Facade [a-z_]+ of Postmill: .*\.")
each_optional = pytest.mark.parametrize("facade", OPTIONAL, ids=lambda facade: facade.name)


def states(db: Database) -> dict[str, str]:
    """What ``postmill migrate --status`` shows."""
    return {each["part"]: each["state"] for each in state(db)}


@pytest.mark.parametrize("facade", FACADES, ids=lambda facade: facade.name)
def test_the_order_names_every_file_of_the_folder(facade: Facade) -> None:
    folder = Path(sql.__file__).parent / "compat" / facade.name
    assert sorted(facade.order.split()) == sorted(path.stem for path in folder.glob("*.sql"))


def test_a_facade_that_is_asked_for_is_no_part_of_a_migration(empty: Database) -> None:
    migrate(empty)
    assert {states(empty)[f"facade {facade.name}"] for facade in OPTIONAL} == {"available"}
    for facade in OPTIONAL:
        assert value(empty, "select to_regnamespace($1)", facade.name) is None


@each_optional
def test_it_comes_when_asked_for_and_all_it_made_goes_with_it(empty: Database, facade: Facade) -> None:
    migrate(empty)
    before = column(empty, OBJECTS)

    assert migrate(empty, wanted=[facade]).steps == (f"facade {facade.name}",)
    assert states(empty)[f"facade {facade.name}"] == "installed"
    assert set(column(empty, OBJECTS)) > set(before)
    assert migrate(empty, wanted=[facade]).steps == ()
    assert migrate(empty).steps == ()

    assert remove_facades(empty, [facade]).steps == (f"removed facade {facade.name}",)
    assert column(empty, OBJECTS) == before
    assert remove_facades(empty, [facade]).steps == ()
    assert migrate(empty).steps == ()
    assert states(empty)[f"facade {facade.name}"] == "available"


@each_optional
def test_it_goes_whatever_plan_finds_its_parts(empty: Database, facade: Facade) -> None:
    """Without a sort a round read on while it dropped: what had gone with another object had no name."""
    migrate(empty, wanted=[facade])
    empty.execute(b"set enable_sort = off")
    empty.execute(b"set enable_seqscan = off")
    assert remove_facades(empty, [facade]).steps == (f"removed facade {facade.name}",)


def test_everything_that_a_facade_makes_has_its_mark(empty: Database) -> None:
    """What has none would stay when the facade goes."""
    migrate(empty, wanted=OPTIONAL)
    made = rows(empty, OBJECTS)
    assert {each["identity"] for each in made} > {facade.name for facade in FACADES}
    assert [each for each in made if not MARK.fullmatch(each["mark"])] == []


def test_all_come_with_a_first_migration_and_go_with_postmill(empty: Database) -> None:
    before = column(empty, OBJECTS)
    migrate(empty, wanted=OPTIONAL)
    check_version(empty)
    uninstall(empty)
    assert column(empty, OBJECTS) == before


def test_the_printed_sql_brings_it_too(empty: Database) -> None:
    migrate(empty)
    empty.execute(pending_sql(empty, wanted=OPTIONAL).encode())
    assert {states(empty)[f"facade {facade.name}"] for facade in OPTIONAL} == {"installed"}


@each_optional
def test_five_at_once_install_it_once(
    empty: Database, connect: Callable[[], Database], facade: Facade
) -> None:
    migrate(empty)
    sessions = [connect() for _ in range(5)]
    with ThreadPoolExecutor(5) as pool:
        reports = list(pool.map(lambda session: migrate(session, wanted=[facade]), sessions))
    assert [step for report in reports for step in report.steps] == [f"facade {facade.name}"]


@each_optional
def test_its_owner_needs_no_more_rights(owner: Database, facade: Facade) -> None:
    migrate(owner, wanted=[facade])
    remove_facades(owner, [facade])


def test_a_name_that_is_taken_is_refused_in_words_and_nothing_is_changed(empty: Database) -> None:
    empty.execute(b"create schema pgmq_public; create table pgmq_public.mine (x int)")
    with pytest.raises(Refused) as refusal:
        migrate(empty, wanted=[named("pgmq_public")])
    assert str(refusal.value).startswith(
        "The facade pgmq_public can't be installed here; nothing was changed. "
        f"The schema pgmq_public is there already, made by somebody else; its owner is {empty.info.user}."
    )
    assert "Use what is there, if it is Supabase Queues itself" in refusal.value.hint
    assert value(empty, "select to_regnamespace('postmill')") is None
    assert states(empty)["facade pgmq_public"] == "taken"


def test_where_vault_is_nothing_is_installed(empty: Database) -> None:
    """A schema stands in for the real one."""
    empty.execute(
        b"create schema vault; create table vault.secrets (name text, secret text);"
        b"create view vault.decrypted_secrets as select name, secret as decrypted_secret from vault.secrets"
    )
    before = rows(empty, OBJECTS)
    with pytest.raises(Refused, match="Use what is there, if it is Supabase Vault itself"):
        migrate(empty, wanted=[named("vault")])
    assert rows(empty, OBJECTS) == before


def test_an_optional_facade_opens_nothing_to_everybody(empty: Database) -> None:
    migrate(empty, wanted=OPTIONAL)
    assert column(empty, OPEN, [facade.name for facade in OPTIONAL]) == []


@pytest.mark.parametrize(
    ("place", "taken"),
    [
        ("function public.f(text, integer)", "create function public.f(text, int) returns int return 1"),
        ("table public.t", "create table public.t (x int)"),
        ("view public.v", "create view public.v as select 1"),
    ],
)
def test_a_name_beside_its_schema_can_be_taken_too(
    empty: Database, monkeypatch: pytest.MonkeyPatch, place: str, taken: str
) -> None:
    facade = replace(named("pgmq_public"), places=("schema pgmq_public", place))
    monkeypatch.setattr(facades, "PLACES", list(facade.places))
    empty.execute(taken.encode())
    with pytest.raises(Refused, match=r"The \w+ public\.\w.* is there already, made by somebody else"):
        migrate(empty, wanted=[facade])
    assert value(empty, "select to_regnamespace('pgmq_public')") is None


def test_one_that_an_extension_has_made_is_named(empty: Database) -> None:
    empty.execute(b"create schema pgmq_public")
    empty.execute(b"alter extension plpgsql add schema pgmq_public")
    with pytest.raises(Refused, match="made by the extension plpgsql"):
        migrate(empty, wanted=[named("pgmq_public")])


@pytest.fixture
def stranger(empty: Database, connect: Callable[[], Database]) -> Iterator[Database]:
    """A session of a role that may make schemas in the database, and has no other right."""
    name = f"stranger_{uuid4().hex[:12]}"
    empty.execute(f"create role {name}; grant create on database {empty.info.dbname} to {name}".encode())
    session = connect()
    session.execute(f"set session authorization {name}".encode())
    yield session
    session.close()
    empty.execute(f"drop owned by {name} cascade; drop role {name}".encode())


@pytest.mark.parametrize("name", ["cron", "vault"])
def test_a_schema_with_our_mark_that_a_stranger_has_made_is_not_ours(
    empty: Database, stranger: Database, name: str
) -> None:
    """Its owner could replace what we put there, and what an administrator calls then is the stranger's."""
    stranger.execute(
        f"create schema {name}; comment on schema {name} is 'Facade {name} of Postmill: x'".encode()
    )
    optional = [facade for facade in OPTIONAL if facade.name == name]
    if optional:
        with pytest.raises(Refused, match="its owner is stranger_"):
            migrate(empty, wanted=optional)
    migrate(empty)
    assert states(empty)[f"facade {name}"] == "taken"
    assert value(empty, "select count(*) from pg_proc where pronamespace::regnamespace::text = $1", name) == 0


def test_what_a_stranger_has_marked_stays_and_stops_no_removal(empty: Database, stranger: Database) -> None:
    migrate(empty, wanted=OPTIONAL)
    stranger.execute(
        b"create schema mine; create table mine.t (x int); create view mine.v as select * from mine.t"
    )
    stranger.execute(b"comment on table mine.t is 'Facade vault of Postmill: x'")
    remove_facades(empty, [named("vault")])
    uninstall(empty)
    assert rows(empty, "select * from mine.v") == []


def test_the_schema_of_its_owner_is_upgraded_by_a_superuser_and_the_other_way_round(
    owner: Database, empty: Database
) -> None:
    facade = named("pgmq_public")
    migrate(owner)
    migrate(empty, wanted=[facade])
    assert states(owner)["facade pgmq_public"] == states(empty)["facade pgmq_public"] == "installed"
    remove_facades(empty, [facade])
    migrate(owner, wanted=[facade])
    assert states(empty)["facade pgmq_public"] == "installed"
    remove_facades(empty, [facade])
    assert value(empty, "select to_regnamespace('pgmq_public')") is None


def test_a_name_that_was_taken_later_is_left_to_its_new_owner(empty: Database) -> None:
    """Ours was dropped and theirs came; no migration and no removal touches that."""
    facade = named("pgmq_public")
    migrate(empty, wanted=[facade])
    empty.execute(b"drop schema pgmq_public cascade; create schema pgmq_public")
    empty.execute(b"create function pgmq_public.pop() returns int return 1")
    assert migrate(empty).steps == ()
    assert states(empty)["facade pgmq_public"] == "taken"
    remove_facades(empty, [facade])
    assert value(empty, "select pgmq_public.pop()") == 1


def test_our_earlier_version_is_replaced_and_keeps_its_grants(empty: Database) -> None:
    migrate(empty, wanted=[named("pgmq_public")])
    empty.execute(
        b"create or replace function pgmq_public.pop(queue_name text) returns setof pgmq.message_record "
        b"language sql as 'select null::pgmq.message_record where false'; "
        b"grant execute on function pgmq_public.pop to pg_monitor"
    )
    empty.execute(b"update postmill.components set sha256 = 'older' where name = 'compat/pgmq_public'")
    assert states(empty)["facade pgmq_public"] == "outdated"

    assert migrate(empty).steps == ("functions and views",)

    empty.execute(b"select pgmq.create('q'); select pgmq.send('q', '1')")
    assert column(empty, "select msg_id from pgmq_public.pop('q')") == [1]
    assert value(empty, "select has_function_privilege('pg_monitor', 'pgmq_public.pop(text)', 'execute')")


def test_one_that_somebody_has_dropped_comes_back(empty: Database) -> None:
    migrate(empty, wanted=[named("pgmq_public")])
    empty.execute(b"drop schema pgmq_public cascade")
    assert states(empty)["facade pgmq_public"] == "missing"
    assert migrate(empty).steps == ("functions and views",)
    assert value(empty, "select to_regprocedure('pgmq_public.pop(text)') is not null")


@pytest.mark.parametrize("built", ["view public.mine", "function pgmq_public.mine()"])
@pytest.mark.parametrize("removal", [lambda db: remove_facades(db, [named("pgmq_public")]), uninstall])
def test_what_is_built_on_a_facade_stops_its_removal(
    empty: Database, built: str, removal: Callable[[Database], object]
) -> None:
    migrate(empty, wanted=[named("pgmq_public")])
    body = "returns int return 1" if built.startswith("function") else "as select pgmq_public.pop('q')"
    empty.execute(f"create {built} {body}".encode())
    before = column(empty, OBJECTS)

    with pytest.raises(Refused, match="pgmq_public is in use; nothing was changed") as refusal:
        removal(empty)
    assert built in str(refusal.value)
    assert column(empty, OBJECTS) == before
    assert states(empty)["facade pgmq_public"] == "installed"

    empty.execute(f"drop {built}".encode())
    removal(empty)
    assert value(empty, "select to_regnamespace('pgmq_public')") is None


def test_after_a_restore_a_facade_is_still_ours(
    empty: Database, empty_url: str, postgres_binaries: Binaries
) -> None:
    """A dump has the comments, by which it is known; ids of objects change."""
    migrate(empty, wanted=OPTIONAL)
    before = rows(empty, OBJECTS)
    with restored_copy(empty_url, postgres_binaries) as url, session(url) as restored:
        assert rows(restored, OBJECTS) == before
        assert migrate(restored, wanted=OPTIONAL).steps == ()
        remove_facades(restored, OPTIONAL)
        assert {states(restored)[f"facade {facade.name}"] for facade in OPTIONAL} == {"available"}


def test_a_comment_like_a_mark_of_another_facade_is_not_taken_for_it(empty: Database) -> None:
    migrate(empty, wanted=[named("pgmq_public")])
    empty.execute(b"create table public.notes (x int); comment on table notes is 'Facade of a house'")
    empty.execute(b"comment on column notes.x is 'Facade pgmq_public of Postmill: a column'")
    remove_facades(empty, [named("pgmq_public")])
    assert rows(empty, "select * from public.notes") == []


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("pgmq_pubic", "There is no facade 'pgmq_pubic'. .*Did you mean pgmq_public"),
        ("cron", "The facade cron is no matter of choice"),
    ],
)
def test_a_name_that_is_none_is_refused(name: str, says: str) -> None:
    with pytest.raises(InvalidOption, match=says):
        named(name)

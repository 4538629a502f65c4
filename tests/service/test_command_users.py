"""As whom a scheduled command runs: as its user, whatever its text tries; and which processes run it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import asyncpg
import psycopg
import pytest
import pytest_asyncio

from postmill.model.config.address import Address
from postmill.scheduler import command_session
from postmill.scheduler.command_session import CommandSession
from postmill.sql.catalog import statement
from tests.faults.restoring import restored_copy
from tests.service.commands import RUNS_COMMANDS, USES_CRON, Users, ended, firing, prepare_scheduler, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from postmill.embedded.binaries import Binaries

EACH_SECOND = "1 second"
SETUP = """
    create table public.seen (what text, who text, outer_who text);
    grant select, insert on public.seen to public;
    create table public.secret (text text);
    insert into public.secret values ('of the scheduler');
"""
A_MINUTE_AGO = "update postmill.schedule_runs set fired_at = fired_at - interval '1 minute'"
NOTE = "insert into public.seen values ('{}', current_user, session_user)"


class Scene:
    """Alice schedules, Bob is another user, and a process runs commands as a login that has nothing else."""

    def __init__(self, adb: asyncpg.Connection, users: Users, alice: str, bob: str, runner: str) -> None:
        self.adb, self.users, self.alice, self.bob, self.runner = adb, users, alice, bob, runner

    async def ran(self, command: str, name: str = "job") -> asyncpg.Record:
        """Alice's command is run; how it ended."""
        alice = await self.users.connect(self.alice)
        await alice.execute("select cron.schedule($1, $2, $3)", name, EACH_SECOND, command)
        return await self.ended(name)

    async def ended(self, name: str = "job") -> asyncpg.Record:
        """Fire the schedule once, by the database's owner, and run its command by the process. What no
        process may run is given up at once.
        """
        await self.adb.execute("select postmill.run_schedule($1)", name)
        await self.adb.execute(A_MINUTE_AGO)
        async with firing(self.users.url(self.runner)):
            return await ended(self.adb, name)

    async def function(self, job: int) -> str:
        """The function of Alice's job."""
        found = await self.adb.fetchval(
            "select postmill._command_function($1, $2)::regprocedure::text", job, self.alice
        )
        return str(found)

    async def seen(self) -> list[tuple[str, str]]:
        return [
            (row["what"], row["who"]) for row in await self.adb.fetch("select what, who from public.seen")
        ]


@pytest_asyncio.fixture
async def scene(database_url: str, adb: asyncpg.Connection) -> AsyncIterator[Scene]:
    await prepare_scheduler(adb)
    await adb.execute(SETUP)
    suffix = str(await adb.fetchval("select oid from pg_database where datname = current_database()"))
    users = Users(adb, database_url, suffix)
    try:
        alice = await users.login("alice", *USES_CRON, "grant create, usage on schema public to {}")
        bob = await users.login("bob", *USES_CRON)
        runner = await users.login("runner", *RUNS_COMMANDS)
        yield Scene(adb, users, alice, bob, runner)
    finally:
        await users.close()


async def test_a_command_runs_as_the_user_who_scheduled_it(scene: Scene) -> None:
    run = await scene.ran(NOTE.format("ran"))
    assert (run["status"], run["returned"]) == ("succeeded", "1 row")
    assert await scene.seen() == [("ran", scene.alice)]


async def test_its_search_path_is_the_one_that_the_user_has(scene: Scene) -> None:
    await scene.adb.execute(f"""
        create schema app authorization {scene.alice};
        alter role {scene.alice} set search_path = app, public;
        alter role {scene.runner} set search_path = nowhere;
    """)
    run = await scene.ran("create table here (x int)")
    assert (run["status"], run["reason"]) == ("succeeded", None)
    assert await scene.adb.fetchval("select to_regclass('app.here') is not null")


ESCAPES = {
    "reset role": "reset role",
    "set role": "set role {runner}",
    "set role none": "set role none",
    "session authorization": "set session authorization {runner}",
    "reset session authorization": "reset session authorization",
    "set_config role": "select set_config('role', '{runner}', false)",
    "set_config session_authorization": "select set_config('session_authorization', '{runner}', false)",
    "commit": "commit",
    "vacuum": "vacuum",
    "a secret": "select text from public.secret",
    "others' jobs": "select * from postmill.schedules",
    "the bookkeeping": "select * from postmill.claim_command()",
    "quote": "select ''; end; reset role; begin --",
    "dollar quote": "select 1 $$; reset role; $$",
    "named dollar quote": "$trampoline$; reset role; select 1 $trampoline$",
    "backslash": "select E'\\\\'; reset role; --'",
    "end of the body": "'; end $$ language plpgsql; reset role; do $$ begin null",
}


@pytest.mark.parametrize("escape", ESCAPES.values(), ids=ESCAPES)
async def test_its_text_can_not_become_anybody_else(scene: Scene, escape: str) -> None:
    """Each ends as an error, and what follows in the text is not done by another user."""
    command = escape.format(runner=scene.runner)
    run = await scene.ran(f"{NOTE.format('before')}; {command}; {NOTE.format('after')}")
    assert run["status"] == "failed", run
    assert await scene.seen() == []


async def test_a_function_of_its_own_is_no_way_out(scene: Scene) -> None:
    run = await scene.ran(
        "create function public.out() returns void language plpgsql as "
        f"'begin execute ''reset role''; {NOTE.format('x').replace(chr(39), chr(39) * 2)}; end';"
        "select public.out()"
    )
    assert "security-definer function" in run["reason"]
    assert await scene.seen() == []


TEMPORARY = """
    create temp table seen (what text, who text, outer_who text);
    create function pg_temp.current_user_is() returns text language sql as 'select ''spoofed''';
    select set_config('search_path', 'pg_temp, public', false), set_config('postmill.left', 'behind', false),
        pg_advisory_lock(4711)
"""


async def test_nothing_of_one_command_reaches_the_next(database_url: str, scene: Scene) -> None:
    """Temporary tables, settings and locks of Alice's: Bob's command runs in the same session afterwards."""
    bob = await scene.users.connect(scene.bob)
    alice = await scene.users.connect(scene.alice)
    await alice.execute("select cron.schedule('a', '@yearly', $1)", TEMPORARY)
    await bob.execute(
        "select cron.schedule('b', '@yearly', $1)",
        "insert into seen select coalesce(current_setting('postmill.left', true), '') || "
        "coalesce(to_regclass('pg_temp.seen')::text, '') || (select count(*) from pg_locks "
        "where locktype = 'advisory' and objid = 4711), current_user, pg_backend_pid()::text",
    )
    session = await CommandSession.open(Address(scene.users.url(scene.runner)))
    for name in ("a", "b"):
        await scene.adb.execute("select postmill.run_schedule($1)", name)
        run = await session.claim()
        assert run is not None
        assert (await session.run(run)).reason is None
        await session.reset()
    await session.close()
    assert await scene.seen() == [("0", scene.bob)]


LATER = """
    create table public.later (x int);
    create function public.at_commit() returns trigger language plpgsql as $f$ begin
        set constraints all deferred;
        {0};
        if tg_argv[0] = '1' then insert into public.later_too values (1); end if;
        return null;
    end $f$;
    create table public.later_too (x int);
    create constraint trigger t after insert on public.later deferrable initially deferred
        for each row execute function public.at_commit(1);
    create constraint trigger t after insert on public.later_too deferrable initially deferred
        for each row execute function public.at_commit(2);
    insert into public.later values (1)
"""


async def test_what_is_deferred_does_not_run_as_the_scheduler(scene: Scene) -> None:
    """Before PostgreSQL 18 a deferred trigger runs as whoever commits, which is the scheduler. The function
    checks deferred constraints itself, and so does its caller, as a role without rights; one that defers
    another one still again can write nothing.
    """
    run = await scene.ran(LATER.format(NOTE.format("deferred")))
    assert {who for _, who in await scene.seen()} <= {scene.alice, "postmill_nobody"}, run


CLOSED = {"command_close": "select"}
HELD = """
    create function public.on_hold() returns int language plpgsql as $f$ begin
        {}; return 1;
    end $f$;
    declare held cursor with hold for select public.on_hold()
"""


async def test_a_cursor_that_is_held_does_not_run_as_the_scheduler(scene: Scene) -> None:
    """Its query would run at the commit, as the scheduler."""
    await scene.ran(HELD.format(NOTE.format("held")))
    assert await scene.seen() == []


async def test_without_the_close_it_would(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: the way out is there, and closing cursors before the commit is what shuts it."""
    monkeypatch.setattr(command_session, "statement", lambda name: CLOSED.get(name) or statement(name))
    await scene.ran(HELD.format(NOTE.format("held")))
    assert await scene.seen() == [("held", scene.runner)]


DEFERRED_CURSOR = """
    create table public.later (x int);
    create function public.on_hold() returns int language plpgsql as $f$ begin
        {}; return 1;
    end $f$;
    create function public.at_commit() returns trigger language plpgsql as $f$ begin
        if new.x = 1 then
            set constraints all deferred;
            insert into public.later values (2);
        else
            execute 'declare held cursor with hold for select public.on_hold()';
        end if;
        return null;
    end $f$;
    create constraint trigger t after insert on public.later deferrable initially deferred
        for each row execute function public.at_commit();
    insert into public.later values (1)
"""


async def test_a_deferred_trigger_that_holds_a_cursor_writes_nothing_as_the_scheduler(scene: Scene) -> None:
    await scene.ran(DEFERRED_CURSOR.format(NOTE.format("both")))
    assert {who for _, who in await scene.seen()} <= {scene.alice, "postmill_nobody"}


async def test_no_role_calls_anothers_command(scene: Scene) -> None:
    alice = await scene.users.connect(scene.alice)
    job = await alice.fetchval("select cron.schedule('job', '@yearly', $1)", NOTE.format("called"))
    bob, runner = await scene.users.connect(scene.bob), await scene.users.connect(scene.runner)
    function = await scene.function(job)
    name = function.removeprefix("postmill_commands.").removesuffix("()")
    for caller in (bob, runner):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
            await caller.execute(f"select {function}")
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="only a run of its schedule"):
        await runner.execute("select postmill.call_command($1)", name)
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
        await bob.execute("select postmill.call_command($1)", name)


FOR_POSTGRES = """
    insert into postmill.schedules
           (name, recurrence, timezone, target, run_as, overlap, catch_up, jitter)
    values ('y', '@yearly', 'UTC', '{"command": "select 1"}', 'postgres', 'skip', 'none', '0')
"""


async def test_a_function_of_another_user_is_not_taken_for_the_guard(scene: Scene) -> None:
    """Each command looks there first, as its user. Bob may make functions in that schema too, and once such a
    function was the guard: one of his with another type was called, as Alice."""
    bob = await scene.users.connect(scene.bob)
    body = NOTE.format("of bob").replace("'", "''")
    for arguments in ("integer", "numeric", "text", "bigint, integer default 1", "variadic bigint[]"):
        await bob.execute(
            f"create function postmill_commands.running_here({arguments}) returns boolean language plpgsql"
            f" as 'begin {body}; return true; end'"
        )
    run = await scene.ran(NOTE.format("of alice"))
    assert (run["status"], run["reason"]) == ("succeeded", None)
    assert await scene.seen() == [("of alice", scene.alice)]


async def test_no_role_gives_a_command_to_another(scene: Scene) -> None:
    """Neither by the view, nor with rights on the table, nor by making a job into a schedule of messages."""
    bob = await scene.users.connect(scene.bob)
    await bob.execute("select cron.schedule('job', '@yearly', 'select 1')")
    await scene.adb.execute(
        f"grant usage on schema postmill to {scene.bob};"
        f"grant select, insert, update, delete on all tables in schema postmill to {scene.bob}"
    )
    of_postgres = "run_as = 'postgres', job_name = 'x'"
    for attempt in (
        f"update postmill.schedules set {of_postgres}",
        f"update postmill.schedules set run_as = '{scene.alice}'",
        FOR_POSTGRES,
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await bob.execute(attempt)
    message = 'run_as = null, target = \'{"queue": "x", "message": 1}\''
    for attempt in (of_postgres, message):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await bob.execute(f"update cron.own_job set {attempt}")
        await scene.adb.execute(f"grant update on cron.own_job to {scene.bob}")
        with pytest.raises(asyncpg.WithCheckOptionViolationError):
            await bob.execute(f"update cron.own_job set {attempt}")
        await scene.adb.execute(f"revoke update on cron.own_job from {scene.bob}")


async def test_a_user_changes_no_job_of_another(scene: Scene) -> None:
    alice, bob = await scene.users.connect(scene.alice), await scene.users.connect(scene.bob)
    job = await alice.fetchval("select cron.schedule('job', '@yearly', 'select 1')")
    await scene.adb.execute("select postmill.run_schedule('job')")
    for attempt in (
        f"cron.unschedule({job})",
        "cron.unschedule('job')",
        f"cron.alter_job({job}, active => false)",
    ):
        with pytest.raises(asyncpg.UndefinedObjectError, match="there is no job"):
            await bob.execute(f"select {attempt}")
    assert await bob.fetch("select * from cron.job") == []
    assert await bob.fetch("select * from cron.job_run_details") == []
    for attempt in (
        "delete from cron.job_run_details",
        f"insert into cron.removed_job values ({job}, 'postgres')",
        f"insert into cron.removed_job (schedule_id, removed_by) values ({job}, '{scene.alice}')",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await bob.execute(attempt)
    await scene.adb.execute(f"grant delete on cron.job_run_details to {scene.bob}")
    assert await bob.execute("delete from cron.job_run_details") == "DELETE 0"
    assert await bob.fetchval("select cron.schedule('job', '@yearly', 'select 2')") != job
    assert await alice.fetchval("select command from cron.job") == "select 1"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("alter function {} owner to {bob}", "is gone"),
        ("alter function {} security invoker", "is not as it was made"),
        ("drop function {}", "is gone"),
        ("revoke all on function {} from postmill_nobody", "grant execute on function"),
    ],
)
async def test_a_function_that_is_not_as_it_was_made_is_not_called(
    scene: Scene, change: str, reason: str
) -> None:
    """With another owner, or without SECURITY DEFINER, the text would run as somebody else."""
    alice = await scene.users.connect(scene.alice)
    job = await alice.fetchval("select cron.schedule('job', '@yearly', $1)", NOTE.format("called"))
    await scene.adb.execute(change.format(await scene.function(job), bob=scene.bob))
    run = await scene.ended()
    assert run["status"] == "failed"
    assert reason in run["reason"]
    assert await scene.seen() == []


async def test_a_flag_that_changes_between_the_claim_and_the_call_is_seen(scene: Scene) -> None:
    alice, runner = await scene.users.connect(scene.alice), await scene.users.connect(scene.runner)
    job = await alice.fetchval("select cron.schedule('job', '@yearly', $1)", NOTE.format("called"))
    await scene.adb.execute("select postmill.run_schedule('job')")
    run = await runner.fetchval("select run_id from postmill.claim_command()")
    await alice.execute(f"alter function {await scene.function(job)} security invoker")
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="is not as it was made"):
        await runner.execute("select postmill.check_command($1)", run)


INVOKER = {
    "as it is": "{note}",
    "reset role": "execute 'reset role'; {note}",
    "set role": "execute 'set role {runner}'; {note}",
    "set_config": "perform set_config('role', '{runner}', false); {note}",
    "session authorization": "execute 'reset session authorization'; {note}",
    "at the commit": "create temp table t (x int); "
    "create function pg_temp.f() returns trigger language plpgsql as $t$ begin {note}; return null; end $t$; "
    "create constraint trigger c after insert on t deferrable initially deferred for each row "
    "execute function pg_temp.f(); insert into t values (1)",
    "held": "create function pg_temp.g() returns int language plpgsql as "
    "$t$ begin {note}; return 1; end $t$; execute 'declare held cursor with hold for select pg_temp.g()'",
}


class ChangedInBetween:
    """Alice makes the function of her command SECURITY INVOKER between the look at it and the call."""

    def __init__(self, scene: Scene, monkeypatch: pytest.MonkeyPatch, replaced: dict[str, str]) -> None:
        self._scene, self._replaced = scene, replaced
        self._change = ""
        monkeypatch.setattr(command_session, "statement", self._statement)

    async def run(self, body: str) -> None:
        """Schedule a command, and run it once, changed."""
        alice = await self._scene.users.connect(self._scene.alice)
        job = await alice.fetchval("select cron.schedule('job', '@yearly', 'select 1')")
        function = await self._scene.function(job)
        self._name = function.removeprefix("postmill_commands.").removesuffix("()")
        self._change = (
            f"create or replace function {function} returns bigint language plpgsql security invoker "
            f"as $attack$ begin {body}; return 1; end $attack$; "
            f"grant execute on function {function} to public"
        )
        await self._scene.adb.execute("select postmill.run_schedule('job')")
        session = await CommandSession.open(Address(self._scene.users.url(self._scene.runner)))
        run = await session.claim()
        assert run is not None
        await session.run(run)
        await session.close()

    def _statement(self, name: str) -> str:
        if name == "command_call":
            with psycopg.connect(self._scene.users.url(self._scene.alice), autocommit=True) as alice:
                alice.execute(self._change.encode())
        return self._replaced.get(name, "").format(self._name) or statement(name)


@pytest.mark.parametrize("body", INVOKER.values(), ids=INVOKER)
async def test_a_function_that_is_changed_after_the_look_runs_with_no_right(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    """It ran as the login of the process, for whoever changed it in the right moment."""
    note = NOTE.format("changed")
    await ChangedInBetween(scene, monkeypatch, {}).run(body.format(note=note, runner=scene.runner))
    assert {who for _, who in await scene.seen()} <= {"postmill_nobody"}
    if body == INVOKER["as it is"]:
        assert await scene.seen() == [("changed", "postmill_nobody")], "it was called"


async def test_called_directly_it_would_run_as_the_scheduler(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: the moment is there, and only the role without rights shuts the way."""
    attack = ChangedInBetween(
        scene, monkeypatch, {"command_call": "select postmill_commands.{}() where $1::text > ''"}
    )
    await attack.run(NOTE.format("changed"))
    assert await scene.seen() == [("changed", scene.runner)]


async def test_a_user_takes_no_name_in_advance(scene: Scene) -> None:
    """Names were known, and Alice's command could not be scheduled where Bob had taken its name."""
    bob, alice = await scene.users.connect(scene.bob), await scene.users.connect(scene.alice)
    first = await alice.fetchval("select cron.schedule('first', '@yearly', 'select 1')")
    taken = (await scene.function(first)).partition("_commands.job_")[2].partition("_")[2].removesuffix("()")
    for number in range(first + 1, first + 20):
        for name in (f"job_{number}", f"job_{number}_{taken}"):
            await bob.execute(
                f"create function postmill_commands.{name}() returns bigint language sql as 'select 1'"
            )
    await alice.execute("select cron.schedule($1, $2, $3)", "job", EACH_SECOND, NOTE.format("ran"))
    run = await scene.ended()
    assert (run["status"], await scene.seen()) == ("succeeded", [("ran", scene.alice)])
    await alice.execute("select cron.unschedule('job'), cron.unschedule('first')")
    left = "select count(*) from pg_proc where proname like 'job\\_%' and proowner <> $1::text::regrole"
    assert await scene.adb.fetchval(left, scene.bob) == 0


async def test_a_user_who_may_make_no_function_is_told_the_grant(scene: Scene) -> None:
    carol = await scene.users.login("carol", "grant usage on schema cron to {}")
    session = await scene.users.connect(carol)
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="may not schedule commands") as refused:
        await session.execute("select cron.schedule('job', '@yearly', 'select 1')")
    assert refused.value.hint == (
        "As the owner of schema postmill_commands: "
        f"grant usage, create on schema postmill_commands to {carol}"
    )


async def test_a_superusers_command_is_run_by_no_other_process(scene: Scene) -> None:
    await scene.adb.execute("select cron.schedule('job', '@yearly', $1)", NOTE.format("root"))
    run = await scene.ended()
    assert run["status"] == "failed"
    assert "only a process that is logged in as postgres" in run["reason"]


async def test_a_superuser_runs_no_command_of_another(database_url: str, scene: Scene) -> None:
    """What a command leaves to the commit would be the superuser's."""
    alice = await scene.users.connect(scene.alice)
    await alice.execute("select cron.schedule('job', '@yearly', $1)", NOTE.format("x"))
    await scene.adb.execute("select postmill.run_schedule('job')")
    await scene.adb.execute(A_MINUTE_AGO)
    async with firing(database_url):
        run = await ended(scene.adb)
    assert "a superuser (postgres) runs no command of another user" in run["reason"]


async def test_a_run_waits_for_a_process_that_may(database_url: str, scene: Scene) -> None:
    """One that may not leaves it to one that may, and writes nothing down."""
    alice = await scene.users.connect(scene.alice)
    await alice.execute("select cron.schedule('job', '@yearly', $1)", NOTE.format("x"))
    async with firing(database_url), firing(scene.users.url(scene.runner)):
        await until(scene.adb, "select count(*) = 2 from postmill._locked_by(postmill._runners_lock())")
        await scene.adb.execute("select postmill.run_schedule('job')")
        assert (await ended(scene.adb))["status"] == "succeeded"


async def test_removing_a_job_takes_its_function_along(scene: Scene) -> None:
    alice = await scene.users.connect(scene.alice)
    await alice.execute("select cron.schedule('job', '@yearly', 'select 1')")
    await alice.execute("select cron.unschedule('job')")
    assert await scene.adb.fetchval("select count(*) from pg_proc where proname like 'job\\_%'") == 0


async def test_commands_come_through_a_dump_and_a_restore(
    database_url: str, scene: Scene, postgres_binaries: Binaries
) -> None:
    """The functions keep their users, and the jobs their functions."""
    alice = await scene.users.connect(scene.alice)
    await alice.execute("select cron.schedule('job', '@yearly', $1)", NOTE.format("restored"))
    await scene.adb.execute("select postmill.schedule_sql('own', '@yearly', 'select 1')")
    with restored_copy(database_url, postgres_binaries) as copy:
        adb = await asyncpg.connect(copy)
        await adb.execute("select postmill.run_schedule('job'), postmill.run_schedule('own')")
        async with firing(copy), firing(copy.replace("postgres@", f"{scene.runner}@")):
            assert (await ended(adb))["reason"] is None
            assert (await ended(adb, "own"))["returned"] == "SELECT 1"
        assert await adb.fetchval("select who from public.seen") == scene.alice
        await adb.close()


RELATIONS = """
    select class.oid::regclass::text from pg_class as class
    where class.relkind in ('r', 'p', 'v')
      and class.relnamespace::regnamespace::text in ('cron', 'postmill', 'postmill_commands')
"""
MODES = (
    "row share",
    "row exclusive",
    "share update exclusive",
    "share",
    "share row exclusive",
    "exclusive",
    "access exclusive",
)


async def test_a_user_locks_nothing_that_others_need(scene: Scene) -> None:
    """Bob could lock the view of jobs, which locks the table of all schedules and, where a superuser had
    migrated, the catalogue of schemas: then nobody could schedule, fire, or plan a query.
    """
    bob = await scene.users.connect(scene.bob)
    await bob.execute("select cron.schedule('job', '@yearly', 'select 1')")
    locked = []
    for (relation,) in await scene.adb.fetch(RELATIONS):
        for mode in MODES:
            try:
                async with bob.transaction():
                    await bob.execute(f"lock table {relation} in {mode} mode nowait")
            except asyncpg.InsufficientPrivilegeError:
                continue
            locked.append((relation, mode))
    assert locked == []


async def test_a_user_holds_no_names_back(scene: Scene) -> None:
    """Bob's open transaction had Alice's command wait, or fail, where it had taken the names for it."""
    bob, alice = await scene.users.connect(scene.bob), await scene.users.connect(scene.alice)
    transaction = bob.transaction()
    await transaction.start()
    for name in ("job", f"job ({scene.alice})"):
        await bob.execute("select cron.schedule($1, '@yearly', 'select 1')", name)
    await bob.execute(
        "select cron.schedule(format('cron job %s', n), '@yearly', 'x') from generate_series(1, 20) as n"
    )
    async with asyncio.timeout(20):
        await alice.execute("select cron.schedule('@yearly', 'select 1')")
        job = await alice.fetchval("select cron.schedule('job', '@yearly', 'select 2')")
        assert await alice.fetchval("select cron.schedule('job', '@yearly', 'select 3')") == job
    assert await alice.fetchval("select current_setting('lock_timeout')") == "0"
    await transaction.commit()
    assert await alice.fetchval("select command from cron.job where jobname = 'job'") == "select 3"

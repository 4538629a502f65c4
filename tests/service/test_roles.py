"""What each role of `postmill migrate --roles` is for works under it, in a database of another owner."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import asyncpg
import psycopg
import pytest
from click.testing import CliRunner

from postmill import Client, Context, Dead, Retry, worker
from postmill.cli.main import root
from postmill.db.tools import roles
from postmill.engine.engine import Engine
from postmill.flows import Ctx, Signal, workflow
from postmill.flows.flow import Flow
from postmill.flows.running.handlers import handlers_of
from postmill.flows.running.keeper import keepers
from postmill.handlers.context import Transaction  # noqa: TC001 - a step's annotations are read
from postmill.model.config.address import Address
from postmill.model.errors import NotFound, PostmillError, RunFailed
from postmill.model.events import Event
from postmill.model.flow.partial import Partial  # noqa: TC001 - a step's annotations are read
from postmill.scheduler.scheduler import Scheduler
from postmill.scheduler.sql_runs import SqlRuns
from postmill.testing import drain
from tests import servers
from tests.service.commands import firing, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    Database = psycopg.Connection[dict[str, Any]]


class Logins:
    """One login for each role; roles are the server's, so their names have the database's."""

    def __init__(self, db: Database, url: str) -> None:
        self._db, self._url = db, url
        self._made: list[str] = []

    def url(self, role: str) -> str:
        """The database's address as a login that has ``role`` and nothing else."""
        login = f"{role}_{self._db.info.dbname}"
        if login not in self._made:
            self._db.execute(f"create role {login} login in role postmill_{role}".encode())
            self._made.append(login)
        return self._url.replace("postgres@", f"{login}@")

    def drop(self) -> None:
        """Drop them; what they own goes too."""
        for login in self._made:
            self._db.execute(f"drop owned by {login}; drop role {login}".encode())


@pytest.fixture
def logins(db: Database, database_url: str) -> Iterator[Logins]:
    """A queue is there before the roles are granted, another is made afterwards."""
    db.execute(b"select postmill.create_queue('mails')")
    roles.grant(db)
    db.execute(b"select postmill.create_queue('later')")
    made = Logins(db, database_url)
    yield made
    made.drop()


QUEUES = ("mails", "later")
SENDS = {
    "plain": "select postmill.send('{queue}', '1')",
    "later": "select postmill.send('{queue}', '1', delay => '1 hour')",
    "batch": "select postmill.send_batch('{queue}', array['1', '2']::jsonb[])",
    "priority": "select postmill.send('{queue}', '1', priority => 3)",
    "group": "select postmill.send('{queue}', '1', group_key => 'acme')",
    "key": "select postmill.send('{queue}', '1', unique_key => 'k')",
    "key again": "select postmill.send('{queue}', '1', unique_key => 'k', on_conflict => 'skip')",
    "replace": "select postmill.send('{queue}', '2', unique_key => 'k', on_conflict => 'replace')",
    "after": "select postmill.send('{queue}', '1', after => array['{queue}:1'])",
}


@pytest.mark.parametrize("queue", QUEUES)
def test_a_producer_sends_with_every_option(logins: Logins, queue: str) -> None:
    with servers.session(logins.url("producer")) as session:
        for what, send in SENDS.items():
            try:
                session.execute(send.format(queue=queue).encode())
            except psycopg.Error as error:
                pytest.fail(f"{what}: {error}")


def test_a_producer_reads_no_payload_and_ends_nothing(logins: Logins) -> None:
    with servers.session(logins.url("producer")) as session:
        for forbidden in (
            "select message from pgmq.q_mails",
            "select message from pgmq.a_mails",
            "select message from postmill.dead_letters",
            "select * from postmill.messages('mails')",
            "delete from pgmq.q_mails",
            "select postmill.cancel('mails', 1)",
            "select postmill.purge_queue('mails')",
            "select postmill.create_queue('more')",
            "do $$ begin lock table pgmq.q_mails in share mode; end $$",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                session.execute(forbidden.encode())


def test_a_producer_sends_from_python_while_a_worker_waits(logins: Logins, db: Database) -> None:
    """A worker that waits for work is looked for, and woken."""
    db.execute(
        b"insert into postmill.workers (queue_name, function_name, hostname, pid, version, max_concurrent)"
        b" values ('mails', 'f', 'h', 1, '1', 1)"
    )
    db.execute(b"insert into postmill.idle_workers select 'mails', worker_id from postmill.workers")
    with Client(logins.url("producer")) as client:
        first = client.send("mails", {"n": 1}, unique_key="k", priority=7, group_key="acme")
        again = client.send("mails", {"n": 2}, unique_key="k", on_conflict="replace", group_key="acme")
        client.send("later", {"n": 3}, after=[first])
        client.send_many("mails", [1, 2], delay=1)
    assert (again, again.existed) == (first, True)
    found = db.execute(b"select msg_id, state, message from postmill.messages('later')").fetchall()
    assert found == [{"msg_id": 1, "state": "waiting", "message": {"n": 3}}]


@worker(queue="mails", keep_results=True, retry=Retry.fixed(0, max_attempts=2))
async def deliver(mail: Any, ctx: Context) -> str:
    if mail == "dies":
        raise Dead("no such address")
    if mail == "stumbles" and ctx.attempt == 1:
        raise ConnectionError
    async with ctx.transaction() as tx:
        await tx.send("later", "delivered")
    return "delivered"


@worker(queue="later")
async def note(_: str) -> None: ...


async def test_a_producer_waits_for_results(logins: Logins) -> None:
    with Client(logins.url("producer")) as client:
        sent, dead = client.send("mails", "arrives"), client.send("mails", "dies")
        await drain(deliver, note, database=logins.url("worker"))
        assert client.result(sent, timeout=5) == "delivered"
        with pytest.raises(Exception, match="no such address"):
            client.result(dead, timeout=5)


BATCH = """
    select postmill.limit_groups('mails', max_running => 1, starts => 1000, per => '1 second');
    select postmill.enable_priority('mails');
    select postmill.send('mails', '"dies"');
    select postmill.send('mails', '"stumbles"', priority => 9);
    select postmill.send('mails', '"grouped"', group_key => 'acme') from generate_series(1, 3);
    select postmill.send('mails', '"source"', then_send => '{"queue": "later", "message": "then"}');
    select postmill.send('later', '"waits"', after => array['mails:6']);
    select postmill.send('later', '"cancelled"', after => array['mails:1']);
"""


async def test_a_worker_does_all_that_workers_do(logins: Logins, db: Database) -> None:
    """Retries, a dead letter, groups, priorities, dependencies, follow-ups, transactions of handlers."""
    db.execute(BATCH.encode())
    account = await drain(deliver, note, database=logins.url("worker"))
    assert [letter.reason for letter in account.dead] == ["no such address"]
    ends = "select status, count(*)::int as n from ({}) as ended group by 1 order by 1"
    states = (
        "select state as status from postmill.messages('mails') union all "
        "select state from postmill.messages('later')"
    )
    assert db.execute(ends.format(states).encode()).fetchall() == [
        {"status": "cancelled", "n": 1},
        {"status": "completed", "n": 12},
        {"status": "dead", "n": 1},
    ]


async def test_a_worker_process_is_refused_nothing(logins: Logins, adb: asyncpg.Connection) -> None:
    """Its other services too: schedules, the commands of its own login, and the upkeep of all."""
    said: list[tuple[Event, dict[str, object]]] = []
    url = logins.url("worker")
    await adb.execute("select postmill.schedule('tick', '1 second', 'mails', '\"ticks\"')")
    engine = Engine([deliver, note], Address(url), [Scheduler, SqlRuns])
    engine.events.listeners.append(lambda event, fields: said.append((event, dict(fields))))
    await engine.start()
    try:
        await until(adb, "select count(*) > 0 from postmill.schedule_runs where status = 'succeeded'")
    finally:
        await engine.stop()
    assert [fields for _, fields in said if "denied" in str(fields)] == []
    session = await asyncpg.connect(url)
    for upkeep in (
        "prune(100)",
        "rescue()",
        "sweep_gates('mails')",
        "sweep_dependents()",
        "tidy_calls()",
        "tidy_schedule_runs()",
    ):
        await session.execute(f"select postmill.{upkeep}")
    for forbidden in ("drop_queue('mails')", "create_queue('more')", "grant_secret('s', 'postgres')"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await session.execute(f"select postmill.{forbidden}")
    await session.close()


async def test_a_scheduler_fires_messages_and_runs_commands(logins: Logins, adb: asyncpg.Connection) -> None:
    await adb.execute(
        "select postmill.schedule('message', '1 second', 'mails', '1', options => '{\"priority\": 3}')"
    )
    await adb.execute(
        "select postmill.schedule('grouped', '1 second', 'later', '1', options => '{\"group_key\": \"g\"}')"
    )
    async with firing(logins.url("scheduler")) as said:
        await until(
            adb, "select count(distinct schedule_id) = 2 from postmill.schedule_runs where msg_id > 0"
        )
    assert [fields for event, fields in said if event is Event.SCHEDULE_FAILED] == []
    session = await asyncpg.connect(logins.url("scheduler"))
    await session.execute("select postmill.tidy_schedule_runs()")
    for forbidden in (
        "select message from pgmq.q_mails",
        "delete from pgmq.q_mails",
        "update postmill.schedules set run_as = 'postgres'",
        "select postmill.unschedule('message')",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await session.execute(forbidden)
    await session.close()


def cli(url: str, *arguments: str) -> Any:
    """What a command says, as JSON; whatever it complains of fails the test."""
    answer = CliRunner().invoke(root, [*arguments, "--json", "--db-url", url])
    assert answer.exit_code == 0, (arguments, answer.stderr)
    return json.loads(answer.stdout) if answer.stdout else None


LOOKS = (
    "top",
    "queue list",
    "queue show mails",
    "queue limit mails",
    "queue retention mails",
    "message list mails",
    "message show mails 1",
    "dead list",
    "worker list",
    "schedule list",
    "schedule runs message",
    "calls list",
)


def test_a_reader_sees_all_and_changes_nothing(logins: Logins, db: Database) -> None:
    db.execute(b"select postmill.send('mails', '1'), postmill.schedule('message', '@daily', 'mails', '1')")
    url = logins.url("reader")
    for looks in LOOKS:
        cli(url, *looks.split())
    with servers.session(url) as session:
        for view in ("postmill.dead", "postmill.limits", "postmill.call_queue_list", "edge_worker.workers"):
            session.execute(f"select * from {view}".encode())
        for forbidden in (
            "select postmill.send('mails', '1')",
            "select postmill.pause('mails')",
            "select postmill.cancel('mails', 1)",
            "delete from pgmq.q_mails",
            "update postmill.queues set paused_at = now()",
            "select headers from postmill.calls",
            "select * from postmill.secret_grants",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                session.execute(forbidden.encode())


OPERATES = (
    "queue pause mails",
    "queue resume mails",
    "message cancel mails 3",
    "message retry mails 4",
    "dead replay mails --all -y",
    "queue limit mails --max-running 3",
    "queue limit mails --group acme --max-running 1",
    "queue retention mails 30d",
    "queue purge mails -y",
    "schedule add message @daily mails 1",
    "schedule pause message",
    "schedule resume message",
    "schedule run message",
    "schedule remove message -y",
)


async def test_an_operator_operates(logins: Logins, db: Database) -> None:
    db.execute(b"select postmill.send('mails', m) from unnest(array['\"dies\"', '\"dies\"']::jsonb[]) as m")
    await drain(deliver, note, database=logins.url("worker"))
    db.execute(b"select postmill.send('mails', '1', delay => '1 hour') from generate_series(1, 3)")
    url = logins.url("operator")
    for looks in LOOKS[:-2]:
        cli(url, *looks.split())
    cli(url, "dead", "discard", "mails", "1", "-y")
    for operates in OPERATES:
        cli(url, *operates.split())
    with servers.session(url) as session:
        for forbidden in (
            "drop_queue('mails', true)",
            "create_queue('more')",
            "grant_secret('s', 'postgres')",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                session.execute(f"select postmill.{forbidden}".encode())


@pytest.mark.parametrize("role", ["producer", "worker", "scheduler", "reader", "operator"])
def test_doctor_finds_that_each_role_has_all_it_needs(logins: Logins, role: str) -> None:
    """A role that does not look at everything is told what it would take."""
    found = cli(logins.url(role), "doctor")
    (own,) = (row for row in found if row["check"] == "privileges")
    assert (own["status"], own["found"].partition(" has ")[2]) == ("pass", f"all that postmill_{role} needs")
    rights = [row for row in found if row["check"] != "round trip"]  # a busy machine is far from its database
    others = {row["fix"].partition(" to ")[0] for row in rights if row["status"] != "pass"}
    assert others <= {"As the owner: grant postmill_reader"}
    assert not others or role in ("producer", "scheduler", "worker")


def test_doctor_names_the_grant_on_a_queue_that_another_client_made(logins: Logins, db: Database) -> None:
    """Nobody but the owner of its table can give it; then the role has it on all its logins."""
    db.execute(b"select pgmq.create('theirs')")
    url = logins.url("producer")
    answer = CliRunner().invoke(root, ["doctor", "--json", "--db-url", url])
    (own,) = (row for row in json.loads(answer.stdout) if row["check"] == "privileges")
    assert own["status"] == "fail"
    assert "INSERT on pgmq.q_theirs" in own["found"]
    db.execute(own["fix"].removeprefix("As the owner: ").encode())
    with servers.session(url) as session:
        session.execute(b"select postmill.send('theirs', '1', unique_key => 'k')")
    assert cli(url, "doctor")


def test_doctor_names_the_role_that_a_login_lacks(logins: Logins, db: Database) -> None:
    url = logins.url("reader")
    login = url.partition("//")[2].partition("@")[0].partition(":")[0]
    db.execute(f"revoke postmill_reader from {login}".encode())
    answer = CliRunner().invoke(root, ["doctor", "--json", "--db-url", url])
    (own,) = (row for row in json.loads(answer.stdout) if row["check"] == "privileges")
    assert f'grant postmill_worker to "{login}"' in own["fix"]


errand = Flow("errand", input=int, retry=Retry.none)


@errand.step
async def fetch(n: int = errand.input) -> list[int]:
    return list(range(n))


@errand.map(on_dead="collect", max_concurrent=1)
async def carry(n: int = fetch.each) -> int:
    if n == 1:
        raise Dead("too heavy")
    return n


@errand.step
async def told(found: Partial[int] = carry.partial) -> int:
    return len(found.results) + 10 * len(found.errors)


agreed: Signal[str] = Signal("agreed", str)


async def refuse() -> None:
    raise Dead("it can't be done")


async def noted(tx: Transaction) -> int:
    return int(await tx.fetchval("select 1"))


@workflow(queue="durable")
async def inner(ctx: Ctx) -> str:
    await ctx.sleep(0.001)
    return "inner"


@workflow(queue="durable")
async def outer(ctx: Ctx) -> str:
    ctx.emit("begun", 1)
    ctx.on_failure(refuse)
    await ctx.transaction(noted)
    first = await ctx.wait(agreed)
    second = await ctx.run(inner)
    if first == "fail":
        await ctx.step(refuse)
    return f"{first} {second}"


async def test_a_worker_runs_workflows_and_a_producer_signals_them(logins: Logins) -> None:
    handlers = handlers_of([outer, inner])
    engine = Engine(handlers, Address(logins.url("worker")), keepers(handlers))
    await engine.start()
    try:
        for word in ("well", "fail"):
            run = await outer.options(connection=logins.url("producer")).start()
            assert await run.signal(agreed, word)
            if word == "well":
                assert await run.result(timeout=30) == "well inner"
                continue
            with pytest.raises(RunFailed) as failed:
                await run.result(timeout=30)
            assert failed.value.culprit == "refuse"
        assert engine.not_ready is None
    finally:
        await engine.stop()


async def test_a_worker_runs_flows_and_a_producer_starts_them(logins: Logins) -> None:
    """The flow's queue is made by its registration: a worker can make none. A producer may not register."""
    handlers = [errand.handler()]
    with pytest.raises(NotFound, match="errand"):
        await errand.options(connection=logins.url("producer")).start(3)
    engine = Engine(handlers, Address(logins.url("worker")), keepers(handlers))
    await engine.start()
    try:
        run = await errand.options(connection=logins.url("producer")).start(3)
        assert await run.result(timeout=30) == {"told": 12}
        assert await run.output(fetch) == [0, 1, 2]
        with pytest.raises(PostmillError, match="Permission denied"):
            await run.cancel()
        assert engine.not_ready is None
    finally:
        await engine.stop()
    with Client(logins.url("operator")) as client:
        assert client.runs.cancel(run.run_id) is False

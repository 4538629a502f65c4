"""Operations whose session is killed at each of their statements, and operations beside workers: nothing is
lost, nothing happens twice, and no two wait for each other.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from postmill import Retry, worker
from postmill.engine.engine import Engine
from postmill.model.config.address import Address
from postmill.operations.executor import executing
from postmill.service.events import Events
from postmill.sql.catalog import scripts
from tests.faults.protocol import Change
from tests.faults.test_dependency_races import together, until_waiting
from tests.servers import session
from tests.service.running import GIVE_UP_S
from tests.sql.asking import bury, column, row, value

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.sql.asking import Database

TABLES = ("blocked", "cancellations", "dead_letters", "edges", "gates", "operation_rows", "operations")
KILL = """
create sequence public.places;
create table public.deadly (place bigint);
create function public.tick() returns trigger language plpgsql as $$
begin
    if nextval('public.places') = (select place from public.deadly) then
        perform pg_terminate_backend(pg_backend_pid());
        perform pg_sleep(5);
    end if;
    return null;
end $$;
"""
"""The session ends before, or after, the statement whose number is the deadly one. A sequence goes on all the
same.
"""
PAGES = 3
"""Messages of a page: an operation takes several."""


def prepare(db: Database) -> None:
    """Six messages that each say when they end, two that wait for one of them, and letters."""
    for queue in ("tasks", "told", "slow"):
        db.execute(b"select postmill.create_queue($1)", [queue])
    for number in range(1, 7):
        db.execute(
            b"select postmill.send('tasks', to_jsonb($1::integer), delay => '1 hour', "
            b"else_send => jsonb_build_object('queue', 'told', 'message', $1::integer))",
            [number],
        )
    for _ in range(2):
        db.execute(b"select postmill.send('tasks', '0', after => array['tasks:2'])")
    for number in range(11, 17):
        bury(db, "tasks", number, str(number))
    db.execute(KILL.encode())
    for table in (*(f"postmill.{name}" for name in TABLES), "pgmq.q_tasks", "pgmq.q_told", "pgmq.q_slow"):
        for moment in ("before", "after"):
            db.execute(
                f"create trigger tick_{moment} {moment} insert or update or delete on {table} "
                "for each statement execute function public.tick()".encode()
            )


def found(db: Database) -> dict[str, Any]:
    """All that operations change."""
    return row(
        db,
        "select (select jsonb_agg(jsonb_build_array(message, vt > clock_timestamp()) order by message)"
        "           from pgmq.q_tasks) as tasks,"
        "       (select jsonb_agg(message order by message) from pgmq.q_told) as told,"
        "       (select jsonb_agg(message order by message) from pgmq.q_slow) as slow,"
        "       (select jsonb_agg(msg_id order by msg_id) from postmill.cancelled) as cancelled,"
        "       (select jsonb_agg(jsonb_build_array(msg_id, replayed_as is null) order by msg_id)"
        "          from postmill.dead) as letters,"
        "       (select jsonb_agg(jsonb_build_array(id, outcome) order by id)"
        "          from postmill.operation_rows) as rows,"
        "       (select jsonb_agg(jsonb_build_array(target_id, source_id) order by target_id)"
        "          from postmill.edges) as edges,"
        "       (select jsonb_agg(jsonb_build_array(state, done, skipped, failed, busy))"
        "          from postmill.operations) as stands",
    )


class Carried:
    """An operation that a session of its own carries out, and where that one is killed, another one."""

    def __init__(self, db: Database, other: Database, url: str) -> None:
        self.db = db
        self.other = other
        self.url = url

    def out(self, deadly: int) -> tuple[bool, dict[str, Any]]:
        """Every page; whether the first session was killed, and what was found at the end."""
        self.db.execute(b"delete from public.deadly")
        self.db.execute(
            b"insert into public.deadly select last_value - 1 + is_called::integer + $1 from public.places",
            [deadly],
        )
        with session(self.url) as first:
            killed = not _every_page(first)
            if killed:
                self._until_gone(first.info.backend_pid)
                assert _every_page(self.other)
        return killed, found(self.db)

    def _until_gone(self, pid: int) -> None:
        """A session that is ended says so before it lets its locks go."""
        until = time.monotonic() + GIVE_UP_S
        while value(self.db, "select exists (select from pg_stat_activity where pid = $1)", pid):
            assert time.monotonic() < until


def _every_page(session: Database) -> bool:
    """Whether it got to the end."""
    try:
        while session.execute(b"select state from postmill._step_operation(page => $1)", [PAGES]).fetchone():
            pass
    except psycopg.OperationalError:
        return False
    return True


@pytest.mark.parametrize("kind", ["cancel", "retry", "move", "replay", "discard"])
def test_an_operation_that_is_killed_at_any_statement_comes_to_the_same_end(
    kind: str, db: Database, connect: Callable[[], Database], database_url: str
) -> None:
    prepare(db)
    carried = Carried(db, connect(), database_url)
    start = "select postmill.start_operation($1, 'tasks', target => $2)"
    target = "slow" if kind == "move" else None
    keep = "create schema kept; " + "; ".join(
        f"create table kept.{name.rpartition('.')[2]} as table {name}" for name in STATE
    )
    value(db, start, kind, target)
    db.execute(keep.encode())
    killed, expected = carried.out(0)
    assert not killed
    assert expected["stands"][0][0] == "done"
    kills = 0
    for place in range(1, 500):
        restore(db)
        killed, end = carried.out(place)
        assert end == expected, f"killed at statement {place}"
        if not killed:
            break
        kills += 1
    assert kills >= 8


STATE = (
    *("pgmq.q_tasks", "pgmq.q_told", "pgmq.q_slow", "postmill.cancellations", "postmill.dead_letters"),
    *("postmill.edges", "postmill.blocked", "postmill.operation_rows", "postmill.operations"),
)


def restore(db: Database) -> None:
    """All as it was when the operation was asked for."""
    with db.transaction():
        db.execute(b"set local session_replication_role = replica")
        for name in STATE:
            db.execute(f"delete from {name}".encode())
            kept = name.rpartition(".")[2]
            db.execute(f"insert into {name} overriding system value select * from kept.{kept}".encode())


MESSAGES = 6000
DEADLOCKS = "select deadlocks from pg_stat_database where datname = current_database()"


async def race(url: str) -> tuple[Counter[str], int]:
    """Workers and three executors at one queue. Returns what became of the messages, and the deadlocks."""
    dice = random.Random(7)
    with session(url) as db:
        db.execute(b"select postmill.create_queue('tasks')")
        name = value(db, "select current_database()")
        db.execute(f"alter database \"{name}\" set deadlock_timeout = '10ms'".encode())
        db.execute(
            b"select postmill.send_batch('tasks', array(select to_jsonb(n) "
            b"from generate_series(1, $1::integer) n))",
            [MESSAGES],
        )
    ran: Counter[int] = Counter()

    @worker(queue="tasks", max_concurrent=50, retry=Retry.fixed(0.02, max_attempts=40))
    async def handle(payload: int) -> None:
        await asyncio.sleep(dice.random() * 0.1)  # so that something is left to cancel
        if dice.random() < 0.3:
            raise ValueError(payload)
        ran[payload] += 1

    engines = [Engine([handle], Address(url)) for _ in range(3)]
    async with AsyncExitStack() as stack:
        for _ in range(3):
            await stack.enter_async_context(executing(Address(url), Events(function="postmill", queue="*")))
        for engine in engines:
            await engine.start()
        try:
            async with asyncio.timeout(2 * GIVE_UP_S):
                while await asyncio.to_thread(ask, url, dice):  # noqa: ASYNC110 - it asks for more
                    await asyncio.sleep(0.02)
        finally:
            await asyncio.gather(*(engine.stop() for engine in engines))
    with session(url) as db:
        completed = set(column(db, "select (message #>> '{}')::integer from pgmq.a_tasks"))
        cancelled = set(
            column(db, "select msg_id from postmill.cancellations where cancelled_at is not null")
        )
        fates = Counter(
            completed=len(completed), cancelled=len(cancelled), both=len(completed & cancelled),
            twice=sum(times > 1 for times in ran.values()),
            dead=value(db, "select count(*) from postmill.dead where replayed_at is null"),
            failed=value(db, "select coalesce(sum(failed), 0)::integer from postmill.operations"),
        )  # fmt: skip
        return fates, value(db, DEADLOCKS)


def ask(url: str, dice: random.Random) -> bool:
    """Ask for more, and whether anything is left to be done."""
    with session(url) as db:
        left: int = value(db, "select count(*) from pgmq.q_tasks")
        open_ones: int = value(db, "select count(*) from postmill.operations where ended_at is null")
        for _ in range(6 - open_ones if left else 0):
            kind, condition = dice.choice(
                [
                    ("retry", "{}"),
                    ("retry", '{"state": ["retrying"]}'),
                    ("cancel", f'{{"ids": {sorted(dice.sample(range(1, MESSAGES), 20))}}}'),
                ]
            )
            db.execute(b"select postmill.start_operation($1, 'tasks', $2::jsonb)", [kind, condition])
        return left + open_ones > 0


@pytest.mark.slow
async def test_workers_and_executors_wait_for_each_other_in_one_order(database_url: str) -> None:
    fates, deadlocks = await race(database_url)
    assert deadlocks == 0
    assert fates["completed"] + fates["cancelled"] + fates["dead"] == MESSAGES
    assert (fates["both"], fates["twice"], fates["failed"]) == (0, 0, 0)
    assert fates["cancelled"] > 0


HOLDS_BACKWARDS = (
    Change(
        "_hold",
        r"order by msg_id for update skip locked\)', postmill",
        "order by msg_id desc for update)', postmill",
    ),
    Change("_step_operation", "set lock_timeout = '500ms'", "set lock_timeout = 0"),
)
"""The mistake: rows are locked in another order than workers lock them, and waited for, however long."""
SETTLES = b"select from pgmq.q_tasks where msg_id in (1, 2) order by msg_id for update"
"""Locks as a settlement does."""


def test_rows_that_are_locked_in_another_order_are_a_deadlock(
    db: Database, connect: Callable[[], Database]
) -> None:
    """The control: two others hold a row each until the operation and a worker stand at them."""
    functions = dict(scripts("functions"))
    for mistake in HOLDS_BACKWARDS:
        db.execute(mistake.apply(functions[mistake.name]).encode())
    db.execute(b"select postmill.create_queue('tasks')")
    db.execute(b"select postmill.send_batch('tasks', array['1', '2']::jsonb[])")
    db.execute(b"select postmill.start_operation('retry', 'tasks')")
    keepers, operator, worker = (connect(), connect()), connect(), connect()
    for keeper, msg_id in zip(keepers, (1, 2), strict=True):
        keeper.execute(b"begin")
        keeper.execute(b"select from pgmq.q_tasks where msg_id = $1 for update", [msg_id])

    def let_go() -> None:
        keepers[0].execute(b"commit")
        until_waiting(db, worker, no_longer_for=keepers[0])
        keepers[1].execute(b"commit")

    step = b"select state from postmill._step_operation(page => 3)"
    assert together(db, let_go, [(operator, step), (worker, SETTLES)]) == 1
    for each in (operator, worker):
        each.close()  # it hands in what it has counted
    until = time.monotonic() + GIVE_UP_S
    while not value(db, DEADLOCKS):
        assert time.monotonic() < until

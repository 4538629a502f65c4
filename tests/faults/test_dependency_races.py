"""Messages that wait for others, under races: senders, settlements, handlers' transactions, other clients and
a sweep at work on the same messages, with sessions that are ended at any statement. None is stuck or early.

What each message comes to is told by a plain interpreter of the same graph. The controls take a lock away.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import asyncpg
import psycopg
import pytest

from postmill.model.queue.queue_name import QueueShape
from postmill.sql.catalog import queue_statement, statement
from tests import servers
from tests.sql.asking import Database, value
from tests.sql.test_dependencies import complete, send, state, sweep

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator


QUEUES = ("a", "b")
SENDERS, SETTLERS, HANDLERS, FOREIGNERS = 8, 6, 4, 2
"""20 sessions."""
SENT = 600
"""Messages of a race: about as many as two cores bring to an end in some seconds."""

Ref = tuple[str, int]


@dataclass
class Race:
    """What all sessions of a race know."""

    url: str
    random: random.Random
    sending: bool = True
    sent: list[Ref] = field(default_factory=list)
    ended: set[Ref] = field(default_factory=set)
    """Written before the settlement is sent: what is opened by it may be seen before its answer."""
    early: list[tuple[str, str]] = field(default_factory=list)
    """Messages that ran, each with a source that had not ended, unless it was cancelled."""
    errors: Counter[str] = field(default_factory=Counter)
    sessions: set[int] = field(default_factory=set)
    last: BaseException | None = None

    async def session(self, work: Callable[[asyncpg.Connection], Awaitable[bool]]) -> None:
        """Do ``work`` until it says that all is done, on a new connection whenever one was ended."""
        done = False
        while not done:
            try:
                db = await asyncpg.connect(self.url)
                await db.execute(statement("session_pins", "session"))  # as a worker's: rows in order of ids
                self.sessions.add(db.get_server_pid())
                while not done:
                    done = not await work(db)
                    await asyncio.sleep(self.random.random() * 0.003)
                await db.close()
            except (
                asyncpg.PostgresError,
                asyncpg.InterfaceError,
                asyncpg.InternalClientError,
                OSError,
            ) as error:
                self.errors[type(error).__name__] += 1
                self.last = error

    def payload(self) -> tuple[str, dict[str, Any]]:
        """A message and the queue that it goes to: which it waits for, and what becomes of it."""
        recent = self.sent[-60:]
        some = self.random.sample(recent, min(len(recent), self.random.choice([0, 1, 1, 2, 3])))
        return self.random.choice(QUEUES), {
            "after": [f"{queue}:{msg_id}" for queue, msg_id in some],
            "on_dead": self.random.choice(["cancel"] * 5 + ["skip"] * 4 + ["block"]),
            "dies": self.random.random() < 0.03,
        }

    async def put(self, db: asyncpg.Connection, queue: str, payload: dict[str, Any]) -> Ref:
        """Send one message inside the caller's transaction."""
        text = "select postmill.send($1, $2::text::jsonb, after => $3::text[], on_source_dead => $4)"
        sent = await db.fetchval(text, queue, json.dumps(payload), payload["after"], payload["on_dead"])
        return queue, sent

    async def send(self, db: asyncpg.Connection) -> bool:
        """One to three messages in one transaction."""
        async with db.transaction():
            new = [await self.put(db, *self.payload()) for _ in range(self.random.choice([1, 1, 2, 3]))]
            await asyncio.sleep(self.random.choice([0, 0, 0.005]))
        self.sent += new
        return self.sending

    async def take(self, db: asyncpg.Connection, queue: str, many: int) -> list[asyncpg.Record]:
        """Claim messages; those whose sources have not all ended run early."""
        taken = await db.fetch(
            f"update pgmq.q_{queue} set read_ct = read_ct + 1, vt = clock_timestamp() + interval '1 s' "
            f"where msg_id = any (array(select msg_id from pgmq.q_{queue} where vt <= clock_timestamp() "
            f"order by vt limit {many} for update skip locked)) "
            "returning msg_id, read_ct, (extract(epoch from vt) * 1000000)::bigint as vt_us, message"
        )
        for row in taken:
            message = json.loads(row["message"])
            self.note_early(f"{queue}:{row['msg_id']}", message["after"])
        return sorted(taken, key=lambda row: int(row["msg_id"]))

    def note_early(self, ref: str, sources: list[str]) -> None:
        """Note those of the sources of a message that runs now which are not known to have ended."""
        for source in sources:
            queue, _, msg_id = source.partition(":")
            if (queue, int(msg_id)) not in self.ended:
                self.early.append((ref, source))

    async def settle(self, db: asyncpg.Connection) -> bool:
        """Complete some messages, and let those that are to die, die."""
        queue = self.random.choice(QUEUES)
        taken = await self.take(db, queue, self.random.choice([1, 5, 20]))
        await asyncio.sleep(self.random.random() * 0.004)
        for dies in (True, False):
            rows = [row for row in taken if json.loads(row["message"])["dies"] is dies]
            if rows:
                self.ended.update((queue, row["msg_id"]) for row in rows)
                await (self.bury(db, queue, rows) if dies else self.finish(db, queue, rows))
        return self.sending or bool(await self.left(db))

    async def handle(self, db: asyncpg.Connection) -> bool:
        """Complete a message in the transaction of its handler, which sends another."""
        queue = self.random.choice(QUEUES)
        for row in await self.take(db, queue, 1):
            if json.loads(row["message"])["dies"]:
                self.ended.add((queue, row["msg_id"]))
                await self.bury(db, queue, [row])
                continue
            async with db.transaction():
                await db.execute("set local postmill.transaction = 'open'")
                new = [await self.put(db, *self.payload())] if self.sending else []
                self.ended.add((queue, row["msg_id"]))
                await self.finish(db, queue, [row], "transaction")
            self.sent += new
        return self.sending or bool(await self.left(db))

    async def other_client(self, db: asyncpg.Connection) -> bool:
        """Read and archive with pgmq's own functions."""
        queue = self.random.choice(QUEUES)
        for row in await db.fetch("select msg_id, message from pgmq.read($1, 2, 2)", queue):
            message = json.loads(row["message"])
            self.note_early(f"{queue}:{row['msg_id']}", message["after"])
            if not message["dies"]:
                self.ended.add((queue, row["msg_id"]))
                await db.execute("select pgmq.archive($1, $2::bigint)", queue, row["msg_id"])
        return self.sending

    async def finish(
        self, db: asyncpg.Connection, queue: str, rows: list[asyncpg.Record], *flags: str
    ) -> None:
        """The worker's own statement."""
        text = queue_statement("complete", SHAPES[queue], "archive", "archive_headers", *flags)
        await db.fetch(text, *tokens(rows), [], queue)

    async def bury(self, db: asyncpg.Connection, queue: str, rows: list[asyncpg.Record]) -> None:
        """The worker's own statement."""
        text, many = queue_statement("dead_letter", SHAPES[queue]), len(rows)
        empty = [None] * many
        arguments: tuple[Any, ...] = (
            [],
            [],
            queue,
            None,
            ["no"] * many,
            [1] * many,
            empty,
            empty,
            empty,
            empty,
            empty,
        )
        await db.fetch(text, *tokens(rows), *arguments)

    async def left(self, db: asyncpg.Connection) -> int:
        """Messages that can still run."""
        parked = "select count(*) from pgmq.q_{} where vt < postmill._parked_until()"
        waiting = f"select count(*) from postmill.blocked where (queue_name, msg_id) not in ({STOPPED})"
        parts = [*(parked.format(queue) for queue in QUEUES), waiting]
        return int(await db.fetchval(f"select {' + '.join(f'({part})' for part in parts)}"))

    async def sweep(self, db: asyncpg.Connection) -> bool:
        """As a worker does, more often."""
        await asyncio.sleep(0.1)
        await db.execute("update postmill.edge_sweep set due_at = '-infinity'")
        await db.fetchval("select postmill.sweep_dependents()")
        return self.sending or bool(await self.left(db))

    async def kill(self, db: asyncpg.Connection) -> bool:
        """End a session, whatever it does just now."""
        await asyncio.sleep(0.05)
        if self.sessions and self.sending:
            pid = self.random.choice(sorted(self.sessions))
            self.sessions.discard(pid)
            await db.execute("select pg_terminate_backend($1)", pid)
        return self.sending

    async def run(self) -> None:
        """All sessions, until everything that can run has ended."""
        works = [self.settle] * SETTLERS + [self.handle] * HANDLERS + [self.other_client] * FOREIGNERS
        async with asyncio.timeout(240), asyncio.TaskGroup() as group:
            for work in [*works, *[self.send] * SENDERS, self.sweep]:
                group.create_task(self.session(work))
            killer = group.create_task(self.kill_on())
            while len(self.sent) < SENT:  # noqa: ASYNC110 - the sessions say nothing
                await asyncio.sleep(0.05)
            self.sending = False
            await killer

    async def kill_on(self) -> None:
        """A killer that nobody kills."""
        db = await asyncpg.connect(self.url)
        while await self.kill(db):
            pass
        await db.close()


SHAPES = {queue: QueueShape(queue, relation=0) for queue in QUEUES}


def tokens(rows: list[asyncpg.Record]) -> list[str]:
    """The first arguments of a settlement."""
    return ["{" + ",".join(str(row[name]) for row in rows) + "}" for name in ("msg_id", "read_ct", "vt_us")]


def interpreted(messages: dict[str, dict[str, Any]]) -> dict[str, str]:
    """What each message of a graph comes to."""
    fates: dict[str, str] = {}
    waiting = dict(messages)
    while waiting:
        for ref, message in list(waiting.items()):
            sources = [fates.get(source) for source in message["after"]]
            if None in sources:
                continue
            failed = [fate for fate in sources if fate in {"dead", "cancelled"}]
            blocked = "blocked" in sources or (failed and message["on_dead"] == "block")
            if failed and message["on_dead"] == "cancel":
                fates[ref] = "cancelled"
            elif blocked:
                fates[ref] = "blocked"
            else:
                fates[ref] = "dead" if message["dies"] else "completed"
            del waiting[ref]
    return fates


STOPPED = """
with recursive stopped as (
    select target_queue, target_id from postmill.edges where died union
    select e.target_queue, e.target_id from postmill.edges as e
      join stopped as s on e.source_queue = s.target_queue and e.source_id = s.target_id
) select target_queue, target_id from stopped
"""
"""Messages that wait for a replay, and those that wait for these."""

FOUND = """
select '{queue}:' || msg_id as ref, 'completed' as fate, message from pgmq.a_{queue} union all
select '{queue}:' || msg_id, case when headers ? 'postmill-after' then 'blocked' else 'ready' end, message
  from pgmq.q_{queue} union all
select '{queue}:' || msg_id, 'dead', message from postmill.dead_letters where queue_name = '{queue}' union all
select '{queue}:' || msg_id, 'cancelled', message from postmill.cancellations where queue_name = '{queue}'
"""
"""Each message: its reference, what it came to, and its payload."""


@pytest.mark.timeout(300)
async def test_no_message_is_stuck_or_early(database_url: str, db: Database) -> None:
    """Without the locks at commit, 2,044 of 36,516 messages waited for ever."""
    for queue in QUEUES:
        db.execute(f"select postmill.create_queue('{queue}')".encode())
    seed = random.randrange(1 << 32)
    race = Race(database_url, random.Random(seed))
    await race.run()
    for _ in range(3):
        sweep(db)

    rows = [row for queue in QUEUES for row in db.execute(FOUND.format(queue=queue).encode())]
    messages = {row["ref"]: (row["fate"], row["message"]) for row in rows}
    assert len(messages) == len(rows)
    expected = interpreted({ref: message for ref, (_, message) in messages.items()})
    wrong = {ref: (fate, expected[ref], m) for ref, (fate, m) in messages.items() if fate != expected[ref]}
    early = [each for each in race.early if messages[each[1]][0] != "cancelled"]
    assert (seed, wrong, early) == (seed, {}, [])
    assert race.errors["DeadlockDetectedError"] == 0, (seed, race.errors)
    assert len(messages) >= SENT
    assert value(db, "select count(*) from postmill.ended") == 0
    dead = "select count(*) from postmill.edges where not died and (source_queue, source_id) not in "
    assert value(db, f"{dead} (select target_queue, target_id from postmill.edges)") == 0


@pytest.fixture
def connect(database_url: str) -> Iterator[Callable[[], Database]]:
    """More connections to the test's database."""
    with ExitStack() as opened:
        yield lambda: opened.enter_context(servers.session(database_url))


WITHOUT_HANDSHAKE = "drop trigger edge_at_commit on postmill.edges"
GIVE_UP_S = 60.0
WAITS = "select cardinality(pids) > 0 and $2 <> all (pids) from pg_blocking_pids($1) as pids"
"""Session $1 waits, and not for session $2."""
WITHOUT_ORDER = """
create or replace function postmill._lock_sources(queue text default null, ids bigint[] default '{}')
returns void language sql as 'select';
create or replace function postmill._tell_sources(queues text[], ids bigint[]) returns void
language plpgsql as $$
declare edge record;
begin
    for edge in select e.* from unnest(queues, ids) with ordinality as t (queue, id, place)
        join postmill.edges as e on e.target_queue = t.queue and e.target_id = t.id order by t.place
    loop
        perform postmill._mark_sources(edge.source_queue, array[edge.source_id]);
    end loop;
end $$
"""


@pytest.mark.parametrize("control", ["", WITHOUT_HANDSHAKE])
def test_a_source_that_ends_before_its_edge_is_seen(
    db: Database, connect: Callable[[], Database], control: str
) -> None:
    """The settlement could not see the edge, which was not committed, and the sender did not look again."""
    db.execute(b"select postmill.create_queue('a')")
    db.execute(control.encode() or b"select")
    source, other = send(db, "a"), connect()
    with db.transaction():
        target = send(db, "a", f"after => array['a:{source}']")
        complete(other, "a", source)
    assert state(db, "a", target) == ("parked" if control else "due")
    sweep(db)
    assert state(db, "a", target) == "due"


@pytest.mark.parametrize("control", ["", WITHOUT_ORDER])
def test_two_senders_whose_sources_cross_never_wait_in_a_ring(
    db: Database, connect: Callable[[], Database], control: str
) -> None:
    """10 of 182 commits ended in a deadlock."""
    db.execute(b"select postmill.create_queue('a')")
    db.execute(control.encode() or b"select")
    first, second = send(db, "a"), send(db, "a")
    keepers, one, two = (connect(), connect()), connect(), connect()
    for session, sources in ((one, (first, second)), (two, (second, first))):
        session.execute(b"begin")
        for source in sources:
            send(session, "a", f"after => array['a:{source}']")
    for keeper, source in zip(keepers, (first, second), strict=True):
        keeper.execute(b"begin")
        keeper.execute(b"select from pgmq.q_a where msg_id = $1 for update", [source])

    def let_go() -> None:
        keepers[0].execute(b"commit")
        try:
            if control:
                until_waiting(db, one, no_longer_for=keepers[0])
        finally:  # else the two would wait for ever
            keepers[1].execute(b"commit")

    assert together(db, let_go, [(one, b"commit"), (two, b"commit")]) == (1 if control else 0)


@pytest.mark.parametrize("control", ["", WITHOUT_ORDER])
def test_two_handlers_that_send_after_each_others_message(
    db: Database, connect: Callable[[], Database], control: str
) -> None:
    """Each held its own message, completed in its transaction, and at its commit waited for the other's."""
    db.execute(b"select postmill.create_queue('a')")
    db.execute(control.encode() or b"select")
    first, second = send(db, "a"), send(db, "a")
    one, two = connect(), connect()
    text = queue_statement("complete", SHAPES["a"], "archive", "archive_headers", "transaction")
    token = (
        "select read_ct, (extract(epoch from vt) * 1000000)::bigint as vt_us from pgmq.q_a where msg_id = $1"
    )
    ends = []
    for session, own, other in ((one, first, second), (two, second, first)):
        session.execute(b"begin")
        session.execute(b"set local postmill.transaction = 'open'")
        send(session, "a", f"after => array['a:{other}']")
        held = db.execute(token.encode(), [own]).fetchone()
        assert held is not None
        ends.append((session, [f"{{{part}}}" for part in (own, held["read_ct"], held["vt_us"])]))

    one.execute(text.encode(), [*ends[0][1], [], "a"])
    with ThreadPoolExecutor(1) as pool:
        completing = pool.submit(two.execute, text.encode(), [*ends[1][1], [], "a"])
        if control:
            completing.result()
            assert together(db, lambda: None, [(each, b"commit") for each in (one, two)]) == 1
            return
        until_waiting(db, two)
        one.execute(b"commit")
        completing.result()
    two.execute(b"commit")
    assert value(db, "select count(*) from pgmq.a_a") == 2
    assert value(db, "select count(*) from pgmq.q_a where vt <= clock_timestamp()") == 2


def until_waiting(db: Database, session: Database, *, no_longer_for: Database | None = None) -> None:
    """Until a session waits for a lock."""
    until = time.monotonic() + GIVE_UP_S
    former = no_longer_for.info.backend_pid if no_longer_for else 0
    while not value(db, WAITS, session.info.backend_pid, former):
        assert time.monotonic() < until


def together(db: Database, start: Callable[[], object], ends: list[tuple[Database, bytes]]) -> int:
    """Run what several sessions do at once, once all of them wait; returns how many deadlocks."""

    def end(session: Database, text: bytes) -> bool:
        try:
            session.execute(text)
        except psycopg.errors.DeadlockDetected:
            return True
        return False

    with ThreadPoolExecutor(len(ends)) as pool:
        answers = [pool.submit(end, *each) for each in ends]
        for session, _ in ends:
            until_waiting(db, session)
        start()
        return sum(answer.result() for answer in answers)

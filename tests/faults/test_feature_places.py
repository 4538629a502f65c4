"""Groups, limits, rates, unique keys and dependencies together, where the server is not a plain one: behind
a pooler in transaction mode, with two connections a worker, after pg_dump and a restore, on a standby that
takes over; on ordinary, partitioned and unlogged queues.

In each place no limit is exceeded, no two messages of one key are in the queue, none begins before its
sources, each ends once, and nothing that was kept beside the messages is left over.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, closing, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from postmill import AsyncClient, Context, Dead, Retry, worker
from postmill.engine.maintain import heartbeat
from postmill.model.config.address import Address, parse
from postmill.model.events import Event
from tests.faults.gate_race import STARTS
from tests.faults.pooler import pooler
from tests.faults.restoring import restored_copy
from tests.faults.test_rate_races import OF_A_GROUP, OF_THE_QUEUE, PER, most_in_a_window
from tests.servers import PrivateServer, async_session, session
from tests.service.running import running
from tests.service.test_priorities import PARTED, SETUP, UNLOGGED

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    import asyncpg

    from postmill.embedded.binaries import Binaries
    from postmill.handlers import Worker
    from tests.service.running import Running

QUEUE = "tasks"
GROUPS, KEYS = 4, 10
IN_A_GROUP, IN_THE_QUEUE = 2, 5
"""How many may run at once."""
GIVE_UP_S = 60.0
KINDS = {"ordinary": SETUP, "partitioned": PARTED, "unlogged": UNLOGGED}
JUDGES = f"""
create table public.wrong (what text, found integer);
create function public.count_places() returns trigger language plpgsql as $$
begin
    insert into public.wrong
    select coalesce(gate.group_key, 'the queue'), count(*)
    from postmill.gates as gate join postmill.claims as claim using (claim_id)
    where gate.queue_name = '{QUEUE}' and gate.msg_id = any (claim.msg_ids)
    group by grouping sets ((gate.group_key), ())
    having count(*) > case when gate.group_key is null then {IN_THE_QUEUE}
                           when gate.group_key = '' then {IN_THE_QUEUE} else {IN_A_GROUP} end;
    return null;
end $$;
create constraint trigger count_places after update of claim_id on postmill.gates
deferrable initially deferred for each row when (new.claim_id is not null)
execute function public.count_places();
create function public.count_twins() returns trigger language plpgsql as $$
begin
    insert into public.wrong
    select new.headers ->> 'postmill-unique-key', count(*) from pgmq.q_{QUEUE} as q
    where q.headers ->> 'postmill-unique-key' = new.headers ->> 'postmill-unique-key' having count(*) > 1;
    return null;
end $$;
create trigger count_twins after insert on pgmq.q_{QUEUE} for each row execute function public.count_twins();
create function public.find_early() returns trigger language plpgsql as $$
begin
    insert into public.wrong
    select 'before its source', q.msg_id
    from pgmq.q_{QUEUE} as q join pgmq.q_{QUEUE} as source on q.message -> 'after' @> to_jsonb(source.msg_id)
    where new.queue_name = '{QUEUE}' and q.msg_id = any (new.msg_ids);
    return null;
end $$;
create constraint trigger find_early after insert on postmill.claims
deferrable initially deferred for each row execute function public.find_early();
{STARTS}
"""
"""They look on the server at each commit that takes places or claims messages, and at each message that has a
key: what handlers saw on a server that another has replaced says nothing of what is true on that one.
"""
ENDED = f"""
select msg_id from pgmq.a_{QUEUE} union all
select msg_id from postmill.dead_letters where queue_name = '{QUEUE}' union all
select msg_id from postmill.cancellations where queue_name = '{QUEUE}' and cancelled_at is not null
"""
LEFT_OVER = f"""
select 'queue' as place, msg_id from pgmq.q_{QUEUE} union all
select 'gates', msg_id from postmill.gates union all
select 'blocked', msg_id from postmill.blocked union all
select 'edges', target_id from postmill.edges union all
select 'ended', msg_id from postmill.ended union all
select 'claims', claim_id from postmill.claims
"""


class World:
    """What the handlers of one database see of each other, and which messages were sent to it."""

    def __init__(self, seed: int, *, together: int = 1) -> None:
        self.random = random.Random(seed)
        self.together = together
        """No handler ends before so many of them have run at once."""
        self._met = asyncio.Event()
        self.most: Counter[str] = Counter()
        self.running: Counter[str] = Counter()
        self.sent: list[int] = []

    def handler(self, **options: Any) -> Worker:
        @worker(queue=QUEUE, retry=Retry.fixed(0.05, max_attempts=5), **{"max_concurrent": 8, **options})
        async def handle(payload: dict[str, Any], ctx: Context) -> None:
            with self._counted(ctx.message.headers or {}):
                if self.running["the queue"] >= self.together:
                    self._met.set()
                await self._met.wait()
                await asyncio.sleep(self.random.uniform(0.02, 0.06))
                if payload["fate"] == "fails" and ctx.attempt == 1:
                    raise ValueError("the first time")
            if payload["fate"] == "dies":
                raise Dead("it was told to")

        return handle

    @contextmanager
    def _counted(self, headers: dict[str, Any]) -> Iterator[None]:
        names = ("postmill-group", "postmill-unique-key")
        keys = ["the queue", *(f"{name} {headers[name]}" for name in names if name in headers)]
        running = self.running
        running.update(keys)
        self.most |= Counter({key: running[key] for key in keys})
        try:
            yield
        finally:
            running.subtract(keys)

    async def send(self, url: str, messages: int) -> None:
        """Send so many, from two clients at once."""
        await asyncio.gather(*(self._send(url, messages // 2) for _ in range(2)))

    async def _send(self, url: str, messages: int) -> None:
        async with AsyncClient(url) as client:
            for _ in range(messages):
                after = self.random.sample(self.sent, min(len(self.sent), self.random.choice([0, 0, 1, 2])))
                fate = self.random.choices(["ends", "fails", "dies"], [8, 1, 1])[0]
                options = self._options([f"{QUEUE}:{source}" for source in after])
                sent = await client.send(QUEUE, {"fate": fate, "after": after}, **options)
                if not sent.existed:
                    self.sent.append(int(sent))

    def _options(self, after: list[str]) -> dict[str, Any]:
        roll = self.random.random
        options: dict[str, Any] = {}
        if roll() < 0.7:
            options["group_key"] = f"g{self.random.randrange(GROUPS)}"
        if roll() < 0.4:
            options["unique_key"] = f"k{self.random.randrange(KEYS)}"
        if after:
            options |= {"after": after, "on_source_dead": self.random.choice(["cancel", "skip"])}
        return options

    def exceeded(self) -> dict[str, int]:
        """What ran too often at once, and how often."""
        return {key: most for key, most in self.most.items() if most > limit_of(key)}

    async def learn(self, db: asyncpg.Connection) -> set[int]:
        """Begin anew with what a database has that was put in the place of another; which of it has ended."""
        self.sent = [row[0] for row in await db.fetch(f"select msg_id from pgmq.q_{QUEUE} union {ENDED}")]
        self.most, self.running = Counter(), Counter()
        return {row[0] for row in await db.fetch(ENDED)}


def limit_of(key: str) -> int:
    if key == "the queue":
        return IN_THE_QUEUE
    return IN_A_GROUP if key.startswith("postmill-group") else 1


async def prepare(
    db: asyncpg.Connection, kind: str = "ordinary", *, slack: int = 0, of_places: bool = True
) -> None:
    """Make the queue with its limits, each higher by ``slack`` than what the judges allow; without
    ``of_places`` only its rates.
    """
    await db.execute(KINDS[kind])
    limits = (IN_THE_QUEUE + slack if of_places else None, OF_THE_QUEUE + slack, PER)
    await db.execute(f"select postmill.limit_queue('{QUEUE}', $1, $2, $3)", *limits)
    limits = (IN_A_GROUP + slack if of_places else None, OF_A_GROUP + slack, PER)
    await db.execute(f"select postmill.limit_groups('{QUEUE}', $1, $2, $3)", *limits)
    await db.execute(JUDGES)


async def drained(db: asyncpg.Connection) -> None:
    """Wait until every message has ended, and nothing is kept beside them."""
    try:
        async with asyncio.timeout(GIVE_UP_S):
            while await db.fetchval(f"select exists ({LEFT_OVER})"):  # noqa: ASYNC110 - only it shows it
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(await db.fetch(LEFT_OVER)) from None


async def check(db: asyncpg.Connection, url: str, world: World) -> None:
    """Everything is over, and all of it was exact."""
    assert await db.fetch("select * from public.wrong") == []
    ended = Counter(row[0] for row in await db.fetch(ENDED))
    assert {msg_id: ended[msg_id] for msg_id in world.sent if ended[msg_id] != 1} == {}
    assert set(ended) == set(world.sent)
    windows = windows_of(url)
    assert max(windows[f"g{number}"] for number in range(GROUPS)) <= OF_A_GROUP
    assert windows[""] <= OF_THE_QUEUE


def windows_of(url: str) -> dict[str, int]:
    """The most starts in a window, of each group and of the queue."""
    with session(url) as db:
        return {key: most_in_a_window(db, key) for key in ("", *(f"g{number}" for number in range(GROUPS)))}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What dead workers hold is given back within a second or two."""
    monkeypatch.setattr(heartbeat, "PERIOD_S", 0.2)


class Place:
    """Two workers at work on a database."""

    def __init__(self, runs: list[Running]) -> None:
        self.runs = runs

    async def ended(self, count: int) -> None:
        """Wait until so many attempts have brought a message to its end."""
        ends = (Event.MESSAGE_COMPLETED, Event.MESSAGE_DEAD)
        async with asyncio.timeout(GIVE_UP_S):
            while sum(len(run.events(*ends)) for run in self.runs) < count:  # noqa: ASYNC110 - either says it
                await asyncio.sleep(0.01)


@asynccontextmanager
async def at_work(
    world: World, url: str, address: Address | None = None, **options: Any
) -> AsyncIterator[Place]:
    """Two workers, which serve the queue until this ends."""
    async with AsyncExitStack() as stack:
        start = stack.enter_async_context
        yield Place([await start(running(url, world.handler(**options), address=address)) for _ in range(2)])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("connections", [2, 4])
async def test_behind_a_pooler_in_transaction_mode(
    database_url: str, adb: asyncpg.Connection, connections: int, kind: str
) -> None:
    world = World(1)
    await prepare(adb, kind)
    with pooler(database_url) as pooled:
        async with at_work(world, database_url, parse(pooled.url), max_pg_connections=connections):
            await world.send(pooled.url, 100)
            await drained(adb)
    await check(adb, database_url, world)
    assert world.exceeded() == {}


async def test_with_two_connections(database_url: str, adb: asyncpg.Connection) -> None:
    world = World(2)
    await prepare(adb)
    async with at_work(world, database_url, max_pg_connections=2):
        await world.send(database_url, 100)
        await drained(adb)
    await check(adb, database_url, world)
    assert world.exceeded() == {}


@pytest.mark.parametrize("kind", KINDS)
async def test_after_a_dump_and_a_restore(
    database_url: str, adb: asyncpg.Connection, postgres_binaries: Binaries, quick: None, kind: str
) -> None:
    """The dump is taken in the midst of the work: what the workers held is given back in the other database,
    whose messages, keys, places and edges go on as they were.
    """
    first, second = World(3), World(4)
    await prepare(adb, kind)
    async with at_work(first, database_url) as place:
        await first.send(database_url, 120)
        await place.ended(10)
        with ExitStack() as stack:
            copying = restored_copy(database_url, postgres_binaries)
            url = await asyncio.to_thread(stack.enter_context, copying)
            async with async_session(url) as db:
                assert len(await second.learn(db)) >= 10
                async with at_work(second, url):
                    await second.send(url, 60)
                    await drained(db)
                await check(db, url, second)
        await drained(adb)
    await check(adb, database_url, first)
    assert (first.exceeded(), second.exceeded()) == ({}, {})


@pytest.fixture
def server(postgres_binaries: Binaries) -> Iterator[PrivateServer]:
    """One that a standby may replace."""
    with closing(PrivateServer(postgres_binaries, {"wal_level": "replica"})) as private:
        private.start()
        private.migrate()
        yield private


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ordinary", "partitioned"])
async def test_on_a_standby_that_takes_over(server: PrivateServer, quick: None, kind: str) -> None:
    """What was sent, begun and finished since the standby's last word is unknown to it, and the ids of
    messages and of claims are given out again: a worker that took new claims for old ones let too many run.
    """
    world = World(5)
    async with async_session(server.url) as db:
        await prepare(db, kind)
    async with at_work(world, server.url) as place:
        await world.send(server.url, 60)
        await place.ended(10)
        await asyncio.to_thread(server.save)
        await world.send(server.url, 40)
        await place.ended(30)
        await asyncio.to_thread(server.fail_over)
        async with async_session(server.url) as db:
            ended = await world.learn(db)
            assert set(world.sent) - ended != set()
            await world.send(server.url, 60)
            await drained(db)
            await check(db, server.url, world)


async def worked_off(database_url: str, adb: asyncpg.Connection, *, together: int = 1) -> World:
    """A queue with ten messages of each group before its workers begin, and at its end. Each worker takes as
    many as it may: so the first claim reaches every limit.
    """
    world = World(6, together=together)
    payload = '{"fate": "ends", "after": []}'
    for number in range(10 * GROUPS):
        sending = f"select postmill.send('{QUEUE}', $1::jsonb, group_key => $2)"
        world.sent.append(await adb.fetchval(sending, payload, f"g{number % GROUPS}"))
    async with at_work(world, database_url, max_concurrent=20):
        await drained(adb)
    return world


async def test_the_judges_see_each_rate_reached(database_url: str, adb: asyncpg.Connection) -> None:
    await prepare(adb, of_places=False)
    await check(adb, database_url, await worked_off(database_url, adb))
    windows = windows_of(database_url)
    assert (windows.pop(""), max(windows.values())) == (OF_THE_QUEUE, OF_A_GROUP)


async def test_the_judges_see_each_limit_reached(database_url: str, adb: asyncpg.Connection) -> None:
    await prepare(adb)
    world = await worked_off(database_url, adb, together=IN_THE_QUEUE)
    await check(adb, database_url, world)
    groups = (world.most[f"postmill-group g{number}"] for number in range(GROUPS))
    assert (world.most["the queue"], max(groups)) == (IN_THE_QUEUE, IN_A_GROUP)


async def test_limits_that_are_too_high_are_noticed(database_url: str, adb: asyncpg.Connection) -> None:
    """The control: each judge of places sees its limit exceeded."""
    await prepare(adb, slack=4)
    world = await worked_off(database_url, adb, together=IN_THE_QUEUE + 4)
    wrong = {row["what"] for row in await adb.fetch("select what from public.wrong")}
    assert "the queue" in wrong
    assert any(what.startswith("g") for what in wrong)
    exceeded = world.exceeded()
    assert "the queue" in exceeded
    assert any(key.startswith("postmill-group") for key in exceeded)


async def test_rates_that_are_too_high_are_noticed(database_url: str, adb: asyncpg.Connection) -> None:
    """The control: each judge of starts sees its rate exceeded."""
    await prepare(adb, slack=4, of_places=False)
    await worked_off(database_url, adb)
    windows = windows_of(database_url)
    assert windows.pop("") > OF_THE_QUEUE
    assert max(windows.values()) > OF_A_GROUP


async def test_a_message_that_does_not_wait_for_its_source_is_noticed(
    database_url: str, adb: asyncpg.Connection
) -> None:
    """The control: the judge sees a message that is claimed while a source of it is in the queue."""
    await prepare(adb)
    for after in ("[]", "[1]"):
        payload = f'{{"fate": "ends", "after": {after}}}'
        await adb.execute(f"select postmill.send('{QUEUE}', $1::jsonb)", payload)
    async with at_work(World(6, together=2), database_url):
        await drained(adb)
    assert {row[0] for row in await adb.fetch("select what from public.wrong")} == {"before its source"}

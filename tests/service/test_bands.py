"""The bands of a queue with priorities, without a worker around them: claims and polls, one by one.

Each test of an edge has its control: with the rule taken out, the message is not found by its priority.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio

from postmill.db.hot.shared_connection import SharedConnection
from postmill.engine.claim import band
from postmill.engine.claim.lanes import QueueLanes
from postmill.model.config.address import Address
from postmill.model.queue.queue_name import QueueShape
from postmill.model.queue.worker_options import WorkerOptions
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from postmill.model.queue.bands import BandEdges
    from postmill.model.queue.message import Claim, Message

SEND = """
insert into pgmq.q_tasks (vt, message, headers)
select clock_timestamp() + $3::interval, '1',
       case when $2 > 0 then jsonb_build_object('postmill-priority', $2) end
  from generate_series(1, $1)
returning msg_id
"""
LATER = datetime(2200, 1, 1, tzinfo=UTC)


class Scene:
    """A queue with priorities, a connection of another client, and one worker's lanes."""

    def __init__(self, url: str, db: asyncpg.Connection) -> None:
        self.url = url
        self.db = db
        self.connection = SharedConnection(Address(url), "test")
        self.given: list[int] = []
        options = WorkerOptions(queue="tasks", max_claim_bytes=10_000)
        self.lanes = QueueLanes(self.connection, uuid4(), options, self._shape, self._take)

    async def _shape(self) -> QueueShape:
        [row] = await self.db.fetch(statement("queue_shape"), "tasks")
        return QueueShape.of(dict(row))

    def _take(self, _claim: Claim, messages: list[Message], _to_park: object) -> None:
        self.given += [message.msg_id for message in messages]

    async def send(self, count: int = 1, priority: int = 0, *, due_s: float = 0) -> list[int]:
        found = await self.db.fetch(SEND, count, priority, timedelta(seconds=due_s))
        return [row["msg_id"] for row in found]

    async def look(self) -> None:
        await self.lanes.snapshot(idle=True)

    async def ahead(self, wanted: int = 1) -> list[int]:
        """What the next turn of claims gives."""
        self.given = []
        await self.lanes.ahead(wanted)
        return self.given

    async def behind(self, wanted: int = 100) -> list[int]:
        self.given = []
        await self.lanes.behind(wanted)
        return self.given

    @property
    def edges(self) -> BandEdges:
        assert self.lanes.bands is not None
        return self.lanes.bands.edges

    def used(self, at_s: float) -> None:
        """A message with a priority was last due then."""
        assert self.lanes.bands is not None
        self.lanes.bands.used_s = at_s

    def an_hour_passes(self) -> None:
        """All bands have seen everything up to an hour from now, as by claims of an hour."""
        for priority in self.edges.edges:
            self.edges.seen_all(priority, datetime.now(UTC) + timedelta(hours=1))


@pytest_asyncio.fixture
async def scene(database_url: str) -> AsyncIterator[Scene]:
    db = await asyncpg.connect(database_url)
    scene = Scene(database_url, db)
    try:
        await db.execute("select postmill.create_queue('tasks'); select postmill.enable_priority('tasks')")
        await scene.lanes.begin()
        await scene.look()
        scene.used(time.monotonic())
        yield scene
    finally:
        await scene.connection.close()
        await db.close()


async def test_the_higher_priority_is_first_whatever_was_sent_first(scene: Scene) -> None:
    ids = [msg_id for priority in (0, 3, 9, 1) for msg_id in await scene.send(2, priority)]
    assert await scene.ahead(100) == [ids[4], ids[5], ids[2], ids[3], ids[6], ids[7], ids[0], ids[1]]


async def test_messages_of_one_priority_are_served_in_order_of_time_then_id(scene: Scene) -> None:
    late = await scene.send(2, 9, due_s=-1)
    early = await scene.send(2, 9, due_s=-2)
    await scene.db.execute(
        "insert into pgmq.q_tasks (vt, message, headers)"
        " select '2020-01-01', '1', '{\"postmill-priority\": 9}' from generate_series(1, 3)"
    )
    first = [late[0] + each for each in (4, 5, 6)]
    assert [(await scene.ahead(1))[0] for _ in range(7)] == [*first, *early, *late]


async def test_what_has_waited_long_enough_is_before_a_higher_priority(scene: Scene) -> None:
    """Nine steps of a minute: one second less, and the message of priority 9 is first."""
    await scene.db.execute("select postmill.enable_priority('tasks', aging => '1 minute')")
    [old], [younger], [urgent] = [await scene.send(1, p, due_s=d) for p, d in ((0, -541), (0, -539), (9, 0))]
    assert [(await scene.ahead(1))[0] for _ in range(3)] == [old, urgent, younger]


@pytest.mark.parametrize("seed", range(6))
async def test_one_after_the_other_as_a_plain_model_says(scene: Scene, seed: int) -> None:
    """The model knows all messages. It serves the smallest ``vt - priority * aging`` among the first message
    of each band and the first of all by id.
    """
    chance = random.Random(seed)
    aging_s = chance.choice([1, 10, 100])
    await scene.db.execute("select postmill.enable_priority('tasks', $1)", timedelta(seconds=aging_s))
    waiting: dict[int, tuple[float, int]] = {}
    for _ in range(60):
        age_s, priority = chance.randrange(1, 900) + chance.random(), chance.randrange(10)
        [msg_id] = await scene.send(1, priority, due_s=-age_s)
        vt = await scene.db.fetchval(
            "select extract(epoch from vt)::float from pgmq.q_tasks where msg_id = $1", msg_id
        )
        waiting[msg_id] = (vt, priority)
    await scene.look()
    while waiting:
        heads = {}
        for priority in range(1, 10):
            band = [(vt, msg_id) for msg_id, (vt, its) in waiting.items() if its == priority]
            if band:
                vt, msg_id = min(band)
                heads[vt - priority * aging_s, -priority] = msg_id
        first = min(waiting)
        heads[waiting[first][0], 0] = first
        expected = heads[min(heads)]
        assert await scene.ahead(1) == [expected]
        del waiting[expected]
    assert await scene.ahead(1) == []


async def test_a_delayed_message_is_served_by_its_priority_when_it_falls_due(scene: Scene) -> None:
    await scene.send(3)
    [delayed] = await scene.send(1, 9, due_s=3600)
    await scene.ahead(1)
    await scene.look()
    await scene.db.execute("update pgmq.q_tasks set vt = clock_timestamp() where msg_id = $1", delayed)
    assert await scene.ahead(1) == [delayed]


async def test_an_expired_lease_is_served_by_its_priority(scene: Scene) -> None:
    """Another client read it and did not finish: its vt has come, behind the ids that were seen."""
    [urgent] = await scene.send(1, 9)
    await scene.send(3)
    await scene.db.execute("select * from pgmq.read('tasks', 0, 1)")
    assert await scene.ahead(1) == [urgent]
    await scene.send(3)
    await scene.db.execute("select pgmq.set_vt('tasks', $1::bigint, 0)", urgent)
    assert await scene.ahead(1) == [urgent]


async def test_behind_the_position_the_bands_compete_with_the_due_lane(scene: Scene) -> None:
    """A thousand delayed messages fell due at once, and were claimed by time whatever their priority."""
    ids = await scene.send(20, 0, due_s=3600)
    urgent = await scene.send(2, 9, due_s=3600)
    for _ in range(2):  # the position passes what was given out at the look before
        await scene.look()
    await scene.db.execute("update pgmq.q_tasks set vt = clock_timestamp()")
    await scene.look()
    assert await scene.behind(2) == urgent
    assert set(await scene.behind(100)) == set(ids)


async def test_a_transaction_that_commits_late_is_served_by_its_priority(scene: Scene) -> None:
    """Its vt is an hour old when it commits, and the edge of its band has passed that."""
    await scene.send(5)
    other = await asyncpg.connect(scene.url)
    async with other.transaction():
        [row] = await other.fetch(SEND, 1, 9, timedelta(0))
        await scene.look()
        scene.an_hour_passes()
    await other.close()
    assert await scene.ahead(1) != [row["msg_id"]]  # not seen yet
    await scene.look()
    scene.edges.looked(LATER, [])  # the clock of the test's hour
    assert await scene.ahead(1) == [row["msg_id"]]


async def test_a_short_transaction_between_two_looks_is_found_at_the_next(scene: Scene) -> None:
    scene.an_hour_passes()
    await scene.send(5)
    [urgent] = await scene.send(1, 9)
    assert await scene.ahead(1) != [urgent]
    await scene.look()
    assert await scene.ahead(1) == [urgent]


@pytest.mark.parametrize("moved", ["set_vt", "rolled back"])
async def test_what_appears_behind_an_edge_is_found_by_the_next_look_from_the_beginning(
    scene: Scene, moved: str
) -> None:
    """Another client sets a vt far in the past, or has kept the row locked while a claim came by."""
    [urgent] = await scene.send(1, 9, due_s=-30)
    await scene.send(5)
    if moved == "set_vt":
        await scene.db.execute(
            "update pgmq.q_tasks set vt = vt + interval '1 hour' where msg_id = $1", urgent
        )
        await scene.ahead(1)
        await scene.db.execute("select pgmq.set_vt('tasks', $1::bigint, -1000)", urgent)
    else:
        other = await asyncpg.connect(scene.url)
        reading = other.transaction()
        await reading.start()
        await other.fetch("select * from pgmq.read('tasks', 60, 1)")
        await scene.ahead(1)
        await reading.rollback()
        await other.close()
    await scene.look()
    assert await scene.ahead(1) != [urgent]
    assert not scene.edges.revisit(0.0)
    scene.edges.revisit(1e9)
    assert await scene.ahead(1) == [urgent]


async def test_without_any_look_back_the_plain_lane_finds_it(scene: Scene) -> None:
    """The bands are never the only way to a message: here they have passed everything for ever."""
    sent = [msg_id for priority in range(10) for msg_id in await scene.send(2, priority, due_s=-30)]
    for priority in scene.edges.edges:
        scene.edges.edges[priority] = (LATER, 0)
    assert sorted(await scene.ahead(100)) == sent


async def test_times_that_python_can_not_hold_break_nothing(scene: Scene) -> None:
    sent = [await scene.send(1, 9) for _ in range(4)]
    for [msg_id], vt in zip(sent, ["-infinity", "4000-01-01 BC", "0001-01-01", "1999-12-31"], strict=True):
        await scene.db.execute(f"update pgmq.q_tasks set vt = '{vt}' where msg_id = {msg_id}")
    await scene.db.execute("select postmill.enable_priority('tasks', aging => '1 year')")
    given = [*(await scene.ahead(3)), *(await scene.ahead(3))]
    assert sorted(given) == [msg_id for [msg_id] in sent]


async def test_ten_thousand_delayed_messages_of_a_priority_are_not_walked_over(scene: Scene) -> None:
    """The scan of a band ends at the clock; counted in pages, which do not depend on the machine."""
    await scene.send(10_000, 9, due_s=3600)
    await scene.db.execute("analyze pgmq.q_tasks")
    assert scene.lanes.bands is not None
    fast = scene.lanes.in_order[0]
    text, arguments = scene.lanes.bands.heads(scene.lanes.shape, "tasks", fast, (10_000,))
    row = await scene.connection.fetchrow(f"explain (analyze, buffers, format json) {text}", *arguments)
    [plan] = json.loads(row[0])
    assert plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"] < 100


async def test_a_claim_stops_at_the_byte_limit_and_goes_on_where_it_stopped(scene: Scene) -> None:
    """The edge was put behind all candidates, also those that were left for their size."""
    large = "insert into pgmq.q_tasks (vt, message, headers) values ('2020-01-01', $1, $2) returning msg_id"
    [plain] = await scene.send(1)
    random_text = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=6_000))
    ids = [await scene.db.fetchval(large, f'"{random_text}"', '{"postmill-priority": 9}') for _ in range(6)]
    given = []
    while ahead := await scene.ahead(100):
        assert len(ahead) <= 4
        given += ahead
    assert given == [*ids, plain]


async def test_a_message_that_can_not_be_claimed_does_not_stop_its_band(scene: Scene) -> None:
    """A trigger refuses one row: the band's claims failed as a whole, again and again."""
    ids = await scene.send(3, 9)
    await scene.db.execute(
        "create function refuse() returns trigger language plpgsql as $$ begin raise 'no'; end $$;"
        f"create trigger refuse before update on pgmq.q_tasks for each row when (old.msg_id = {ids[1]})"
        " execute function refuse()"
    )
    given = []
    for _ in range(4):
        given += await scene.ahead(10)
    assert given == [ids[0], ids[2]]


async def test_a_paused_queue_gives_nothing(scene: Scene) -> None:
    [urgent] = await scene.send(1, 9)
    await scene.db.execute("select postmill.pause('tasks')")
    assert await scene.ahead(10) == []
    await scene.db.execute("select postmill.resume('tasks')")
    assert await scene.ahead(10) == [urgent]


async def test_only_a_queue_with_priorities_sends_a_statement_more(scene: Scene) -> None:
    async def statements() -> int:
        await scene.send(5)
        before = scene.connection.statements
        assert len(await scene.ahead(5)) == 5
        return scene.connection.statements - before

    assert await statements() == 2
    await scene.db.execute("select postmill.disable_priority('tasks')")
    await scene.look()
    assert await statements() == 1


async def test_messages_without_a_priority_pay_for_few_looks_and_the_first_with_one_waits_for_the_next(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look cost as much before each claim of a queue in which no message had a priority."""
    monkeypatch.setattr(band, "UNUSED_LOOK_S", 0.2)
    scene.used(-math.inf)
    plain = await scene.send(100)
    before = scene.connection.statements
    for _ in range(10):
        await scene.ahead(5)
    assert scene.connection.statements - before <= 12  # a busy machine may take a second look
    [urgent] = await scene.send(1, 9)
    await asyncio.sleep(0.2)
    assert await scene.ahead(1) == [urgent]
    [another] = await scene.send(1, 9)
    assert await scene.ahead(2) == [another, plain[50]]


async def test_an_urgent_message_that_came_without_a_look_is_taken_note_of(scene: Scene) -> None:
    """A message with a priority that followed a look was claimed as any other, and more were not expected."""
    scene.used(-math.inf)
    await scene.send(1)
    await scene.ahead(1)  # looks
    expected = [scene.lanes.expects_urgent]
    [urgent] = await scene.send(1, 9)
    assert await scene.ahead(1) == [urgent]
    assert [*expected, scene.lanes.expects_urgent] == [False, True]


async def test_an_index_that_is_gone_ends_the_priorities(scene: Scene) -> None:
    """Another client dropped the queue and created it again: each claim would have read the whole queue."""
    before = scene.lanes.has_priorities
    await scene.db.execute("select pgmq.drop_queue('tasks'); select pgmq.create('tasks')")
    [urgent] = await scene.send(1, 9)
    await scene.lanes.begin()
    await scene.look()
    assert (before, scene.lanes.has_priorities) == (True, False)
    assert await scene.ahead(10) == [urgent]


async def test_the_position_follows_the_bands(scene: Scene) -> None:
    """While an old transaction kept the rows, each look walked over all that the bands had given before."""
    urgent = await scene.send(50, 9)
    [plain] = await scene.send(1)
    await scene.look()
    assert await scene.ahead(50) == urgent
    [more] = await scene.send(1, 9)
    assert await scene.ahead(1) == [more]
    assert scene.lanes.cursor.position == plain - 1
    assert await scene.ahead(1) == [plain]

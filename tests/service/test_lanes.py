"""A queue's lanes are a list of objects: another kind of message is claimed from a lane of its own.

Here it is a band: messages whose header says that they are urgent, in order of id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from postmill import worker
from postmill.engine.claim.lane import Fast, Lane
from postmill.model.queue.retry import FixedRetry
from postmill.sql.catalog import queue_statement
from tests.service.running import finished, running

if TYPE_CHECKING:
    from postmill.engine.claim.lane import Bounds
    from postmill.engine.worker import QueueWorker
    from postmill.handlers import Worker
    from postmill.model.queue.cursor import Cursor
    from postmill.model.queue.queue_name import QueueShape

ORDINARY = 400
URGENT = [ORDINARY + 1, ORDINARY + 2, ORDINARY + 3]
IN_LANE = "where msg_id > $1::bigint"


class Urgent(Lane):
    """Its edge is its own: an id up to which it has seen every urgent message."""

    passing_by = ("left_out",)

    def __init__(self, *, leads: bool) -> None:
        super().__init__()
        self.leads = leads  # type: ignore[misc]
        self.seen = 0
        self.limits: list[int] = []

    def begin(self) -> None:
        self.seen = 0

    def statement(self, shape: QueueShape, *more: str) -> str:
        text = queue_statement("claim", shape, "fast", *more)
        assert IN_LANE in text
        return text.replace(IN_LANE, f"{IN_LANE} and headers ->> 'urgent' = 'yes'")

    def bounds(self, cursor: Cursor, now_s: float, lookback: int) -> Bounds:
        return (max(0, self.seen - lookback),)

    def share(self, room: int, found: int) -> int:
        self.limits.append(room)
        return 1

    def claimed(self, cursor: Cursor, bounds: Bounds, row: Any, now_s: float) -> None:
        self.seen = max([self.seen, *(row["msg_ids"] or ())])


def recorder(seen: list[int]) -> Worker:
    @worker(queue="tasks", max_concurrent=1, batch_size=8, max_poll_seconds=60)
    async def handle(number: int) -> None:
        seen.append(number)

    return handle


async def handled(database_url: str, lane: Lane | None) -> list[int]:
    """The messages in the order in which one worker takes them: the urgent ones were sent last."""
    seen: list[int] = []
    async with running(database_url, recorder(seen), begin=False) as run:

        def add_lane(added: QueueWorker) -> None:
            assert isinstance(added.claimer.lanes.in_order[0], Fast)
            if lane is not None:
                added.claimer.lanes.in_order.insert(0, lane)

        run.engine.on_worker.append(add_lane)
        await run.db.execute("select postmill.create_queue('tasks')")
        await run.db.execute(
            "insert into pgmq.q_tasks (vt, message, headers)"
            " select now(), to_jsonb(n), case when n > $1 then jsonb_build_object('urgent', 'yes') end"
            " from generate_series(1, $1 + 3) as n",
            ORDINARY,
        )
        await run.engine.start()
        assert (await finished(run, ORDINARY + 3))["archive"] == ORDINARY + 3
    assert sorted(seen) == list(range(1, ORDINARY + 4))
    return seen


async def test_without_a_lane_of_their_own_they_come_in_order(database_url: str) -> None:
    assert (await handled(database_url, None))[-3:] == URGENT


async def test_a_lane_that_leads_gives_its_messages_first(database_url: str) -> None:
    """One at each claim, as its share says, and the fast lane has the rest of the room."""
    lane = Urgent(leads=True)
    seen = await handled(database_url, lane)
    assert [seen.index(number) <= 8 * (turn + 1) for turn, number in enumerate(URGENT)] == [True] * 3
    assert seen[0] == URGENT[0]


async def test_a_lane_that_does_not_lead_has_its_turn_after_a_look(database_url: str) -> None:
    lane = Urgent(leads=False)
    seen = await handled(database_url, lane)
    assert seen.index(URGENT[0]) <= 8
    assert lane.limits[0] == 1  # of the room for one: a quarter, and one at least


@pytest.mark.parametrize("leads", [True, False])
async def test_a_retry_of_such_a_message_is_found_by_the_lanes_that_are_there(
    database_url: str, leads: bool
) -> None:
    attempts: list[int] = []

    @worker(queue="tasks", max_poll_seconds=60, retry=FixedRetry(2, 0.0))
    async def handle(number: int) -> None:
        attempts.append(number)
        if len(attempts) == 1:
            raise ValueError("once")

    async with running(database_url, handle, begin=False) as run:
        run.engine.on_worker.append(lambda added: added.claimer.lanes.in_order.insert(0, Urgent(leads=leads)))
        await run.engine.start()
        await run.db.execute("select pgmq.send('tasks', '7', '{\"urgent\": \"yes\"}'::jsonb)")
        assert (await finished(run, 1))["archive"] == 1
    assert attempts == [7, 7]

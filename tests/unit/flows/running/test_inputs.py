"""What tasks are given is asked for once a turn of the loop; no task waits for an answer that never comes."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import pytest

from postmill.flows.running import inputs
from postmill.flows.running.inputs import InputQueries
from postmill.model.queue.message import Claim
from postmill.model.queue.outcome import Snooze

if TYPE_CHECKING:
    from postmill.db.hot.shared_connection import SharedConnection
    from postmill.model.queue.message import Message


class Reads:
    """Stands for the connection: answers with what was asked for, when it is let go."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.asked: list[list[tuple[int, str]]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.run_state = "running"
        self._error = error

    async def fetch(
        self, _text: str, runs: list[int], steps: list[str], _fitting: list[int]
    ) -> list[dict[str, Any]]:
        keys = list(zip(runs, steps, strict=True))
        self.asked.append(keys)
        await self.open.wait()
        if self._error is not None:
            raise self._error
        return [
            {
                "run_id": run,
                "step": step,
                "flow": "f",
                "run_state": self.run_state,
                "step_state": "started",
                "kind": "map" if step.startswith("map") else "step",
                "inputs": f'{{"n": {run}}}',
                "output": None,
                "run_input": None,
            }
            for run, step in keys
            if run < 100
        ]


class AnItem:
    """Stands for the message of an item: nothing has come with it."""

    given = None

    def __init__(self, claimed_at: float) -> None:
        self.claim = Claim(1, datetime.now(UTC), claimed_at)


def known(queries: InputQueries, run: int, step: str, claimed_at: float = 0.0) -> bytes | None:
    told = queries.known(run, step, cast("Message", AnItem(claimed_at)))
    return None if told is None else bytes(told.values["n"])


def connection(reads: Reads) -> SharedConnection:
    return cast("SharedConnection", reads)


async def test_one_statement_a_turn_and_each_step_of_a_run_once() -> None:
    queries, reads = InputQueries(), Reads()
    wanted = [(1, "a"), (1, "b"), (1, "a"), (2, "a"), (100, "a")]
    found = await asyncio.gather(*(queries.of(*key, connection(reads)) for key in wanted))
    assert reads.asked == [[(1, "a"), (1, "b"), (2, "a"), (100, "a")]]
    assert [None if each is None else bytes(each.values["n"]) for each in found] == [
        b"1",
        b"1",
        b"1",
        b"2",
        None,
    ]
    await queries.of(1, "a", connection(reads))
    assert len(reads.asked) == 2, "nothing is kept for the next turn"


async def test_what_items_of_a_map_share_is_kept_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "FRESH_S", 3600.0)
    queries, reads = InputQueries(), Reads()
    for key in ((1, "map"), (2, "map"), (3, "step")):
        await queries.of(*key, connection(reads))
    assert [known(queries, 1, "map"), known(queries, 2, "map")] == [b"1", b"2"]
    assert [known(queries, 2, "map2"), known(queries, 3, "step")] == [None, None]
    assert known(queries, 1, "map", time.monotonic() + 1) is None, "its run may have been paused before"
    monkeypatch.setattr(inputs, "FRESH_S", -1.0)
    assert known(queries, 1, "map") is None, "its run may have been cancelled since"


async def test_of_a_map_that_may_not_run_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """An item that comes after the run was resumed would be held for good."""
    monkeypatch.setattr(inputs, "FRESH_S", 3600.0)
    queries, reads = InputQueries(), Reads()
    reads.run_state = "paused"
    await queries.of(1, "map", connection(reads))
    assert known(queries, 1, "map") is None


async def test_what_is_wanted_meanwhile_is_asked_for_next() -> None:
    queries, reads = InputQueries(), Reads()
    reads.open.clear()
    first = asyncio.ensure_future(queries.of(1, "a", connection(reads)))
    await asyncio.sleep(0.001)
    second = asyncio.ensure_future(queries.of(1, "a", connection(reads)))
    await asyncio.sleep(0.001)
    reads.open.set()
    await asyncio.gather(first, second)
    assert reads.asked == [[(1, "a")]] * 2


async def test_an_outage_is_no_attempt_and_anything_else_is_raised() -> None:
    with pytest.raises(Snooze):
        await InputQueries().of(1, "a", connection(Reads(ConnectionResetError())))
    with pytest.raises(LookupError):
        await InputQueries().of(1, "a", connection(Reads(LookupError())))


async def test_code_that_cancels_every_task_leaves_nobody_waiting() -> None:
    """A task that was asked for while the cancelled query ran waited for ever, its lease renewed."""
    queries, reads = InputQueries(), Reads()
    reads.open.clear()
    waiting = [asyncio.ensure_future(queries.of(1, "a", connection(reads)))]
    await asyncio.sleep(0.001)
    waiting.append(asyncio.ensure_future(queries.of(2, "a", connection(reads))))
    await asyncio.sleep(0.001)
    (asking,) = asyncio.all_tasks() - {asyncio.current_task(), *waiting}
    asking.cancel()
    for each in waiting:
        with pytest.raises(Snooze):
            await each
    reads.open.set()
    assert await queries.of(1, "a", connection(reads)) is not None

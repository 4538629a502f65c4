"""Which host of an address is tried when, with attempts that a test decides."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from postmill.client import asyncpg_connection
from postmill.client.asyncpg_connection import _first_to_open as first_to_open


class Opened:
    """A connection that knows whether it was ended."""

    def __init__(self) -> None:
        self.terminated = False

    def terminate(self) -> None:
        self.terminated = True


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asyncpg_connection, "STAGGER_S", 0.0)


async def test_the_next_host_is_tried_beside_one_that_hangs() -> None:
    tried, found, hanging = [], Opened(), asyncio.Event()

    async def open_at(place: int) -> Any:
        tried.append(place)
        if place == 0:
            await hanging.wait()
        return found

    taken: Any = await first_to_open(open_at, [0, 1, 2], 0)
    assert taken is found
    assert tried[:2] == [0, 1]


async def test_a_second_success_is_ended() -> None:
    """Two hosts answer at the same moment."""
    both = [Opened(), Opened()]
    gate = asyncio.Event()

    async def open_at(place: int) -> Any:
        if place == 1:
            gate.set()
        await gate.wait()
        return both[place]

    taken: Any = await first_to_open(open_at, [0, 1], 0)
    assert sorted(one.terminated for one in both) == [False, True]
    assert not taken.terminated


async def test_the_last_hosts_failure_is_the_answer() -> None:
    async def open_at(place: int) -> Any:
        raise OSError(f"host {place}")

    with pytest.raises(OSError, match="host 2"):
        await first_to_open(open_at, [0, 1, 2], 0)


async def test_a_cancelled_caller_leaves_no_attempt_behind() -> None:
    started, ended = asyncio.Event(), []

    async def open_at(place: int) -> Any:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(place)

    opening = asyncio.ensure_future(first_to_open(open_at, [0, 1], 0))
    await started.wait()
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert 0 in ended


async def test_a_standby_is_asked_again_while_another_host_hangs() -> None:
    """It was promoted a moment after it had refused; the hanging host held everything up until its limit."""
    asked, found = [], Opened()

    async def open_at(place: int) -> Any:
        asked.append(place)
        if place == 0:
            await asyncio.Event().wait()
        if asked.count(1) < 3:
            raise ConnectionRefusedError
        return found

    taken: Any = await first_to_open(open_at, [0, 1], 60)
    assert taken is found
    assert asked == [0, 1, 1, 1]

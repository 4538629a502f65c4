"""Watches runs: reads what has changed, soon after it has, for everyone who watches on one client in one
event loop.

Where notifications arrive, a change wakes its watcher: a row in ``postmill.waiters`` asks for that, so that
nothing is notified while no client watches. It is committed before the first read, and what a read does not
see is told or polled for. Everything is also polled for: a pooler passes no notification on, and one may be
lost.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING
from uuid import uuid4

from postmill.client import awaited
from postmill.client.awaited import Ref
from postmill.flows.changes import Batch, Changes
from postmill.model.errors import DatabaseUnavailable, LoginFailed, NotFound, PostmillError, TimedOut

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from postmill.client.waiting_line import Line, WaitingExecutor

WATCHED = "#runs"
"""The name under which ``postmill.waiters`` has runs: no queue can have it."""
POLL_S = 1.0
"""Seconds between two reads where no notification arrives. One read of a run takes the server less than 1 ms.
"""
FLOOR_S = 5.0
"""The same where they arrive: what changes a run tells, and only a lost notification has to be made up for.
"""
PAUSE_S = 0.05
"""Seconds between two reads at least: a run whose steps end all the time is read 20 times a second, not at
each.
"""
SHARE = 4
"""A pause is at least so many times as long as the read before it took."""
RENEW_S = 900.0
"""Seconds between two renewals of a row in ``postmill.waiters``: a quarter of the hour that it is kept."""
OUTAGE_S = 60.0
"""How long an outage of the database is borne, in seconds: a restart or a failover is over by then."""
RETRY_S = 1.0
"""Seconds between two tries in an outage. 1 s: a restarted server is back about then, and is not flooded."""
LAST_WORDS_S = 2.0
"""Seconds for the statements with which watching ends."""


class Watching:
    """The watchers of one executor in one event loop. They share one connection that listens."""

    def __init__(self, executor: WaitingExecutor) -> None:
        self._executor = executor
        self._channel = f"postmill.watcher.{uuid4()}"
        self._watchers: dict[int, set[asyncio.Event]] = {}
        self._asked_at: dict[int, float] = {}
        """Run -> when its row was written for this connection, by the loop's clock."""
        self._line: Line | None = None
        self._is_cut = False
        self._only_polls = False
        self._turn = asyncio.Lock()

    async def batches(self, run_id: int, position: str | None = None) -> AsyncGenerator[Batch, None]:
        """What happens to a run, from ``position`` on, or all of it and then what happens, until it has
        ended. A batch without events comes at each look that has found none. The next read waits until this
        one is taken.

        Raises :class:`NotFound`, :class:`InvalidOption` for a position that is none, ``DatabaseUnavailable``
        when the database is away for longer than ``OUTAGE_S``, ``Refused`` on a connection that is in a
        transaction.
        """
        if self._executor.in_transaction:
            raise awaited.in_transaction()
        changes = Changes(run_id, position)
        loop = asyncio.get_running_loop()
        good_at: float | None = None
        async with self._watcher(run_id) as news:
            while True:
                began = loop.time()
                news.clear()
                try:
                    is_told = await self._ask(run_id)
                    batch = changes.batch(await self._executor.look(changes.asking()))
                except (DatabaseUnavailable, TimedOut) as error:
                    if isinstance(error, LoginFailed) or good_at is None or began - good_at > OUTAGE_S:
                        raise
                    yield Batch((), changes.position, is_last=False)
                    await asyncio.sleep(RETRY_S)
                    continue
                if batch is None:
                    raise NotFound(
                        f"There is no run {run_id}.", hint="Runs are removed a while after their end."
                    )
                good_at = loop.time()
                yield batch
                if batch.is_last:
                    return
                await asyncio.sleep(max(PAUSE_S, SHARE * (good_at - began)))
                if not changes.is_paging:
                    await _news_or(news, FLOOR_S if is_told else POLL_S)

    async def close(self) -> None:
        """Close the connection that listens. Watchers that are left poll."""
        async with self._turn:
            self._only_polls = True
            await self._hang_up()

    @asynccontextmanager
    async def _watcher(self, run_id: int) -> AsyncIterator[asyncio.Event]:
        news = asyncio.Event()
        self._watchers.setdefault(run_id, set()).add(news)
        try:
            yield news
        finally:
            watchers = self._watchers[run_id]
            watchers.discard(news)
            if not watchers:
                del self._watchers[run_id]
                with suppress(Exception):
                    async with asyncio.timeout(LAST_WORDS_S):
                        await self._forget(run_id)

    async def _ask(self, run_id: int) -> bool:
        """Have the changes of a run told; returns whether they will be."""
        async with self._turn:
            if self._is_cut:
                await self._hang_up()
            if self._line is None and not self._only_polls:
                self._line = await self._executor.listen(self._channel, self._heard, self._lost)
                self._only_polls = self._line is None
            if self._line is None:
                return False
            now = asyncio.get_running_loop().time()
            if now - self._asked_at.get(run_id, -RENEW_S) < RENEW_S:
                return True
            self._asked_at[run_id] = now - RENEW_S  # a row may be there from here on, also when this is cut
            try:
                await self._line.run(awaited.waiting([Ref(WATCHED, run_id)], self._channel))
            except PostmillError as error:
                if not awaited.can_not_write(error):
                    await self._hang_up()
                    raise
                self._only_polls = True
                await self._hang_up()
                return False
            self._asked_at[run_id] = now
            return True

    async def _forget(self, run_id: int) -> None:
        async with self._turn:
            if run_id in self._watchers or self._line is None:
                return  # another one has come meanwhile, or the row goes with time
            if self._asked_at.pop(run_id, None) is not None:
                await self._line.run(awaited.ceasing([Ref(WATCHED, run_id)], self._channel))
            if not self._watchers:
                await self._hang_up()

    async def _hang_up(self) -> None:
        line, self._line, self._is_cut = self._line, None, False
        self._asked_at.clear()
        if line is not None:
            with suppress(Exception):
                async with asyncio.timeout(LAST_WORDS_S):
                    await line.close()

    # called by the connection

    def _heard(self, payload: str) -> None:
        ref = awaited.told(payload)
        if ref is not None:
            for news in self._watchers.get(ref.msg_id, ()):
                news.set()

    def _lost(self) -> None:
        """The next look of each watcher opens another one."""
        self._is_cut = True
        for watchers in self._watchers.values():
            for news in watchers:
                news.set()


async def _news_or(news: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await news.wait()

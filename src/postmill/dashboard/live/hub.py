"""One poll for all pages that watch. Streams are told versions, and no content: a page asks again for
what has another version than it shows.

It rests while no page watches. It belongs to one event loop, and begins at the first stream: a mounted
application is told of no start.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, deque
from contextlib import suppress
from typing import TYPE_CHECKING

from postmill.model.errors import PostmillError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping

    Poll = Callable[[Collection[str]], Awaitable[Mapping[str, str]]]

POLL_S = 0.25
"""Seconds between two polls. A change is on the screen a quarter of a second later at most, which is felt
as at once; a poll of 100 queues takes 1.5 ms.
"""
SHARE = 20
"""Polls that take long are followed by rests that are at least this many times as long: they take 5 % of a
core of the database at most.
"""
LAST = 5
"""Polls of which the fastest tells what one takes. On a busy machine one in five waited for a processor, and
a rest of twenty times that wait made pages late by half a second; a database that is slow is so five times.
"""
STILL_HERE_S = 3.0
"""Seconds without news after which a stream has a turn all the same. It may be that its viewer is not known
any more, which is looked at then.
"""
_log = logging.getLogger(__name__)


class Hub:
    """``stream`` may be called by any number of requests."""

    def __init__(self, poll: Poll) -> None:
        """``poll`` returns the version of each topic of those it is given."""
        self._poll = poll
        self._wanted: Counter[str] = Counter()
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._failing_since_s: float | None = None
        """When the first poll failed of those that have failed in a row, by the monotonic clock."""
        self.versions: Mapping[str, str] = {}
        """As they were last read; old when no page watches."""
        self.watchers = 0
        self.polls = 0
        self.closing = False

    async def stream(self, topics: Collection[str]) -> AsyncIterator[Mapping[str, str] | None]:
        """First the versions of ``topics``, then what has changed of them, until :meth:`close`. Nothing to
        tell for :data:`STILL_HERE_S` seconds yields an empty mapping; None when nothing could be read for as
        long.
        """
        self._wanted.update(topics)
        self.watchers += 1
        told: dict[str, str] = {}
        turn_s = time.monotonic()
        try:
            self._begin()
            while not self.closing:
                news = self._news
                changed = {each: self.versions[each] for each in topics if self._is_news(each, told)}
                if changed or time.monotonic() - turn_s >= STILL_HERE_S:
                    told |= changed
                    turn_s = time.monotonic()
                    yield None if self._is_blind(turn_s) else changed
                else:
                    await _happens(news, turn_s + STILL_HERE_S - time.monotonic())
        finally:
            self.watchers -= 1
            self._wanted.subtract(topics)
            self._wanted += Counter()  # drops those that no page watches

    def close(self) -> None:
        """End every stream, now. May be called twice."""
        self.closing = True
        self._tell()
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def _is_blind(self, now_s: float) -> bool:
        return self._failing_since_s is not None and now_s - self._failing_since_s >= STILL_HERE_S

    def _is_news(self, topic: str, told: Mapping[str, str]) -> bool:
        return topic in self.versions and told.get(topic) != self.versions[topic]

    def _begin(self) -> None:
        if (self._task is None or self._task.done()) and not self.closing:
            self._failing_since_s = None
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        took_s: deque[float] = deque(maxlen=LAST)
        while self.watchers:
            began = time.monotonic()
            try:
                found = await self._poll(list(self._wanted))
            except PostmillError as error:  # the database is away or busy: it is asked again
                self._failed(began)
                _log.debug("The counters could not be read: %s", error)
            except Exception:  # a bug: the pages that watch would never hear of anything again
                self._failed(began)
                _log.exception("The counters could not be read.")
            else:
                self.polls += 1
                self._failing_since_s = None
                if found != self.versions:  # else hundreds of streams would wake for nothing
                    self.versions = found
                    self._tell()
            took_s.append(time.monotonic() - began)
            await asyncio.sleep(rest_s(took_s))

    def _failed(self, at_s: float) -> None:
        if self._failing_since_s is None:
            self._failing_since_s = at_s

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()


def rest_s(took_s: Collection[float]) -> float:
    """How long to rest after polls that took so long, the last ones, in seconds."""
    return max(POLL_S, SHARE * min(took_s))


async def _happens(event: asyncio.Event, within_s: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            await event.wait()

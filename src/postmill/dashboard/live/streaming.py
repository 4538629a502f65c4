"""The stream of versions, as server-sent events. It carries no data of the database, and no ids to begin
again from: who comes back is told the versions as they are then.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from contextlib import aclosing
from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.responses import Response, StreamingResponse

from postmill.dashboard.live.endings import Endings
from postmill.dashboard.live.hub import Hub
from postmill.dashboard.live.topics import quoted, unquoted

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping

    from starlette.requests import Request

    from postmill.api.viewer import Viewer
    from postmill.dashboard.live.hub import Poll

    IsKnown = Callable[[], Awaitable[bool]]

MOST_TOPICS = 200
"""Topics of one stream at most. A page shows a hundred queues, and a browser's tabs share their stream."""
LONGEST_TOPIC = 100
"""Characters of a topic at most. A queue's name has 47, an id 19, and the word before it a few."""
MOST_STREAMS = 1_000
"""Streams at once at most. Each costs a connection and some kilobytes; a thousand people at one dashboard are
more than there are, so what is above is a fault or a flood.
"""
MOST_OF_ONE = 250
"""Streams at once at most of one viewer from one address. A browser's tabs share one; 250 are for a team
that has one key in common, behind a proxy that tells no addresses, and leave most of all to others.
"""
LIFE_S = 600.0
"""How long a stream lives, in seconds. A browser comes back at once; a connection whose other end has gone
without a word is held for ten minutes at most.
"""
KNOWN_S = 3.0
"""How long a viewer is taken to be known, in seconds. Three: a viewer whose key was revoked watches hardly
longer, and a stream costs one read of one row in that time, and none with a key of the settings.
"""
QUIET_S = 15.0
"""Seconds after which a stream without news sends an empty message. Proxies cut off what is silent for 30
seconds or 60; each message of 200 streams wakes 200 connections.
"""
LOST = "event: lost\ndata: 1\n\n"
"""Nothing can be read: what the pages show is not what is. The next message says that this is over."""


class Streaming:
    """The hub and its streams."""

    def __init__(self, poll: Poll) -> None:
        """``poll`` returns the version of each topic of those it is given."""
        self.hub = Hub(poll)
        self._endings: Endings | None = None
        self._held: Counter[Viewer] = Counter()

    async def answer(self, request: Request, viewer: Viewer, is_known: IsKnown) -> Response:
        """The stream of the topics that are asked for; it ends when its viewer is not known any more."""
        is_full = self.hub.watchers >= MOST_STREAMS or self._held[viewer] >= MOST_OF_ONE
        if self.hub.closing or is_full:
            return Response(status_code=HTTPStatus.SERVICE_UNAVAILABLE, headers={"retry-after": "5"})
        self._listen()
        asked = [unquoted(each) for each in request.query_params.getlist("topic")]
        topics = [each for each in asked if len(each) <= LONGEST_TOPIC][:MOST_TOPICS]
        return StreamingResponse(
            self._held_by(viewer, self._events(topics, is_known)),
            media_type="text/event-stream",
            headers={"cache-control": "no-store", "x-accel-buffering": "no"},
        )

    def close(self) -> None:
        """End every stream."""
        self.hub.close()
        if self._endings is not None:
            self._endings.forget()

    async def _held_by(self, viewer: Viewer, events: AsyncGenerator[str, None]) -> AsyncIterator[str]:
        self._held[viewer] += 1
        try:
            async with aclosing(events):
                async for each in events:
                    yield each
        finally:
            self._held[viewer] -= 1
            self._held += Counter()  # drops who holds none

    async def _events(self, topics: list[str], is_known: IsKnown) -> AsyncGenerator[str, None]:
        yield "retry: 1000\n\n"
        asked_s = said_s = time.monotonic()
        end_s = asked_s + LIFE_S
        is_lost = False
        async for news in self.hub.stream(topics):
            now_s = time.monotonic()
            if now_s - asked_s >= KNOWN_S:
                if not await is_known():
                    return
                asked_s = now_s
            if news or news is None or is_lost or now_s - said_s >= QUIET_S:
                yield LOST if news is None else f"data: {json.dumps(_told(news))}\n\n"
                is_lost, said_s = news is None, now_s
            if now_s > end_s:
                return

    def _listen(self) -> None:
        if self._endings is None:
            loop = asyncio.get_running_loop()
            self._endings = Endings(lambda: _soon(loop, self.hub))
            self._endings.listen()


def _told(news: Mapping[str, str]) -> dict[str, str]:
    return {quoted(topic): version for topic, version in news.items()}


def _soon(loop: asyncio.AbstractEventLoop, hub: Hub) -> None:
    """In a handler of signals: the loop may be closed by now, with every stream."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(hub.close)

"""A run's events as a stream that a browser's ``EventSource`` understands (HTML standard, Server-sent
events).
"""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from typing import TYPE_CHECKING

import msgspec

from postmill.flows.events import Emitted, RunChanged
from postmill.web.asgi import respond

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from postmill.flows.changes import Batch
    from postmill.flows.events import RunEvent
    from postmill.gateway.wrappers import Response
    from postmill.web.asgi import Receive, Scope

KEEP_ALIVE_S = 15.0
"""Seconds without an event after which a comment is sent: proxies end connections that say nothing for 30 to
60 s.
"""
ENDED = ".end"
"""Stands behind the position of the last event: a client that has it has all, and a browser that asks again
gets an answer which tells it not to.
"""
_HEADERS = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]
"""The last one keeps nginx from collecting what should be sent at once."""


async def stream(
    scope: Scope,
    receive: Receive,
    response: Response,
    batches: AsyncGenerator[Batch, None],
    *,
    seen: bytes | None,
) -> None:
    """Answer with what ``batches`` has, until that ends or the client goes. ``seen``: the id of the last
    event that the client has had. When there is no more to see, 204 keeps a browser from asking again.
    """
    sending = asyncio.create_task(_send(scope, response, batches, seen or b""))
    leaving = asyncio.create_task(_until_gone(receive))
    try:
        await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (sending, leaving):
            task.cancel()
        await asyncio.wait({sending, leaving})
    if not sending.cancelled():
        sending.result()


async def _send(scope: Scope, response: Response, batches: AsyncGenerator[Batch, None], seen: bytes) -> None:
    async with aclosing(batches):
        said_at = 0.0
        async for batch in batches:
            if batch.is_last and not response.started and _has_all(batch, seen):
                await respond(scope, response, 204, [], b"")
                return
            if not response.started:
                await response({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            text = b"".join(_lines(batch))
            if not text and time.monotonic() - said_at >= KEEP_ALIVE_S:
                text = b":\n\n"
            if text:
                await response({"type": "http.response.body", "body": text, "more_body": True})
                said_at = time.monotonic()
        await response({"type": "http.response.body", "body": b"", "more_body": False})


def _has_all(batch: Batch, seen: bytes) -> bool:
    """Whether the client has had the end of the run. What is told again is not news."""
    return seen.endswith(ENDED.encode()) or (bool(seen) and not batch.events)


def _lines(batch: Batch) -> Iterator[bytes]:
    """Each event. The last one brings the position: a client that has missed a part of a batch gets all of
    it.
    """
    for place, event in enumerate(batch.events, 1):
        yield b"event: %b\ndata: %b\n" % (_name(event), msgspec.json.encode(event))
        if place == len(batch.events) and batch.position is not None:
            yield f"id: {batch.position}{ENDED if batch.is_last else ''}\n".encode()
        yield b"\n"


def _name(event: RunEvent) -> bytes:
    if isinstance(event, Emitted):
        return b"emitted"
    return b"run" if isinstance(event, RunChanged) else b"step"


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass

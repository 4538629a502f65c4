"""Server-sent events: each one reaches the caller as it is made.

curl -N "$URL/countdown?from=5" -H "apikey: $KEY"
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.responses import StreamingResponse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

LONGEST = 60


async def count(start: int, pause_s: float) -> AsyncIterator[str]:
    """One event a number."""
    for number in range(start, 0, -1):
        yield f"event: count\ndata: {number}\n\n"
        await asyncio.sleep(pause_s)
    yield "event: done\ndata: lift-off\n\n"


async def handler(request: Request) -> StreamingResponse:
    """``from``: where to start, 3 unless said otherwise; ``pause``: seconds between two events."""
    start = min(int(request.query_params.get("from", 3)), LONGEST)
    pause_s = float(request.query_params.get("pause", 1))
    return StreamingResponse(count(start, pause_s), media_type="text/event-stream")

"""The light pattern: answer at once, and go on with one short call. It is lost if the machine goes down.

curl $URL/relay -H "apikey: $KEY" -d '{"event": "paid"}'
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse

from postmill import wait_until

if TYPE_CHECKING:
    from starlette.requests import Request


async def pass_on(event: dict[str, Any]) -> None:
    """Stands for one call of another service; under 30 seconds."""
    await asyncio.sleep(0.1)
    print(f"passed on {event['event']}")


async def handler(request: Request) -> JSONResponse:
    """The caller does not wait for the other service."""
    wait_until(pass_on(await request.json()))
    return JSONResponse({"status": "accepted"}, status_code=202)

"""What ``postmill functions new`` writes: one small program of each kind that works as it is."""

from __future__ import annotations

_HANDLER = '''\
"""Answers with a greeting: curl .../functions/v1/NAME -d '{"name": "Ada"}'"""

from __future__ import annotations

from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request


async def handler(request: Request) -> dict[str, Any]:
    """Called once a request. A dict becomes JSON; return a starlette Response for everything else."""
    try:
        payload = await request.json() if await request.body() else {}
    except ValueError as error:
        raise HTTPException(400, "The body is not JSON.") from error
    if not isinstance(payload, dict):
        raise HTTPException(400, "The body is not a JSON object.")
    return {"message": f"Hello, {payload.get('name', 'world')}!"}
'''

_APP = '''\
"""An ASGI application. FastAPI, Litestar and others work the same way: name it `app`."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


async def index(request: Request) -> JSONResponse:
    """At .../functions/v1/NAME; supabase-js and others call it with POST."""
    try:
        sent = await request.json() if await request.body() else None
    except ValueError as error:
        raise HTTPException(400, "The body is not JSON.") from error
    return JSONResponse({"message": "Hello!", "sent": sent})


async def item(request: Request) -> JSONResponse:
    """At .../functions/v1/NAME/items/7"""
    return JSONResponse({"item": request.path_params["number"]})


app = Starlette(routes=[Route("/", index, methods=["GET", "POST"]), Route("/items/{number:int}", item)])
'''

_STREAM = '''\
"""Server-sent events: curl -N .../functions/v1/NAME"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import StreamingResponse


async def ticks() -> AsyncIterator[str]:
    """One event a second, ten times."""
    for number in range(10):
        yield f"data: {json.dumps({'tick': number})}\\n\\n"
        await asyncio.sleep(1)


async def handler(_: Request) -> StreamingResponse:
    """Each event reaches the caller as it is made."""
    return StreamingResponse(ticks(), media_type="text/event-stream")
'''

_BACKGROUND = '''\
"""Answers at once and goes on working: curl .../functions/v1/NAME -d '{"job": 7}'"""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse

from postmill import wait_until


async def process(payload: Any) -> None:
    """What takes longer than the caller would wait."""
    await asyncio.sleep(1)
    print("done with", payload)


async def handler(request: Request) -> JSONResponse:
    """The process stays until the work is done, or a limit ends it; use a queue for what must not be lost."""
    wait_until(process(await request.json()))
    return JSONResponse({"status": "accepted"}, status_code=202)
'''

_WORKER = '''\
"""A queue worker that the host keeps running. Give it work: postmill send NAME '{"name": "Ada"}'"""

from __future__ import annotations

from typing import Any

from postmill import Context, worker


@worker(queue="NAME")
async def work(payload: dict[str, Any], ctx: Context) -> None:
    """Called once a message. Returning completes the message, raising retries it."""
    ctx.log.info("hello, %s", payload["name"])
'''

_TEXTS = {
    "handler": _HANDLER,
    "app": _APP,
    "stream": _STREAM,
    "background": _BACKGROUND,
    "worker": _WORKER,
}


def text_of(template: str, name: str) -> str:
    """The file for a function called ``name``. Queues have no capitals in their names."""
    return _TEXTS[template].replace('queue="NAME"', f'queue="{name.lower()}"').replace("NAME", name)

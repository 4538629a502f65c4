"""Ends the process while it has a request, even with a status that claims success."""

import asyncio
import os
import signal
import sys

from starlette.responses import StreamingResponse


async def handler(request):
    how = request.query_params["how"]
    if how == "_exit":
        os._exit(0)
    if how == "signal":
        os.kill(os.getpid(), signal.SIGSEGV)
    if how == "sys.exit":
        sys.exit(3)

    async def body():
        yield b"the beginning"
        await asyncio.sleep(0)  # what was said is written at the end of the event loop's turn
        os._exit(0)

    return StreamingResponse(body())

"""Works on after its response, and says what it is told about its end."""

import asyncio
import os
from pathlib import Path

from postmill import on_beforeunload, on_unload, wait_until

STARTED = Path(os.environ.get("FOLDER", "."))


@on_beforeunload
def warned(reason):
    print("warned:", reason)


@on_unload
async def gone():
    await asyncio.sleep(0)
    print("unloading")


async def work():
    while not (STARTED / "gate").exists():
        await asyncio.sleep(0.01)
    print("worked on")


async def fails():
    raise ValueError("after the response")


async def handler(request):
    wait_until(fails() if request.url.query else work())
    return "accepted"

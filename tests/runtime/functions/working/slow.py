"""Answers when a file appears; says which process it is."""

import asyncio
import os
from pathlib import Path


async def handler(request):
    while not Path(request.query_params["gate"]).exists():
        await asyncio.sleep(0.01)
    return {"pid": os.getpid()}

"""Blocks the event loop without using any CPU."""

import time


async def handler(request):
    if request.query_params.get("block"):
        time.sleep(3600)
    return "did not block"

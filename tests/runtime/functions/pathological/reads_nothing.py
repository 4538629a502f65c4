"""Leaves its request's body alone: answers at once, or never."""

import asyncio


async def handler(request):
    if request.query_params.get("wait"):
        await asyncio.Event().wait()
    return "not interested"

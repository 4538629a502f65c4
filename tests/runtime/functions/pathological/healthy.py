"""A function that just works: it must never notice the others."""

import os


async def handler(request):
    return {"pid": os.getpid(), "path": request.url.path}

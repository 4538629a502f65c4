"""Uses a third of a second of CPU, or all there is."""

import os
import time


async def handler(request):
    until = time.process_time() + (0.3 if not request.url.query else 3600)
    while time.process_time() < until:
        pass
    return str(os.getpid())

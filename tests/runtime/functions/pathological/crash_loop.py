"""A worker that dies as soon as it is started."""

import os
import threading

from postmill import worker


@worker(queue="crash_loop")
async def crash(payload):
    """Never gets that far."""


threading.Timer(0.05, os._exit, [9]).start()

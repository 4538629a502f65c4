"""A worker that dies soon after it was started, again and again."""

import os
import threading
import time

from postmill import worker
from postmill.isolate.lifetime import lifetime


@worker(queue="crash_loop")
async def crash(payload):
    """Never gets that far."""


def die():
    while lifetime.loop is None:  # still importing
        time.sleep(0.01)
    time.sleep(0.3)
    os._exit(9)


threading.Thread(target=die, daemon=True).start()

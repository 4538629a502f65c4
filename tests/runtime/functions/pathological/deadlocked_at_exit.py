"""Leaves a thread that never ends, which the interpreter would wait for."""

import atexit
import threading

LOCK = threading.Lock()
LOCK.acquire()
atexit.register(LOCK.acquire)
threading.Thread(target=LOCK.acquire).start()


async def handler():
    return "ready to hang"

"""Makes itself a daemon the classic way: fork, a session of its own, fork again; its output stays open."""

import os
import time


async def handler():
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() != 0:
            os._exit(0)
        os.write(writing, str(os.getpid()).encode())
        time.sleep(3600)
    os.wait()
    return os.read(reading, 20).decode()

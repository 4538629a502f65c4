"""Will not hear of an end."""

import asyncio
import signal
import time

for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)


async def handler():
    while True:
        try:
            await asyncio.sleep(0)
            time.sleep(3600)
        except BaseException:
            continue

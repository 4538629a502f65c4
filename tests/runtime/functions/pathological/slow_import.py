"""Takes longer to import than anybody waits."""

import time

time.sleep(10)


async def handler():
    return "at last"

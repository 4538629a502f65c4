"""Takes its time to be imported."""

import os
import time

time.sleep(float(os.environ.get("IMPORT_S", "10")))


async def handler():
    return "at last"

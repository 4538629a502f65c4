"""Starts daemons that end at once, and a child of its own that it waits for much later."""

import os
import subprocess

CHILDREN = []


async def handler(request):
    if request.url.path.endswith("/wait"):
        return [child.wait() for child in CHILDREN]
    CHILDREN.extend(
        subprocess.Popen(["sh", "-c", "exit 3"], start_new_session=alone) for alone in (False, True)
    )
    reading, writing = os.pipe()
    middle = os.fork()
    if middle == 0:
        os.setsid()
        for _ in range(3):
            daemon = os.fork()
            if daemon == 0:
                os._exit(0)
            os.write(writing, f"{daemon} ".encode())
        os._exit(0)
    os.waitpid(middle, 0)
    return [int(pid) for pid in os.read(reading, 100).split()]

"""Starts processes that would never end, one of which has left its session."""

import subprocess

FOREVER = ["sleep", "3600"]


async def handler():
    started = [subprocess.Popen(FOREVER), subprocess.Popen(FOREVER, start_new_session=True)]
    return [child.pid for child in started]

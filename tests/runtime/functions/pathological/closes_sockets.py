"""Closes every descriptor it has, the host's among them."""

import os


async def handler():
    os.closerange(3, 1000)
    return "nobody hears this"

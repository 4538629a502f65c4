"""Takes some memory, and some more, and some more."""

import asyncio


async def handler():
    eaten = []
    while True:
        eaten.append(bytearray(b"x" * 4_000_000))
        await asyncio.sleep(0.02)

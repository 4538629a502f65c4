"""Waits for ever, and notes when it is cancelled because nobody listens any more."""

import asyncio


async def handler():
    print("waiting")
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        print("cancelled")
        raise

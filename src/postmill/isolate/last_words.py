"""Runs the functions that user code has registered with ``atexit``, at a planned end: an isolate exits
without Python's own finalisation, which would call them.
"""

from __future__ import annotations

import asyncio
import atexit
import threading
from contextlib import suppress

AT_EXIT_S = 2.0
"""How long the exit functions may take together, in seconds. 2 s: less than ``grace_s`` and the host's
patience (``host.instance.instance.UNLOAD_S``), so that a function which hangs there still ends as planned.
"""


async def last_words() -> None:
    """Call them, in a thread: one that hangs must not hang the process."""
    loop, said = asyncio.get_running_loop(), asyncio.Event()

    def call() -> None:
        atexit._run_exitfuncs()
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(said.set)

    threading.Thread(target=call, daemon=True).start()
    with suppress(TimeoutError):
        async with asyncio.timeout(AT_EXIT_S):
            await said.wait()

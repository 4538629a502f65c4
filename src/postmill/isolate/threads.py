"""Threads for plain ``def`` code: as many as requests may run at a time, each made when it is needed."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from concurrent.futures import ThreadPoolExecutor

_LOGGER = logging.getLogger("postmill")


def make_room(threads: int) -> None:
    """Set how many threads may run at a time on the running event loop: in ``asyncio.to_thread``, and in
    anyio's threads, where Starlette runs the plain ``def`` code of an application.
    """
    usual = min(32, (os.cpu_count() or 1) + 4)  # as asyncio has by itself: never fewer than that
    executor = ThreadPoolExecutor(max(threads, usual), thread_name_prefix="handler")
    asyncio.get_running_loop().set_default_executor(executor)
    _make_room_in_anyio(threads)


def tell_bound(concurrency: int, threads: int) -> None:
    """Say that plain ``def`` code can't have what was asked for."""
    text = "concurrency is %d: %d async requests run at a time, and %d of plain def code"
    _LOGGER.warning(text, concurrency, threads)


def _make_room_in_anyio(threads: int) -> None:
    anyio = sys.modules.get("anyio.to_thread")
    if anyio is not None:
        limiter = anyio.current_default_thread_limiter()
        limiter.total_tokens = max(threads, limiter.total_tokens)

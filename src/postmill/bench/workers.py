"""A worker in this process, for a benchmark: the engine and a handler as a user would write it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from postmill.engine.run import Engine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from postmill.engine.handler import Handler
    from postmill.model.address import Address


@asynccontextmanager
async def running(address: Address, handler: Handler) -> AsyncIterator[Engine]:
    """The worker claims when the block begins, and has settled everything it held when the block ends."""
    engine = Engine([handler], address)
    try:
        await engine.start()
        yield engine
    finally:
        await engine.stop("benchmark ended")

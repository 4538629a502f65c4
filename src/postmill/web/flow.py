"""Whether the client takes what is written to it."""

from __future__ import annotations

import asyncio


class Flow:
    """Told by the transport, asked before each write."""

    def __init__(self) -> None:
        self._writable: asyncio.Event | None = None
        """Set once the client takes more; None while it does."""

    @property
    def is_paused(self) -> bool:
        """Whether more should be written only later."""
        return self._writable is not None

    def pause(self) -> None:
        """The client does not keep up."""
        if self._writable is None:
            self._writable = asyncio.Event()

    def resume(self) -> None:
        """The client takes more, or has gone."""
        if self._writable is not None:
            self._writable.set()
            self._writable = None

    async def wait(self) -> None:
        """Return once more may be written."""
        if self._writable is not None:
            await self._writable.wait()

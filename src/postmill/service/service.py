"""The one shape of a background service: ``start`` -> loop of ``run_once`` -> ``stop``, each of them harmless
when said twice.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod


class Service(ABC):
    """A task that calls :meth:`run_once` for ever. ``run_once`` does one bounded batch and says whether more
    is waiting.
    """

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    def start(self) -> None:
        """Begin, unless begun."""
        if self._task is None and not self._stopping:
            self._task = asyncio.create_task(self._run(), name=type(self).__name__)

    async def stop(self) -> None:
        """End after the batch in hand. Returns when the service has ended."""
        self._stopping = True
        self.wake()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def failure(self) -> BaseException | None:
        """What ended the service, when nobody asked it to end."""
        if self._task is None or not self._task.done() or self._task.cancelled():
            return None
        return self._task.exception()

    @abstractmethod
    async def run_once(self) -> bool:
        """One bounded batch. Returns whether more is waiting."""

    @abstractmethod
    async def rest(self) -> None:
        """Wait until there may be something to do."""

    @abstractmethod
    def wake(self) -> None:
        """End the rest."""

    async def _run(self) -> None:
        while not self._stopping:
            if not await self.run_once() and not self._stopping:
                await self.rest()

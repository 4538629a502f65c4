"""One run at a time of what many want at once. Knows nothing of what is run."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")


class Rounds(Generic[T]):
    """Each who joins is given the result of a run that began after that. So none is told of less than was
    there when it asked, and however many ask, two runs are the most that they wait for.
    """

    def __init__(self) -> None:
        self._under_way: asyncio.Task[T] | None = None
        self._next: asyncio.Task[T] | None = None

    async def join(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What the next run returns, or raises. ``work`` is what is run unless another's was there before. A
        run goes on when one who waits for it gives up.
        """
        if self._next is None:
            self._next = asyncio.create_task(self._run(self._under_way, work))
        return await asyncio.shield(self._next)

    async def _run(self, before: asyncio.Task[T] | None, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        if before is not None:
            await asyncio.wait([before])
        self._under_way, self._next = self._next, None
        return await work()

"""``run.events()``: what happens to a run, as an iterator that remembers where it is."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Self

from postmill.flows.watching import Watching

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from contextlib import AbstractAsyncContextManager

    from postmill.client import AsyncClient
    from postmill.flows.events import RunEvent


class EventStream:
    """``async for event in run.events()``: the run as it is, then each change, until it has ended."""

    def __init__(
        self,
        client: Callable[[], AbstractAsyncContextManager[AsyncClient]],
        run_id: int,
        position: str | None,
    ) -> None:
        self.position = position
        """Where another stream goes on: what was told before is not told again, or some of it once more.
        None: it begins with the run as it is.
        """
        self._events = self._told(client, run_id)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> RunEvent:
        """The next event. Raises ``NotFound``, ``InvalidOption`` for a position that is none, ``Refused`` on
        a connection that is in a transaction, ``DatabaseUnavailable`` when the database stays away.
        """
        return await anext(self._events)

    async def aclose(self) -> None:
        """End it early, and give its connection back."""
        await self._events.aclose()

    async def _told(
        self, client: Callable[[], AbstractAsyncContextManager[AsyncClient]], run_id: int
    ) -> AsyncGenerator[RunEvent, None]:
        async with client() as opened:
            watching = Watching(opened.runs.executor)
            try:
                async with aclosing(watching.batches(run_id, self.position)) as batches:
                    async for batch in batches:
                        for place, event in enumerate(batch.events, 1):
                            if place == len(batch.events):
                                self.position = batch.position
                            yield event
            finally:
                await watching.close()

"""``run.events()``: what happens to a run, as an iterator that remembers where it is."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from postmill.flows.watching import Watching

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from contextlib import AbstractAsyncContextManager

    from postmill.client import AsyncClient
    from postmill.flows.events import RunEvent


class EventStream:
    """``async for event in run.events()``: the run as it is, then each change, until it has ended. Who leaves
    the loop early ends it by that; ``async with run.events() as stream`` waits until it is closed.
    """

    def __init__(
        self,
        client: Callable[[], AbstractAsyncContextManager[AsyncClient]],
        run_id: int,
        position: str | None,
    ) -> None:
        self._place = _Place(position)
        self._events = _told(client, run_id, self._place)

    @property
    def position(self) -> str | None:
        """Where another stream goes on: what was told before is not told again, or some of it once more.
        None: it begins with the run as it is.
        """
        return self._place.position

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> RunEvent:
        """The next event. Raises ``NotFound``, ``InvalidOption`` for a position that is none, ``Refused`` on
        a connection that is in a transaction, ``DatabaseUnavailable`` when the database stays away.
        """
        return await anext(self._events)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End it early, and give its connection back."""
        await self._events.aclose()


@dataclass(slots=True)
class _Place:
    """Where a stream is."""

    position: str | None


async def _told(
    client: Callable[[], AbstractAsyncContextManager[AsyncClient]], run_id: int, place: _Place
) -> AsyncGenerator[RunEvent, None]:
    """The events. It does not know its stream: so it is closed as soon as nothing has that any more, and not
    later by the garbage collector, together with the generators that it has open.
    """
    async with client() as opened:
        watching = Watching(opened.runs.executor)
        try:
            async with aclosing(watching.batches(run_id, place.position)) as batches:
                async for batch in batches:
                    for count, event in enumerate(batch.events, 1):
                        if count == len(batch.events):
                            place.position = batch.position
                        yield event
        finally:
            await watching.close()

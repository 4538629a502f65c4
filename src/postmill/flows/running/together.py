"""Group commit: what is asked for while a statement is under way goes with the next one."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Generic, TypeVar

from postmill.db.hot.outage import is_passing
from postmill.db.hot.statement_size import is_too_large
from postmill.service.backoff import Backoff
from postmill.service.service import new_task

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

In = TypeVar("In")
Out = TypeVar("Out")

MOST = 1000
"""Requests in one statement: as many as the engine settles in one (``engine.settle.settler.BATCH``). Of large
ones fewer.
"""


async def once_up(send: Callable[[], Awaitable[Out]]) -> Out:
    """The answer of one statement, which may be sent again when no answer came. An outage is waited out."""
    backoff = Backoff(random.random)
    while True:
        try:
            return await send()
        except Exception as error:
            if not is_passing(error):
                raise
        await asyncio.sleep(backoff.next_delay_s())


class Together(Generic[In, Out]):
    """The requests of one worker. ``send`` answers several with one statement, in their order; it may be sent
    again, when no answer came. ``texts`` are those of a request that may be large.
    """

    def __init__(
        self,
        send: Callable[[list[In]], Awaitable[list[Out]]],
        texts: Callable[[In], Sequence[str | None]] = lambda _request: (),
    ) -> None:
        self._send, self._texts = send, texts
        self._waiting: list[tuple[In, asyncio.Future[Out]]] = []
        self._task: asyncio.Task[None] | None = None
        self._busy = False

    def ask(self, request: In) -> asyncio.Future[Out]:
        """The answer to ``request``. An outage is waited out. Raises what the database says of this request
        alone.
        """
        answer: asyncio.Future[Out] = asyncio.get_running_loop().create_future()
        self._waiting.append((request, answer))
        if not self._busy:
            self._busy = True
            self._task = new_task(self._run())
        return answer

    async def _run(self) -> None:
        batch: list[tuple[In, asyncio.Future[Out]]] = []
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
                await self._answer(batch)
        except BaseException as error:  # the task was cut: the next attempt asks again
            cut = ConnectionError(f"the statement was cut: {type(error).__name__}")
            left, self._waiting = [*batch, *self._waiting], []
            _fail(left, cut)
            raise
        finally:
            self._busy = False

    async def _answer(self, batch: list[tuple[In, asyncio.Future[Out]]]) -> None:
        """Answer all of ``batch``; one that makes the statement fail is told so alone."""
        backoff = Backoff(random.random)
        while batch := [pair for pair in batch if not pair[1].done()]:
            requests = [request for request, _ in batch]
            if len(batch) > 1 and is_too_large([self._texts(each) for each in requests]):
                await self._in_halves(batch)
                continue
            try:
                found = await self._send(requests)
            except Exception as error:
                if is_passing(error):
                    await asyncio.sleep(backoff.next_delay_s())
                elif len(batch) == 1:
                    _fail(batch, error)
                else:
                    await self._in_halves(batch)
            else:
                for (_, answer), value in zip(batch, found, strict=True):
                    if not answer.done():
                        answer.set_result(value)

    async def _in_halves(self, batch: list[tuple[In, asyncio.Future[Out]]]) -> None:
        middle = len(batch) // 2
        await self._answer(batch[:middle])
        await self._answer(batch[middle:])


def _fail(batch: list[tuple[In, asyncio.Future[Out]]], error: Exception) -> None:
    for _, answer in batch:
        if not answer.done():
            answer.set_exception(error)
            answer.exception()  # seen, also where nothing awaits it any more

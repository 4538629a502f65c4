"""The lifespan of an ASGI application: its start-up before the first request, its shutdown after the last."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from postmill.isolate.lifetime import say_uncaught
from postmill.isolate.loading import BootError
from postmill.wire.frames import Trouble

if TYPE_CHECKING:
    from postmill.web.asgi import Application, Message


class Lifespan:
    """Runs the application once with a ``lifespan`` scope, if it knows that."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self.state: dict[str, Any] = {}
        """What the application has left for its requests."""
        self._events: asyncio.Queue[str] = asyncio.Queue()
        self._answer: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Wait for the application's start-up. Raises :class:`BootError` when that failed."""
        self._task = asyncio.create_task(self._run())
        self._events.put_nowait("lifespan.startup")
        failure = await self._answer
        if failure is not None:
            raise BootError(Trouble(f"The application's start-up failed: {failure}".rstrip(": "), failure))

    async def stop(self) -> None:
        """Wait for the application's shutdown; what it raises is logged."""
        if self._task is None or self._task.done():
            return
        self._answer = asyncio.get_running_loop().create_future()
        self._events.put_nowait("lifespan.shutdown")
        ends: set[asyncio.Future[Any]] = {self._task, self._answer}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        try:
            await self._application(scope, self._receive, self._send)
        except BaseException as error:
            if self._answer.done():
                say_uncaught(error, "lifespan")
        finally:
            if not self._answer.done():  # it knows no lifespan
                self._answer.set_result(None)

    async def _receive(self) -> Message:
        return {"type": await self._events.get()}

    async def _send(self, message: Message) -> None:
        if self._answer.done():
            return
        failed = message["type"].endswith(".failed")
        self._answer.set_result(message.get("message", "no reason given") if failed else None)

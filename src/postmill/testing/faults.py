"""Makes things go wrong around a user's handler, at a known run of each message: it fails, it is slow, its
lease is lost. The handler itself is not changed.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from postmill.client.asyncpg_connection import open_connection
from postmill.engine.wrapped_handler import WrappedHandler
from postmill.model.config.address import parse
from postmill.model.errors import InvalidOption
from postmill.model.queue.outcome import Retry, Snooze
from postmill.model.queue.queue_name import QueueShape
from postmill.model.queue.retry import Dead
from postmill.sql.catalog import queue_statement

if TYPE_CHECKING:
    from collections.abc import Awaitable, Container, Sequence

    from postmill.engine.handler import Handler
    from postmill.engine.run.attempt import Attempt
    from postmill.model.queue.message import Message

Runs: TypeAlias = "int | Container[int]"
"""Which runs of a message, counted from 1: one, or those in a container such as ``range(1, 4)``."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong, and at which runs of each message. Make it with :func:`fail`, :func:`delay` or
    :func:`lose_lease`.
    """

    runs: Runs
    error: BaseException | None = None
    delay_s: float = 0.0
    loses_lease: bool = False

    def strikes(self, run: int) -> bool:
        """Whether this run is meant."""
        return run == self.runs if isinstance(self.runs, int) else run in self.runs


def fail(run: Runs = 1, error: BaseException | None = None) -> Fault:
    """The handler is not called: ``error`` is raised in its place, a ``RuntimeError`` unless you give one."""
    return Fault(run, error=error or RuntimeError("injected"))


def delay(seconds: float, run: Runs = 1) -> Fault:
    """The handler is called ``seconds`` later, within its time limit."""
    return Fault(run, delay_s=seconds)


def lose_lease(run: Runs = 1) -> Fault:
    """The handler does its work, but another client has taken the message before that is written down: the
    message runs again, as after a network that was cut.
    """
    return Fault(run, loses_lease=True)


class Faulty(WrappedHandler):
    """A handler with faults around it, and the errors that came out of it. Given to the engine."""

    def __init__(self, handler: Handler, faults: Sequence[Fault], database: str) -> None:
        super().__init__(handler)
        if faults and handler.options.batch is not None:
            raise InvalidOption(
                "Faults are injected into single messages.",
                why="This worker takes batches.",
                hint="Leave them out.",
            )
        self.errors: list[Exception] = []
        self._faults = faults
        self._database = database
        self._runs: Counter[tuple[str, int]] = Counter()

    def bind(self, message: Message, attempt: Attempt) -> Awaitable[Any]:
        """See :class:`postmill.engine.handler.Handler`."""
        return self._watched(self._run(message, attempt))

    def bind_batch(self, messages: Sequence[Message], attempts: Sequence[Attempt]) -> Awaitable[Any]:
        """See :class:`postmill.engine.handler.Handler`."""
        return self._watched(self._handler.bind_batch(messages, attempts))

    async def _watched(self, work: Awaitable[Any]) -> Any:
        try:
            return await work
        except (Retry, Snooze, Dead):
            raise  # the test asked for it
        except Exception as error:
            self.errors.append(error)
            raise

    async def _run(self, message: Message, attempt: Attempt) -> Any:
        self._runs[message.queue, message.msg_id] += 1
        run = self._runs[message.queue, message.msg_id]
        striking = [fault for fault in self._faults if fault.strikes(run)]
        for fault in striking:
            await asyncio.sleep(fault.delay_s)
            if fault.error is not None:
                raise fault.error
        result = await self._handler.bind(message, attempt)
        if any(fault.loses_lease for fault in striking):
            await self._take(message)
        return result

    async def _take(self, message: Message) -> None:
        connection = await open_connection(parse(self._database), "postmill testing")
        try:
            shape = QueueShape(message.queue, relation=0)
            await connection.execute(queue_statement("testing_take", shape), message.queue, message.msg_id)
        finally:
            await connection.close()

"""Runs workers inside a test until nothing is left to do, with the engine that runs them in production."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal

from postmill.client.asyncpg_connection import open_connection
from postmill.engine.engine import Engine
from postmill.flows import Startable
from postmill.handlers.sender import sending_to
from postmill.metrics.tally import OUTCOMES
from postmill.model.config.address import parse
from postmill.model.errors import TimedOut
from postmill.model.queue.queue_name import QueueShape
from postmill.sql.catalog import queue_statement, statement
from postmill.testing.account import Account, Ended
from postmill.testing.faults import Faulty

if TYPE_CHECKING:
    from collections.abc import Sequence

    import asyncpg

    from postmill.engine.worker import QueueWorker
    from postmill.handlers import Worker
    from postmill.model.events import Event
    from postmill.testing.faults import Fault

Delays = Literal["skip", "wait", "leave"]
LOOK_S = 0.05
"""How long to wait for the next event of a worker before looking at its queue, in seconds. 50 ms: a test that
waits for an empty queue loses no more than that.
"""


async def drain(
    *workers: Worker | Startable[..., Any],
    database: str,
    faults: Sequence[Fault] = (),
    delays: Delays = "skip",
    timeout_s: float = 30.0,
) -> Account:
    """Run ``workers``, or flows, in this process until their queues are empty, and return an account of every
    attempt.

    ``delays``: messages that are not due (delayed, retrying, snoozed) are made due at once (``skip``), waited
    for (``wait``), or left where they are (``leave``). What handlers send with ``task.send`` goes to
    ``database`` as well. Raises :class:`TimedOut` after ``timeout_s`` seconds; a handler's error is not
    raised, it is in the account.
    """
    handlers = [
        Faulty(worker.handler() if isinstance(worker, Startable) else worker, faults, database)
        for worker in workers
    ]
    engine = Engine(handlers, parse(database))
    recorder = Recorder()
    engine.on_worker.append(recorder.hear)
    with sending_to(database):
        try:
            async with asyncio.timeout(timeout_s):
                await engine.start()
                left = await Queues(database, engine, recorder).until_empty(delays)
        except TimeoutError as error:
            raise TimedOut(
                f"The queues were not empty after {timeout_s:g} s.",
                why=f"{engine.running} messages run, {len(recorder.attempts)} attempts have ended.",
                hint="Does a handler wait for something, or send to its own queue without end?",
            ) from error
        finally:
            engine.force()
            await engine.stop()
    return Account(recorder.attempts, [error for handler in handlers for error in handler.errors], left)


class Recorder:
    """Listens to every worker and records how attempts end."""

    def __init__(self) -> None:
        self.attempts: list[Ended] = []
        self.news = asyncio.Event()

    def hear(self, worker: QueueWorker) -> None:
        """Listen to a worker from now on."""
        queue = worker.handler.options.queue
        worker.events.listeners.append(lambda event, fields: self._note(queue, event, fields))

    def _note(self, queue: str, event: Event, fields: dict[str, Any]) -> None:
        outcome = OUTCOMES.get(event)
        if outcome is not None:
            told = fields.get("error"), fields.get("reason")
            self.attempts.append(Ended(queue, fields["msg_id"], fields["attempt"], outcome, *told))
            self.news.set()


class Queues:
    """Looks at the queues of an engine until they are empty."""

    def __init__(self, database: str, engine: Engine, recorder: Recorder) -> None:
        self._database = database
        self._names = sorted({worker.handler.options.queue for worker in engine.workers})
        self._recorder = recorder

    async def until_empty(self, delays: Delays) -> int:
        """Returns how many messages are left: none, unless ``delays`` is ``leave``."""
        connection = await open_connection(parse(self._database), "postmill testing")
        try:
            while True:
                self._recorder.news.clear()
                total, active = await self._left(connection)
                if total == 0 or (active == 0 and delays == "leave"):
                    return total
                if active == 0 and delays == "skip":
                    await self._make_due(connection)
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_S):
                        await self._recorder.news.wait()
        finally:
            await connection.close()

    async def _left(self, connection: asyncpg.Connection) -> tuple[int, int]:
        """How many messages there are, and how many of them could run now. All queues are seen at one moment:
        a handler may pass a message on from a queue that was not looked at to one that was.
        """
        total = active = 0
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            for name in self._names:
                for row in await connection.fetch(statement("testing_left"), name):
                    total += row["total"]
                    active += row["active"]
        return total, active

    async def _make_due(self, connection: asyncpg.Connection) -> None:
        for name in self._names:
            text = queue_statement("testing_make_due", QueueShape(name, relation=0))
            await connection.execute(text, name)

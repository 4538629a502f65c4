"""Runs the SQL commands of schedules for one process, each on a session of its own, beside the scheduler: a
long command holds up no tick.

Leaderless: whichever process claims a run has it. A run is claimed in the session that runs it, and the
session holds a lock meanwhile: a run whose session is gone is written down as unknown, and is never run
again. Who a command runs as is the database's to say (``postmill._why_not_run``).
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

from postmill.client.asyncpg_connection import session_id
from postmill.db.hot.looking_service import LookingService
from postmill.db.hot.outage import is_passing
from postmill.model.events import Event
from postmill.scheduler.command_session import CommandSession, Ended, Run
from postmill.service.service import new_task
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from postmill.db.hot.shared_connection import SharedConnection
    from postmill.service.events import Events
    from postmill.service.outage import Outage

AT_ONCE = 5
"""Commands that one process runs at the same time, each on a connection. Five: a server allows a hundred
connections unless it is told otherwise, and a few processes leave most of them to others.
"""
BESIDE_COMMANDS_S = 5.0
"""The longest rest, in seconds, where one is: a run that another process asked for begins so much later."""
AFTER_TICK_S = 0.2
"""A tick is looked for this much later, in seconds: by then a process has fired it."""
POOLED = "SQL commands need a connection of their own; none runs here, behind a pooler in transaction mode"


class SqlRuns(LookingService):
    """The commands of one process."""

    def __init__(self, shared: SharedConnection, events: Events, outage: Outage) -> None:
        super().__init__(shared, events, outage)
        self._running: set[asyncio.Task[int]] = set()
        self._claiming = asyncio.Lock()
        """One claim at a time: two that meet at one schedule would leave its runs to the next look."""
        self._joined = 0
        """The session that counts as this process; 0 before the first."""
        self._complained = False
        events.listeners.append(self._said)

    @property
    def name(self) -> str:
        """See :class:`Service`."""
        return "SQL commands"

    async def wait_ended(self) -> None:
        """Until the commands that run have ended too."""
        await super().wait_ended()
        if self._running:
            await asyncio.wait(self._running)

    def cut(self) -> None:
        """Cancel them too: the server ends them, and their runs are written down as unknown."""
        super().cut()
        for task in self._running:
            task.cancel()

    async def _look(self) -> bool:
        """Begin what waits, as far as there is room."""
        self._rest_s = self._floor_s
        joined = await self._joins()
        found = await self._shared.fetchrow(statement("commands_look"))
        if not joined:
            if found["open"]:
                self._complain(POOLED)
            return False
        if found["open"]:
            for run in await self._shared.fetch(statement("commands_sweep")):
                self._report(run["name"], run["tick"], Ended(None, run["reason"]))
        for _ in range(min(found["waiting"], AT_ONCE - len(self._running))):
            task = new_task(self._work(), name="postmill SQL command")
            self._running.add(task)
            task.add_done_callback(self._finished)
        if found["next_s"] is not None:
            spread_s = AFTER_TICK_S * (1 + random.random())  # noqa: S311 - processes look one after the other
            self._rest_s = min(BESIDE_COMMANDS_S, max(0.0, found["next_s"]) + spread_s)
        return False

    async def _joins(self) -> bool:
        """Whether this process counts among those that run commands. It does not behind a pooler, where a
        lock would stay with a session that other clients get.
        """
        async with self._shared.connection() as connection:
            if self._shared.address.pooled:
                return False
            pid = session_id(connection)
            join = statement("commands_join"), not self._joined
            if pid != self._joined and await connection.fetchval(*join) is not None:
                self._joined = pid
        return True

    async def _work(self) -> int:
        """Run what waits, one after the other, on a session of its own. Returns how many have run."""
        ran = 0
        session = await CommandSession.open(self._shared.address)
        try:
            while not self.is_over() and (run := await self._claimed(session)) is not None:
                await self._carry_out(session, run)
                ran += 1
            await session.close()
        except asyncio.CancelledError:
            await self._shared.execute(statement("command_stop"), session.pid)
            raise
        finally:
            session.terminate()
        return ran

    async def _claimed(self, session: CommandSession) -> Run | None:
        async with self._claiming:
            return await session.claim()

    async def _carry_out(self, session: CommandSession, run: Run) -> None:
        ended = await session.run(run)
        if session.is_closed():
            await self._shared.execute(
                statement("command_end"), run.run_id, session.pid, ended.returned, ended.reason
            )
        else:
            await session.reset()
            await session.end(run, ended)
        self._complained = False
        self._report(run.schedule, run.tick, ended)

    def _finished(self, task: asyncio.Task[int]) -> None:
        """Look for more if it has run something. It could not where a schedule is locked, or where no session
        could be had: then the rest is a pause.
        """
        self._running.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is None and not task.cancelled() and task.result():
            self.wake()
        elif error is not None and not is_passing(error):
            self._complain(f"no SQL command can run here: {error}")

    def _say_refused(self, error: BaseException) -> None:
        self._complain(f"no SQL command can run here: {error}")

    def _complain(self, reason: str) -> None:
        """Say it once, until a run has ended."""
        if not self._complained:
            self._complained = True
            self._events.emit(Event.COMMAND_FAILED, reason=reason)

    def _said(self, event: Event, _: dict[str, Any]) -> None:
        if event is Event.SCHEDULE_FIRED:
            self.wake()

    def _report(self, schedule: str, tick: object, ended: Ended) -> None:
        if ended.reason is None:
            self._events.emit(Event.COMMAND_COMPLETED, schedule=schedule, tick=tick, returned=ended.returned)
        else:
            self._events.emit(Event.COMMAND_FAILED, schedule=schedule, tick=tick, reason=ended.reason)

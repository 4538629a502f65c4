"""A few connections for short reads and actions of a process that serves many people at once.

The functions of this room are synchronous: each runs in a thread, alone on its connection, in one
transaction with a time limit. Knows nothing of what they do.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

import psycopg

from postmill.db.tools.connect import Connection, connect, translated
from postmill.model.errors import TimedOut

if TYPE_CHECKING:
    from collections.abc import Callable

    from postmill.model.config.address import Address

P = ParamSpec("P")
T = TypeVar("T")

SIZE = 4
"""Connections at most. Four: a page needs one for a few milliseconds, so that they serve hundreds of people,
and a database that is slow is not asked by more than four at once.
"""
READ_LIMIT_S = 2.0
"""How long the statement of a read may take, in seconds. Two: a person has looked elsewhere by then, and a
database in trouble is not burdened by those that look at its trouble.
"""
ACT_LIMIT_S = 30.0
"""How long the statement of an action may take, in seconds. Thirty: the purge of some millions of messages
ends by then; what takes longer is a bulk operation.
"""


class Sessions:
    """``read`` and ``act`` may be called by any number of tasks. Connections are opened when they are needed,
    and again after they were lost.
    """

    def __init__(self, address: Address, application_name: str = "postmill api", size: int = SIZE) -> None:
        self.address = address
        self._name = application_name
        self._threads = ThreadPoolExecutor(size, thread_name_prefix="postmill sessions")
        self._idle: list[Connection] = []

    async def read(
        self, function: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """What ``function(connection, …)`` returns; it can write nothing. Raises ``TimedOut`` after
        :data:`READ_LIMIT_S`, ``DatabaseUnavailable``, and what the function raises.
        """
        return await self._run(
            "set transaction read only;",
            READ_LIMIT_S,
            lambda connection: function(connection, *args, **kwargs),
        )

    async def act(
        self, function: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """The same for what writes, in one transaction: all of it takes effect, or nothing. A connection that
        is lost at the commit raises ``DatabaseUnavailable``, and whether it took effect is not known.
        """
        return await self._run("", ACT_LIMIT_S, lambda connection: function(connection, *args, **kwargs))

    async def close(self) -> None:
        """Wait for what runs, and close every connection. May be called twice."""
        await asyncio.to_thread(self._threads.shutdown)
        while self._idle:
            self._idle.pop().close()

    async def _run(self, mode: str, limit_s: float, function: Callable[[Connection], T]) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._in_transaction, mode, limit_s, function)

    def _in_transaction(self, mode: str, limit_s: float, function: Callable[[Connection], T]) -> T:
        connection = self._living() or connect(self.address, application_name=self._name, exact=True)
        try:
            with translated(self.address), connection.transaction():
                connection.execute(f"{mode} set local statement_timeout = {int(limit_s * 1000)}")
                return function(connection)
        except psycopg.errors.QueryCanceled as error:
            raise _too_slow(limit_s) from error
        except Exception as error:
            if isinstance(error.__cause__, psycopg.errors.QueryCanceled):
                raise _too_slow(limit_s) from error
            raise
        finally:
            if connection.closed or connection.broken:
                connection.close()
            else:
                self._idle.append(connection)

    def _living(self) -> Connection | None:
        """One that was idle and still lives. A server that has restarted ends all of them: asked for nothing
        first, they cost no request its answer.
        """
        while True:
            try:
                connection = self._idle.pop()  # in one step: another thread may take the last one meanwhile
            except IndexError:
                return None
            try:
                connection.execute("")
            except psycopg.OperationalError:
                connection.close()
            else:
                return connection


def _too_slow(limit_s: float) -> TimedOut:
    return TimedOut(
        f"The database did not answer within {limit_s:g} s.",
        why="It is busy, something holds a lock that the question needs, or it asks for too much.",
        hint="Try again, ask for less, or see what holds it up: postmill doctor",
    )

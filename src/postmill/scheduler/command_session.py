"""A session that runs SQL commands, one after the other, each as the user who scheduled it.

A command of the session's own login is sent as it is. Another user's is a function of that user's (SECURITY
DEFINER), which a function calls that belongs to a role without rights: whatever its user makes of it, it runs
as its user or with no right. Nothing here switches roles, for a command could switch them back.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import asyncpg

from postmill.client.asyncpg_connection import open_unprepared, session_id
from postmill.model.error_text import KEPT_TEXT
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from datetime import datetime

    from postmill.model.config.address import Address

BOOKKEEPING_S = 10.0
"""Seconds that a statement beside the command may take: ten, as any other statement of the scheduler."""

_COPIES_IN = re.compile(r"\bcopy\b[^;]*\bfrom\s+stdin\b", re.IGNORECASE)
"""What would wait for ever for data from the client."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a command that this session has claimed."""

    run_id: int
    schedule: str
    tick: datetime
    command: str | None
    """What is sent as it is; None: ``function`` is called."""
    function: str | None


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended: with a command tag, or with an error."""

    returned: str | None
    reason: str | None


class CommandSession:
    """One session. It has the settings of its login, as a person's own session would."""

    def __init__(self, connection: asyncpg.Connection[Any]) -> None:
        self._connection = connection
        self.pid = session_id(connection)

    @classmethod
    async def open(cls, address: Address) -> CommandSession:
        """Connect. Raises what asyncpg raises."""
        session = cls(await open_unprepared(address, "postmill commands"))
        await session._prepare()
        return session

    async def claim(self) -> Run | None:
        """The next run that waits; it is this session's from here on."""
        async with self._connection.transaction(isolation="read_committed", readonly=False):
            row = await self._connection.fetchrow(statement("command_claim"), timeout=BOOKKEEPING_S)
        if row is None:
            return None
        return Run(row["run_id"], row["name"], row["tick"], row["command"], row["function"])

    async def run(self, run: Run) -> Ended:
        """Run the command to its end, whatever that is. Raises when the session is lost."""
        if run.command is not None and _COPIES_IN.search(run.command):
            return Ended(None, "COPY FROM STDIN has nothing to read here: no client sends data")
        try:
            returned = await (self._send(run.command) if run.command is not None else self._call(run))
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            if self._connection.is_closed() and not isinstance(error, asyncpg.PostgresError):
                raise
            return Ended(None, _in_words(error))
        return Ended(returned, None)

    async def reset(self) -> None:
        """Leave nothing of one command to the next."""
        if self._connection.is_in_transaction():
            await self._connection.execute("rollback", timeout=BOOKKEEPING_S)
        await self._connection.execute("discard all", timeout=BOOKKEEPING_S)
        await self._prepare()

    async def end(self, run: Run, ended: Ended) -> None:
        """Write down how it ended."""
        async with self._connection.transaction(isolation="read_committed", readonly=False):
            await self._connection.execute(
                statement("command_end"),
                run.run_id,
                self.pid,
                ended.returned,
                ended.reason,
                timeout=BOOKKEEPING_S,
            )

    def is_closed(self) -> bool:
        """Whether the server has gone, or has ended the session."""
        return self._connection.is_closed()

    async def close(self) -> None:
        """Close it."""
        with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await self._connection.close(timeout=2)

    def terminate(self) -> None:
        """Close it at once: the server ends what still runs."""
        self._connection.terminate()

    async def _prepare(self) -> None:
        with suppress(asyncpg.PostgresError):
            await self._connection.execute(statement("command_session"), timeout=BOOKKEEPING_S)

    async def _send(self, command: str) -> str:
        """At top level: several statements, VACUUM and COMMIT work as in psql."""
        return await self._connection.execute(command)

    async def _call(self, run: Run) -> str:
        async with self._connection.transaction(isolation="read_committed", readonly=False):
            await self._connection.fetchval(statement("command_check"), run.run_id, timeout=BOOKKEEPING_S)
            touched = await self._connection.fetchval(statement("command_call"), run.function)
            await self._connection.execute(statement("command_close"), timeout=BOOKKEEPING_S)
        return "1 row" if touched == 1 else f"{touched} rows"


def _in_words(error: Exception) -> str:
    """The server's message, with its detail if there is one; as much of it as a row keeps."""
    detail = getattr(error, "detail", None)
    return (f"{error}" if not detail else f"{error} ({detail})")[:KEPT_TEXT]

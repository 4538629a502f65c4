"""Asks the database why a settlement was refused. Decides nothing: see
``model.queue.refusal``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg

from postmill.model.queue.refusal import Cause, cause_of
from postmill.model.sqlstates import state_of
from postmill.sql.catalog import queue_statement, statement

if TYPE_CHECKING:
    from postmill.db.hot.shared_connection import SharedConnection
    from postmill.engine.settle.settlement import Pair, Settlement, Statements

QUESTION_S = 1.0
"""How long a question to the catalogue may take, in seconds. Each takes milliseconds; after 1 s a lock keeps
it waiting, and that is an answer too.
"""


@dataclass(frozen=True, slots=True)
class Lack:
    """What the session lacks for a settlement, as text; empty: nothing."""

    words: str = ""
    queue_is_gone: bool = False


class Diagnosis:
    """The questions of one worker. Raises what asyncpg raises."""

    def __init__(self, shared: SharedConnection, statements: Statements) -> None:
        self._shared = shared
        self._statements = statements

    async def lack(self, settlement: Settlement) -> Lack:
        """Tables and rights that are missing for this settlement."""
        name = self._statements.shape.name.lower()
        archive = f"a_{name}" if self._statements.archive else None
        needs = settlement.settling.diagnosis
        rows = await self._shared.fetch(statement("settlement_lacks"), f"q_{name}", archive, needs)
        words = ", ".join(sorted(row["lack"] for row in rows))
        return Lack(words, any(row["queue_is_gone"] for row in rows))

    async def unlocked(self, settlement: Settlement) -> set[int] | None:
        """Ids of the messages whose rows are not locked; None: the table itself is locked."""
        ids = [message.msg_id for message in settlement.messages]
        text = queue_statement("settlement_unlocked", self._statements.shape)
        async with self._shared.connection() as connection:
            try:
                rows = await connection.fetch(text, ids, timeout=QUESTION_S)
            except TimeoutError:
                return None
            except asyncpg.PostgresError as error:
                if cause_of(state_of(error)) is Cause.LOCKED:
                    return None
                raise
        return {row["msg_id"] for row in rows}

    async def left(self, pairs: list[Pair], sent: dict[int, int]) -> set[int]:
        """Ids of the messages that still stand in the queue as they were claimed."""
        messages = [message for message, _ in pairs]
        rows = await self._shared.fetch(
            queue_statement("settlement_left", self._statements.shape),
            [message.msg_id for message in messages],
            [message.read_ct for message in messages],
            [sent[message.msg_id] for message in messages],
        )
        return {row["msg_id"] for row in rows}

"""What the engine does for a running handler: connections, a transaction that completes the message, a longer
lease.

One for each worker. A handler's writes in its transaction are kept only if its worker still holds the
message.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg

from postmill.client.failures import said_by_postmill
from postmill.db.hot.handler_connections import take_own_role
from postmill.db.hot.outage import is_passing
from postmill.engine.settle.settlement import array_literal
from postmill.model.errors import LeaseLost, Refused
from postmill.model.queue.message import State
from postmill.model.queue.refusal import Cause, cause_behind
from postmill.model.sqlstates import follows_the_transaction, state_of
from postmill.sql.catalog import queue_statement, statement

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID

    from postmill.client.home import Home
    from postmill.db.hot.handler_connections import HandlerConnection, HandlerConnections
    from postmill.db.hot.shared_connection import SharedConnection
    from postmill.engine.run.attempt import Attempt
    from postmill.engine.settle.settlement import Statements
    from postmill.model.queue.message import HeldMessages, Message
    from postmill.service.events import Events


class AttemptServices:
    """The services of one worker to its handlers."""

    def __init__(
        self,
        worker_id: UUID,
        connections: HandlerConnections,
        reads: SharedConnection,
        statements: Statements,
        held_messages: HeldMessages,
        events: Events,
        home: Home | None = None,
    ) -> None:
        self.worker_id = worker_id
        self.reads = reads
        self.connections = connections
        self.events = events
        self.home = home
        """The database of its messages among several, which are what its handlers may send to."""
        self._statements = statements
        self._held = held_messages

    @asynccontextmanager
    async def transaction(self, attempt: Attempt) -> AsyncIterator[HandlerConnection]:
        """A transaction that completes the message when it commits.

        Raises :class:`LeaseLost` (and rolls back) when another client has the message by now, and
        :class:`Refused` when a transaction of this attempt has completed it already.
        """
        if attempt.completed_in_transaction:
            raise Refused(
                "This message is completed already.",
                why="An earlier ctx.transaction() of the same attempt has committed, and completed it.",
                hint="Put everything into one ctx.transaction(), or use ctx.db for what came after.",
            )
        message = attempt.message

        async def landed(connection: HandlerConnection) -> bool:
            return not await self._is_there(connection, message)

        try:
            async with self.connections.transaction(attempt.lost_connection, landed) as connection:
                yield connection
                await take_own_role(connection)
                for sending in attempt.sends or ():
                    with said_by_postmill(sending.queue):
                        await connection.fetch(sending.text, *sending.arguments)
                await self._complete(connection, attempt)
        except BaseException:
            if message.state == State.SETTLING:
                message.state = State.HELD
            raise
        attempt.completed_in_transaction = True

    async def complete_with_sends(self, attempt: Attempt) -> None:
        """Complete the message together with what its handler asked to send."""
        async with self.transaction(attempt):
            pass

    async def _complete(self, connection: HandlerConnection, attempt: Attempt) -> None:
        message = attempt.message
        flags = (*self._statements.complete_flags, "transaction", *(("gated",) if message.gated else ()))
        text = queue_statement("complete", self._statements.shape, *flags)
        while True:
            sent = message.vt_us
            message.state = State.SETTLING
            token = (array_literal([part]) for part in (message.msg_id, message.read_ct, sent))
            try:
                settled = await connection.fetchval(text, *token, [], self._statements.shape.name)
            except asyncpg.PostgresError as error:
                theirs = is_passing(error) or follows_the_transaction(state_of(error))
                attempt.refused = not theirs and cause_behind(error) is Cause.UNCLEAR
                raise
            if settled:
                return
            await self._check_transaction(connection)
            while message.msg_id in self._held.renewing:  # noqa: ASYNC110 - a thread clears it
                await asyncio.sleep(0.005)
            if message.vt_us == sent:
                attempt.lease_lost = True
                raise LeaseLost(
                    f"Message {message.msg_id} of {message.queue} is no longer held by this worker.",
                    why="Its lease ended, and another worker or client has it.",
                    hint="Nothing was written.",
                )

    async def _check_transaction(self, connection: HandlerConnection) -> None:
        """Raise when nothing was completed because the transaction had already ended."""
        if await connection.fetchval(statement("transaction_state")) != "open":
            raise Refused(
                "The transaction of ctx.transaction() was ended inside its block.",
                why="COMMIT, ROLLBACK or RESET ALL was run on its connection: the message is not completed.",
                hint="Leave the block to commit, raise inside it to roll back.",
            )

    async def _is_there(self, connection: HandlerConnection, message: Message) -> bool:
        """Whether the message is still in its queue, with the token that the completion was sent with."""
        text = queue_statement("message_is_held", self._statements.shape)
        held: bool = await connection.fetchval(text, message.msg_id, message.read_ct, message.vt_us)
        return held

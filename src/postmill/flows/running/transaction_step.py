"""A step whose own writes and whose record commit together: both are there, or neither is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from postmill.db.hot.handler_connections import take_own_role
from postmill.flows.running.checkpoints import answers, arguments_of
from postmill.flows.running.replay import Recorded
from postmill.handlers.context import Transaction
from postmill.model.queue.queue_name import QueueShape
from postmill.sql.catalog import queue_statement, statement

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from postmill.db.hot.handler_connections import HandlerConnection
    from postmill.flows.running.checkpoints import Answer, Checkpoint
    from postmill.flows.running.execution import Execution
    from postmill.flows.running.step_attempts import StepPolicy
    from postmill.flows.running.step_pauses import StepPauses


class NotWritten(Exception):
    """The record was not written, or the run does not go on: the transaction is rolled back."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer


class TransactionStep:
    """One such step. Each attempt has a transaction of its own."""

    def __init__(
        self,
        execution: Execution,
        name: str,
        inputs: str | None,
        policy: StepPolicy,
        attempts: StepPauses,
        call: Callable[[Transaction], Awaitable[Any]],
    ) -> None:
        self._execution = execution
        self._name = name
        self._inputs = inputs
        self._policy = policy
        self._attempts = attempts
        self._call = call
        self._checkpoint: Checkpoint | None = None

    async def once(self) -> Any:
        """One attempt; returns what the function has returned. Raises :class:`NotWritten`."""
        attempt = self._execution.attempt
        connections = attempt.services.connections
        async with connections.transaction(attempt.lost_connection, self._has_landed) as lent:
            returned = await self._call(Transaction(lent))
            result = self._policy.kept(returned, self._attempts.failed + 1)
            if result.error is not None:
                raise result.error
            await take_own_role(lent)
            outcome = Recorded("completed", result.output, self._inputs, attempts=result.attempts)
            self._checkpoint = self._execution.checkpoint(self._name, outcome)
            await self._write(lent, self._checkpoint)
        return returned

    def landed(self) -> None:
        """The transaction has committed: the step has its outcome."""
        assert self._checkpoint is not None  # noqa: S101
        self._execution.replay.learn(self._name, self._checkpoint.outcome)

    def given_up(self, other: NotWritten) -> Recorded:
        """The outcome that stands in place of the one that was not written."""
        assert self._checkpoint is not None  # noqa: S101
        return self._execution.accept(self._checkpoint, other.answer)

    async def _write(self, lent: HandlerConnection, checkpoint: Checkpoint) -> None:
        text = queue_statement("run_checkpoint", QueueShape(checkpoint.message.queue, 0))
        answer = answers(await lent.fetch(text, *arguments_of([checkpoint])), 1)[0]
        if not answer.written or not answer.goes_on:
            raise NotWritten(answer)

    async def _has_landed(self, lent: HandlerConnection) -> bool:
        """Whether the commit was done, which the server's answer has left open."""
        loaded = self._execution.loaded
        rows = await lent.fetch(statement("run_load"), [loaded.run_id], [loaded.wake], [loaded.flow])
        return any(
            (self._name, "completed") in zip(row["steps"] or (), row["states"] or (), strict=True)
            for row in rows
        )

"""A worker whose handler takes jobs: how many attempts each has, and what is logged of them.

The log of a success is written in the transaction that completes the message. That of a failure is written
before the failure is settled: an attempt that is seen to fail twice, because its worker died between the two,
is logged twice.
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson

from postmill.client.sending import Statement
from postmill.handlers.decorator import Worker
from postmill.handlers.supaworker.job import job_of, row_of
from postmill.model.error_text import kept_message, kept_traceback
from postmill.model.errors import InvalidPayload, LeaseLost
from postmill.model.events import Event
from postmill.model.queue.attempt_policy import AttemptPolicy
from postmill.model.queue.outcome import Retry, Snooze
from postmill.model.queue.retry import Dead
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from postmill.engine.run.attempt import Attempt
    from postmill.handlers.supaworker.job import SupaworkerJob
    from postmill.model.queue.message import Message
    from postmill.model.queue.worker_options import WorkerOptions

in_a_job: ContextVar[bool] = ContextVar("postmill_in_a_job", default=False)
"""Whether the code that asks runs in a job's handler, or in a thread of it."""


class JobWorker(Worker):
    """Runs jobs of one queue."""

    def __init__(self, options: WorkerOptions, function: Callable[..., Any], *, logs: bool) -> None:
        super().__init__(options, function)
        self._logs = logs
        self.policy_for = self._policy_of

    @property
    def declarations(self) -> Sequence[Statement]:
        """See :class:`postmill.engine.handler.Handler`: none. Its function is given a job, and no payload."""
        return ()

    def bind(self, message: Message, attempt: Attempt) -> Awaitable[Any]:
        """See :class:`postmill.engine.handler.Handler`."""
        return self._run(message, attempt)

    async def _run(self, message: Message, attempt: Attempt) -> Any:
        job = job_of(message)
        if self._logs:
            attempt.sends = [_log(message, job, "success")]
        here = in_a_job.set(True)
        try:
            result = await self._required_default.call.one(job, attempt)
        except BaseException as error:
            await self._log_failure(job, attempt, error)
            raise
        finally:
            in_a_job.reset(here)
        if isinstance(result, Retry | Dead):
            await self._log_failure(job, attempt, result)
        return result

    def _policy_of(self, message: Message) -> AttemptPolicy:
        """The worker's options, unless the job's own allow another number of attempts. Attempts that were
        made before the job was moved count.
        """
        try:
            row = row_of(message)
        except InvalidPayload:  # the attempt says so
            return AttemptPolicy(self.options.retry, self.options.timeout_s)
        limit = row.max_attempts or self.options.retry.max_attempts or 1
        return AttemptPolicy(
            replace(self.options.retry, max_attempts=max(1, limit - row.attempts)), self.options.timeout_s
        )

    async def _log_failure(self, job: SupaworkerJob, attempt: Attempt, error: BaseException) -> None:
        status = self._status(attempt, error) if self._logs else None
        if status is None:
            return
        text, arguments, _ = _log(attempt.message, job, status, _told(attempt, error))
        try:
            async with attempt.services.connections.acquire(lambda _: None) as connection:
                await connection.execute(text, *arguments)
        except Exception as broken:  # the job's own error is the one that counts
            attempt.services.events.emit(
                Event.HOOK_FAILED,
                exception=broken,
                msg_id=attempt.message.msg_id,
                reason="the job's log could not be written",
            )

    def _status(self, attempt: Attempt, error: BaseException) -> str | None:
        """``retry`` or ``failure``; None for an end that is no failed attempt."""
        if isinstance(error, Snooze | LeaseLost):
            return None
        if isinstance(error, asyncio.CancelledError) and attempt.stopping.reason not in {None, "timeout"}:
            return None
        if isinstance(error, Dead) or (
            isinstance(error, InvalidPayload) and self.options.on_invalid == "dead"
        ):
            return "failure"
        policy = self._policy_of(attempt.message).retry
        is_last = attempt.outage is None and policy.exhausted(attempt.message.attempt)
        return "failure" if is_last else "retry"


def _log(message: Message, job: SupaworkerJob, status: str, error: str | None = None) -> Statement:
    """The statement that writes a log. What came from the server goes back as its text: JSON has numbers that
    Python can read and not write.
    """
    unmoved = orjson.dumps({"id": job.id, "queue": job.queue, "created_at": job.created_at}).decode()
    arguments = message.raw_headers, unmoved, job.attempts, message.raw, status, error
    return Statement(statement("supaworker_log"), arguments, message.queue)


def _told(attempt: Attempt, error: BaseException) -> str:
    """The error as JSON, with the names that Supaworker's logs have."""
    late = isinstance(error, asyncio.CancelledError) and attempt.stopping.reason == "timeout"
    message = f"still running after {attempt.limit_s} s" if late else kept_message(error)
    return orjson.dumps({"message": message, "stack": kept_traceback(error)}).decode()

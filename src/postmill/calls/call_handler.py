"""Runs the messages of one call queue: each is a call. To the engine it is a handler as any other: the engine
claims, leases, retries and settles.
"""

from __future__ import annotations

from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from postmill.db.hot.outage import is_passing
from postmill.model.calls.call_queue import outcome_of
from postmill.model.queue.attempt_policy import AttemptPolicy
from postmill.model.queue.outcome import Retry, Snooze
from postmill.model.queue.worker_options import WorkerOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from postmill.calls.call_queue_reads import CallQueueReads, ReadQueue
    from postmill.calls.outbound import Outbound
    from postmill.client.sending import Statement
    from postmill.engine.run.attempt import Attempt
    from postmill.engine.settle.settlement import Entry
    from postmill.model.calls.call_queue import CallQueue
    from postmill.model.queue.message import Message

MOST = 1000
"""Calls of one queue that one process runs at once. The queue's own limit is what counts; a thousand waiting
connections are a tenth of what one event loop can hold.
"""
AWAY_S = 1.0
"""A message whose call queue can't be read is taken again after so many seconds: an outage of the database
ends within seconds or lasts for minutes.
"""


class CallHandler:
    """The handler of one call queue. ``queue`` is replaced as changes of it are heard of; what is called
    is read anew for each call.
    """

    declarations: Sequence[Statement] = ()
    settlings: Mapping[type, Entry] = MappingProxyType({})
    backend = None
    runs_flows = False

    def __init__(self, queue: CallQueue, reads: CallQueueReads, outbound: Outbound) -> None:
        self.queue = queue
        self.options = WorkerOptions(queue=queue.queue, max_concurrent=MOST, keep_results=True)
        self._reads = reads
        self._outbound = outbound

    @property
    def name(self) -> str:
        """What the worker's row and log lines call it."""
        return f"call {self.queue.function}" if self.queue.function else "call"

    @property
    def policy_for(self) -> Callable[[Message], AttemptPolicy]:
        """The queue's own attempts and time limit, as they are now."""
        policy = AttemptPolicy(Retry.exponential(max_attempts=self.queue.max_attempts), self.queue.timeout_s)
        return lambda _: policy

    async def bind(self, message: Message, _attempt: Attempt) -> Any:
        """Call for one message."""
        read = await self._read()
        queue = self.queue = read.queue
        answer = await self._outbound.made(
            read.granted,
            queue.role,
            lambda secrets: queue.call_of(message.raw, self._outbound.host, secrets),
            to_function=queue.function is not None,
        )
        return outcome_of(answer, datetime.now(UTC))

    async def bind_batch(self, messages: Sequence[Message], attempts: Sequence[Attempt]) -> Any:
        """One after the other; not used, as the options ask for no batches."""
        return [await self.bind(*each) for each in zip(messages, attempts, strict=True)]

    def close(self) -> None:
        """Nothing to end: the way out is the owner's."""

    async def _read(self) -> ReadQueue:
        """The queue as it is now. Raises ``Snooze`` in an outage, and when it is a call queue no more: it is
        no attempt.
        """
        try:
            read = await self._reads.now(self.options.queue)
        except Exception as error:
            if is_passing(error):
                raise Snooze(AWAY_S) from error
            raise
        if read is None:
            raise Snooze(AWAY_S)
        return read

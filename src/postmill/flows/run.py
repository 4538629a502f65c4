"""``Run``: the handle of a run, for the code that has started it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from postmill.client.awaited import UNSET, timeout_s
from postmill.flows.event_stream import EventStream
from postmill.handlers.invokers import decoder
from postmill.handlers.sender import sender
from postmill.model.errors import ResultTimedOut, RunCancelled, RunFailed
from postmill.service.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractAsyncContextManager
    from datetime import timedelta

    from postmill.client import AsyncClient
    from postmill.client.awaited import Unset
    from postmill.client.runs import RunState
    from postmill.flows.runnable import Runnable
    from postmill.flows.signal import Signal
    from postmill.flows.steps import Step

R = TypeVar("R")
T = TypeVar("T")

FIRST_LOOK_S = 0.02
"""Seconds until the second look whether a run has ended; each further pause is twice as long."""
LAST_LOOK_S = 1.0
"""The longest pause between two looks, in seconds."""


class Run(Generic[R]):
    """One run of a flow or of a workflow. ``R``: what it gives."""

    def __init__(self, run_id: int, of: Runnable[R], connection: Any = None) -> None:
        """``connection``: where it is asked for; None: on Postmill's own."""
        self.run_id = run_id
        self.of = of
        """What it is a run of."""
        self._connection = connection

    async def state(self) -> RunState:
        """How it is doing. Raises ``NotFound`` when it was removed."""
        async with self._client() as client:
            return await client.runs.state(self.run_id)

    async def result(self, timeout: float | timedelta | Unset | None = UNSET) -> R:
        """Wait until it has ended, and return what it gives: of a workflow what that returned, of a flow the
        outputs of the steps that no other step needs, by name. ``timeout``: in seconds or as a timedelta.

        Raises :class:`RunFailed`, :class:`RunCancelled`, ``ResultTimedOut``, and as :meth:`state`.
        """
        limit_s = timeout_s(timeout)
        try:
            async with asyncio.timeout(limit_s):
                ended = await self._ended()
        except TimeoutError as error:
            state = await self.state()
            if not state.has_ended:
                raise _late(state, limit_s or 0.0) from error
            ended = state
        return self._value(ended)

    async def output(self, step: Step[T]) -> T:
        """What a step of it has given. Raises ``NotFound`` while that is not completed, and when it was
        skipped; ``InvalidPayload`` when it does not fit the step's annotation.
        """
        async with self._client() as client:
            text = await client.runs.output(self.run_id, step.name)
        value: T = decoder(step.output_type)(text)
        return value

    def events(self, position: str | None = None) -> EventStream:
        """What happens to it: ``async for event in run.events()``, until it has ended. ``position``: go on
        where a stream before was: its ``position``.
        """
        return EventStream(self._client, self.run_id, position)

    async def cancel(self, reason: str | None = None) -> bool:
        """End it as cancelled, with what it has started; what it has done is not undone. A step that runs
        goes on to its end, which counts for nothing; one on a cluster is interrupted. Returns whether it had
        not ended before.
        """
        async with self._client() as client:
            return await client.runs.cancel(self.run_id, reason)

    async def pause(self, reason: str | None = None) -> None:
        """Start no further step; ``reason`` is shown with the run. Raises ``Refused`` once it has ended."""
        async with self._client() as client:
            await client.runs.pause(self.run_id, reason)

    async def resume(self) -> None:
        """Go on after a pause."""
        async with self._client() as client:
            await client.runs.resume(self.run_id)

    async def signal(self, signal: Signal[T], value: T) -> bool:
        """Send it a signal. Returns whether it keeps the value: of a plain signal only the first counts.
        Raises ``InvalidPayload`` for a value that does not fit the signal's type.
        """
        signal.check(value)
        async with self._client() as client:
            return await client.runs.signal(self.run_id, signal.name, value, many=signal.many)

    async def approve(self, step: Step[Any], answer: object) -> bool:
        """Answer a wait for an approval, or any other wait, by its step. Returns and raises as
        :meth:`signal`.
        """
        signal = step.signal
        if signal is not None:
            signal.check(answer)
        name, many = (step.name, False) if signal is None else (signal.name, signal.many)
        async with self._client() as client:
            return await client.runs.signal(self.run_id, name, answer, many=many)

    async def retry(self) -> None:
        """Let it go on after it has failed: steps that failed, and what was cancelled for their sake, start
        again. Raises ``Refused`` for a run that has not failed.
        """
        async with self._client() as client:
            await client.runs.retry(self.run_id)

    async def fork(
        self,
        step: Step[Any] | str | None = None,
        *,
        input: object = None,  # noqa: A002 - the word of flows
        outputs: Mapping[str, object] | None = None,
    ) -> Run[R]:
        """Start another run that is as this one up to ``step``, and does that step and what follows anew;
        without one, everything. ``input`` and ``outputs`` (by step) replace what this run had. Raises
        ``InvalidPayload`` for an input that does not fit.
        """
        name = step if step is None or isinstance(step, str) else step.name
        async with self._client() as client:
            return Run(await client.runs.fork(self.run_id, name, input, outputs), self.of, self._connection)

    def __repr__(self) -> str:
        return f"<Run {self.run_id} of {self.of.name}>"

    def _client(self) -> AbstractAsyncContextManager[AsyncClient]:
        return sender(self.of.worker_options, self._connection)

    async def _ended(self) -> RunState:
        """It asks again and again: a run says nothing of its end to those that wait."""
        pauses = Backoff(lambda: 0.5, base_s=FIRST_LOOK_S, max_s=LAST_LOOK_S)
        async with self._client() as client:
            while not (state := await client.runs.state(self.run_id)).has_ended:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(pauses.next_delay_s())
        return state

    def _value(self, ended: RunState) -> R:
        if ended.state == "failed":
            named = f"Run {self.run_id} of {self.of.name} has failed."
            at = f"Step {ended.culprit!r}: " if ended.culprit else ""
            raise RunFailed(
                named,
                why=f"{at}{ended.reason or 'no reason is known'}.",
                hint=f"postmill run show {self.run_id}; postmill run retry {self.run_id}",
                run_id=self.run_id,
                culprit=ended.culprit,
                reason=ended.reason,
            )
        if ended.state == "cancelled":
            raise RunCancelled(f"Run {self.run_id} of {self.of.name} was cancelled.", why=ended.reason or "")
        value: R = self.of.decode_result(ended.output_json or "null")
        return value


def _late(state: RunState, limit_s: float) -> ResultTimedOut:
    return ResultTimedOut(
        f"Run {state.run_id} has not ended within {limit_s:g} s.",
        why=f"It is {state.state}.",
        hint=f"Wait longer, or look: postmill run show {state.run_id}",
        state=state.state,
    )

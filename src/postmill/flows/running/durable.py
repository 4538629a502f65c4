"""What each call of a durable function's context does: what is recorded is returned, what is new is done and
recorded. See :class:`postmill.flows.context.Durable` for what each of them means.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from postmill.client.failures import said_by_postmill
from postmill.engine.run.verdicts import stems_from
from postmill.flows.function_calls import call_function
from postmill.flows.on_cluster import unseen
from postmill.flows.run import Run
from postmill.flows.running.failures import Failures
from postmill.flows.running.gathering import gathered
from postmill.flows.running.inside_step import check_outside, current_step, inside
from postmill.flows.running.replay import Recorded, inputs_of
from postmill.flows.running.run_settlings import AwaitedStep
from postmill.flows.running.sayings import Sayings
from postmill.flows.running.settlings import StepDropped
from postmill.flows.running.signals import taken
from postmill.flows.running.step_attempts import StepPolicy, run_function
from postmill.flows.running.step_pauses import Overtaken, StepPauses
from postmill.flows.running.together import once_up
from postmill.flows.running.transaction_step import NotWritten, TransactionStep
from postmill.flows.startable import Startable
from postmill.flows.workflow import settings_of
from postmill.model.errors import InvalidPayload, ReplayMismatch, StepFailed
from postmill.model.queue.payload import to_json
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from postmill.flows.context import Args, Kwargs, Work
    from postmill.flows.flow_options import FlowOptions
    from postmill.flows.running.cluster_step import ClusterSteps
    from postmill.flows.running.execution import Execution
    from postmill.flows.running.replay import State
    from postmill.flows.running.step_attempts import Result
    from postmill.flows.signal import Signal
    from postmill.handlers.context import Transaction
    from postmill.service.threads import Threads

    Decode = Callable[[str], Any]


class DurableRun:
    """The context of one run while a worker has it."""

    def __init__(
        self,
        execution: Execution,
        options: FlowOptions,
        threads: Threads,
        clustered: ClusterSteps | None = None,
    ) -> None:
        self.execution = execution
        self.undoing: list[tuple[str, Callable[..., Any], Args, Kwargs]] = []
        """What undoes the work so far, by the name of its step; the last one runs first."""
        self.failures = Failures()
        """Of its steps, as the function was given them."""
        self._options = options
        self.max_output = options.max_output
        """The most bytes that its function may return, as JSON."""
        self._threads = threads
        self._clustered = clustered
        self._policies: dict[Callable[..., Any], StepPolicy] = {}
        self._events = 0
        self.sayings = Sayings(execution)
        """What is written beside the function, while it runs on."""

    @property
    def run_id(self) -> int:
        """See :class:`Durable`."""
        return self.execution.loaded.run_id

    def step(self, name: str, function: Callable[..., Any], args: Args, kwargs: Kwargs) -> Work:
        """See :class:`Durable`."""
        return self.named_step(self.named(name), function, args, kwargs)

    def map(
        self,
        name: str,
        function: Callable[..., Any] | Startable[..., Any],
        items: Sequence[Any],
        max_concurrent: int | None,
    ) -> Work:
        """See :class:`Durable`."""
        base = self.named(name)
        if isinstance(function, Startable):
            work = [self._run(f"{base}[{at}]", function, (item,), {}) for at, item in enumerate(items)]
        else:
            work = [self.named_step(f"{base}[{at}]", function, (item,), {}) for at, item in enumerate(items)]
        return gathered(work, max_concurrent, self.failures)

    def wait(self, name: str, signal: Signal[Any], timeout_s: float | None) -> Work:
        """See :class:`Durable`."""
        return self._wait(self.named(name), signal, timeout_s)

    def sleep(self, name: str, for_s: float) -> Work:
        """See :class:`Durable`."""
        return self._sleep(self.named(name), for_s)

    def run(self, name: str, other: Startable[..., Any], args: Args, kwargs: Kwargs) -> Work:
        """See :class:`Durable`."""
        return self._run(self.named(name), other, args, kwargs)

    def start(self, name: str, other: Startable[..., Any], args: Args, kwargs: Kwargs) -> Work:
        """See :class:`Durable`."""
        return self._start(self.named(name), other, args, kwargs)

    def call(self, name: str, function: str, body: object) -> Work:
        """See :class:`Durable`."""
        return self.named_step(self.named(name), call_function, (function, body), {})

    def transaction(self, name: str, function: Callable[..., Any], args: Args, kwargs: Kwargs) -> Work:
        """See :class:`Durable`."""
        return self._transaction(self.named(name), function, args, kwargs)

    def on_failure(self, name: str, function: Callable[..., Any], args: Args, kwargs: Kwargs) -> None:
        """See :class:`Durable`."""
        self.undoing.append((self.named(name), function, args, kwargs))

    def emit(self, name: str, value: object) -> None:
        """See :class:`Durable`. What a step says is said again when the step is tried again."""
        step, content = current_step(), to_json(value).decode()
        if step is None:
            self._events += 1
            if self._events <= self.execution.loaded.events:
                return
        self.sayings.say(step, name, content)

    def patched(self, name: str) -> bool:
        """See :class:`Durable`. The answer is written with the next statement: what is recorded after it is
        never without it.
        """
        step = f"patched:{name}"
        found = self._find(step, None)
        if found is not None:
            return found.output == "true"
        is_new = not self.execution.replay.is_behind
        outcome = Recorded("completed", "true" if is_new else "false")
        self.execution.replay.learn(step, outcome)
        self.sayings.keep(self.execution.record(step, outcome))
        return is_new

    def named(self, name: str) -> str:
        """The name of the next step that is called so. Raises :class:`InsideStep` inside a step: in a replay
        it is not run, and names would be counted otherwise.
        """
        check_outside(name)
        return self.execution.replay.name(name)

    def _find(self, name: str, inputs: str | None) -> Recorded | None:
        """What is recorded of a step that begins here. Raises :class:`InsideStep` where its name was taken
        outside of the step that awaits it.
        """
        check_outside(name)
        return self.execution.find(name, inputs)

    def _again(self, name: str, found: Recorded, decode: Decode) -> Any:
        """What is recorded of a step. Raises :class:`ReplayMismatch` where its annotation refuses that."""
        try:
            return self._given(name, found, decode)
        except InvalidPayload as error:
            raise self.execution.mismatched(name, misfit(name, error)) from error

    async def named_step(self, name: str, function: Callable[..., Any], args: Args, kwargs: Kwargs) -> Any:
        """A step whose name is taken already."""
        policy, inputs = self._policy_of(function), inputs_of(args, kwargs)
        found = self._find(name, inputs)
        if found is not None and found.state != "waiting":
            return self._again(name, found, policy.decode)
        pauses = StepPauses(self.execution, name, inputs, found)
        policy, call = self._attempts(name, function, args, kwargs, pauses)
        with self.execution:
            try:
                await pauses.rest()
                with inside(name):
                    result = await policy.result(call, self._is_an_outage, pauses.after, pauses.failed)
            except Overtaken as other:
                return self._given(name, other.stands, policy.decode)
            stands = await self._kept(name, inputs, result)
        return self._given(name, stands, policy.decode, result)

    def _attempts(
        self, name: str, function: Callable[..., Any], args: Args, kwargs: Kwargs, pauses: StepPauses
    ) -> tuple[StepPolicy, Callable[[], Awaitable[Any]]]:
        """How a step is tried, and one attempt. On a cluster an attempt has the time limit itself."""
        policy = self._policy_of(function)
        if settings_of(function).on_cluster is None:
            return policy, partial(run_function, function, args, kwargs, self._threads)
        if self._clustered is None or function not in self._clustered:
            raise unseen(name)
        once = partial(self._clustered.once, function, args, kwargs, self.execution, pauses, policy.timeout_s)
        return replace(policy, timeout_s=None), once

    def _policy_of(self, function: Callable[..., Any]) -> StepPolicy:
        found = self._policies.get(function)
        if found is None:
            found = self._policies[function] = StepPolicy.of(function, self._options)
        return found

    async def _kept(self, name: str, inputs: str | None, result: Result) -> Recorded:
        state: State = "failed" if result.output is None else "completed"
        outcome = Recorded(state, result.output, inputs, result.reason, attempts=result.attempts)
        return await self.execution.record(name, outcome)

    async def _wait(self, name: str, signal: Signal[Any], timeout_s: float | None) -> Any:
        found = self._find(name, None)
        if found is None or found.state == "waiting":
            found = await self._come(name, signal, timeout_s, 0.0 if found is None else found.waited_s)
        return None if found.output is None else self._again(name, found, signal.decode)

    async def _come(
        self, name: str, signal: Signal[Any], timeout_s: float | None, waited_s: float
    ) -> Recorded:
        """The outcome of a wait: a signal that is there and fits, the end of its time, or (later) whatever
        comes.
        """
        try:
            sent = await taken(self.execution, name, signal)
        except InvalidPayload as error:
            raise self.execution.mismatched(name, misfit(name, error)) from error
        if sent is None and (timeout_s is None or waited_s < timeout_s):
            await self.execution.wait_for(AwaitedStep(name, signal.name, timeout_s))
        with self.execution:
            if sent is None:
                return await self.execution.record(name, Recorded("completed", reason="timed out"))
            answer = Recorded("completed", sent.content)
            return await self.execution.record(name, answer, signal_id=sent.signal_id)

    async def _sleep(self, name: str, for_s: float) -> None:
        found = self._find(name, None)
        if found is not None and found.state != "waiting":
            return
        if found is None or found.waited_s < for_s:
            await self.execution.wait_for(AwaitedStep(name, None, for_s))
        with self.execution:
            await self.execution.record(name, Recorded("completed", "null"))

    async def _run(self, name: str, other: Startable[..., Any], args: Args, kwargs: Kwargs) -> Any:
        content = bytes(other.encode(*args, **kwargs)).decode()
        found = self._find(name, inputs_of([content], {}))
        if found is not None and found.state != "waiting":
            return self._again(name, found, other.decode_result)
        if found is None:
            await self._child(name, other, content, awaited=True)
        return await self.execution.wait_for(AwaitedStep(name))

    async def _start(self, name: str, other: Startable[..., Any], args: Args, kwargs: Kwargs) -> Any:
        content = bytes(other.encode(*args, **kwargs)).decode()
        inputs = inputs_of([content], {})
        found = self._find(name, inputs)
        if found is None:
            with self.execution:
                child = await self._child(name, other, content, awaited=False)
                found = await self.execution.record(name, Recorded("completed", str(child), inputs))
        return Run(int(found.output or 0), other)

    async def _child(self, name: str, other: Startable[..., Any], content: str, *, awaited: bool) -> int:
        """The run that a step starts, or has started before a crash."""
        loaded, inputs = self.execution.loaded, inputs_of([content], {})
        arguments = (loaded.run_id, loaded.wake, name, other.name, content, awaited, inputs)
        with self.execution:
            shared = self.execution.shared
            with said_by_postmill():
                row = await once_up(partial(shared.fetchrow, statement("run_start_child"), *arguments))
            if row["child"] is None:
                self.execution.stop(StepDropped("its run does not run any more"))
        child: int = row["child"]
        return child

    async def _transaction(self, name: str, function: Callable[..., Any], args: Args, kwargs: Kwargs) -> Any:
        policy, inputs = self._policy_of(function), inputs_of(args, kwargs)
        found = self._find(name, inputs)
        if found is not None and found.state != "waiting":
            return self._again(name, found, policy.decode)

        def call(transaction: Transaction) -> Awaitable[Any]:
            return run_function(function, (transaction, *args), kwargs, self._threads)

        pauses = StepPauses(self.execution, name, inputs, found)
        step = TransactionStep(self.execution, name, inputs, policy, pauses, call)
        with self.execution:
            try:
                await pauses.rest()
                with inside(name):
                    result = await policy.result(step.once, self._passes, pauses.after, pauses.failed)
            except NotWritten as other:
                return self._given(name, step.given_up(other), policy.decode)
            except Overtaken as other:
                return self._given(name, other.stands, policy.decode)
            if result.error is not None:
                return self._given(name, await self._kept(name, inputs, result), policy.decode, result)
            step.landed()
        return result.value

    def _is_an_outage(self, error: BaseException) -> bool:
        """Whether a step ended because a connection was lost: no attempt of its own failed."""
        outage = self.execution.attempt.outage
        return outage is not None and stems_from(error, outage)

    def _passes(self, error: BaseException) -> bool:
        return isinstance(error, NotWritten) or self._is_an_outage(error)

    def _given(self, name: str, found: Recorded, decode: Decode, result: Result | None = None) -> Any:
        """What a step gives: its output, or its failure. Of a step that has just run its own value."""
        if found.state == "failed":
            failure = self.failures.give(failure_of(name, found.reason or ""))
            raise failure from (None if result is None else result.error)
        if result is not None and result.output == found.output:
            return result.value
        return decode(found.output or "null")


def misfit(name: str, error: InvalidPayload) -> ReplayMismatch:
    """The error of a step that has another annotation than when it was recorded."""
    return ReplayMismatch(
        f"What step {name!r} gave does not fit what it is annotated with now.",
        why=f"{error}",
        hint="Let the annotation take what is recorded too, or give the new step another name.",
    )


def failure_of(name: str, reason: str) -> StepFailed:
    """The error of a step that has failed for good."""
    return StepFailed(f"Step {name!r} has failed.", why=f"{reason}.", step=name, reason=reason)

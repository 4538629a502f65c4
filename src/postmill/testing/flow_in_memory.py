"""Runs a flow in memory, by the rules of :mod:`postmill.model.flow.interpreter`: one task after the other.

A step's times follow from those of its sources, so steps that a worker would run side by side take the time
of the longest. How many run at once is not simulated.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from postmill.flows.running.step_attempts import Result, StepPolicy, run_function
from postmill.handlers.invokers import decoder
from postmill.model.errors import InvalidPayload
from postmill.model.flow.interpreter import Died, RunEnd, tasks
from postmill.model.queue.payload import loads, to_json
from postmill.testing.simulated import Simulated, SimulatedStep
from postmill.testing.world import NotSimulated, World, nobody_sends

if TYPE_CHECKING:
    from collections.abc import Callable

    from postmill.flows.flow import Flow
    from postmill.flows.steps import Step
    from postmill.model.flow.interpreter import Task


@dataclass(slots=True)
class Pauses:
    """Time that passes between the attempts at one task."""

    total_s: float = 0.0

    async def pause(self, for_s: float) -> None:
        """Let it pass."""
        self.total_s += for_s


@dataclass
class FlowInMemory:
    """One run of a flow."""

    flow: Flow[Any]
    world: World
    ends: dict[str, float] = field(default_factory=dict)
    """When each step that had something to do has ended, in seconds from the run's start."""
    _start_s: float = 0.0

    async def run(self, text: str) -> Simulated[dict[str, Any]]:
        """Run it on this input, which is JSON."""
        self._start_s = self.world.clock.now_s
        running = tasks(self.flow.shape, loads(text))
        answer: Any = None
        while True:
            try:
                task = running.send(answer)
            except StopIteration as end:
                return await self._ended(end.value)
            answer = await self._perform(self.flow.steps[task.step.name], task)

    async def _perform(self, step: Step[Any], task: Task) -> Any:
        begin = self._after_sources(step) + step.chosen.delay_s
        took_s, answer = await self._outcome(step, task, begin)
        self.ends[step.name] = max(self.ends.get(step.name, 0.0), begin + took_s)
        return answer

    async def _outcome(self, step: Step[Any], task: Task, begin: float) -> tuple[float, Any]:
        """How long a task took, and what it gave."""
        fake = self.world.stand_in(step, step.child)
        if step.shape.kind == "sleep":
            return 0.0, None
        if step.signal is not None and fake is None:
            return self._wait(step, begin)
        if step.child is not None and fake is None:
            return await self._child(step, task, begin)
        return await self._call(step, task, fake)

    def _wait(self, step: Step[Any], begin: float) -> tuple[float, Any]:
        assert step.signal is not None  # noqa: S101
        sent, limit_s = self.world.signal(step.signal, 0), step.chosen.timeout_s
        wait_s = 0.0 if sent is None else max(0.0, sent.after_s - self._start_s - begin)
        if sent is not None and (limit_s is None or wait_s <= limit_s):
            return wait_s, loads(to_json(sent.value))
        if limit_s is None:
            raise nobody_sends(step.signal)
        return limit_s, None

    async def _child(self, step: Step[Any], task: Task, begin: float) -> tuple[float, Any]:
        assert step.child is not None  # noqa: S101
        ((parameter, given),) = task.inputs.items()
        text = to_json({parameter: given} if step.child.kind == "workflow" else given).decode()
        self.world.clock.now_s = self._start_s + begin
        ended = await self.world.run(self.world, step.child, text)
        self.world.clock.now_s = self._start_s
        return ended.took_s, ended.value if ended.state == "completed" else Died(ended.reason)

    async def _call(self, step: Step[Any], task: Task, fake: Callable[..., Any] | None) -> tuple[float, Any]:
        if fake is None and step.context_parameter is not None:
            raise NotSimulated(
                f"Step {step.name!r} asks for its context, which only a worker has.",
                hint="Give it a stand-in: simulate(..., fakes={step: function or value}).",
            )
        try:
            arguments = _arguments(step, task)
        except InvalidPayload as error:
            return 0.0, Died(f"invalid payload: {error}")
        function = fake or step.function
        assert function is not None  # noqa: S101 - every other kind was told apart
        pauses = Pauses()
        result = await self._attempted(step, partial(function, **arguments), pauses)
        if result.output is None:
            return pauses.total_s, Died(result.reason or "")
        if fake is not None:
            _check_fake(step, result.output)
        return pauses.total_s, loads(result.output)

    def _after_sources(self, step: Step[Any]) -> float:
        """When it may begin. A step that was skipped has ended when its own sources had."""
        needs = [self.flow.steps[name] for name in step.shape.needs]
        return max((self.ends.get(need.name, self._after_sources(need)) for need in needs), default=0.0)

    async def _ended(self, run: RunEnd) -> Simulated[dict[str, Any]]:
        culprit = run.culprits[0] if run.culprits else None
        reason, undone = ("", []) if culprit is None else await self._undo(run, run.steps[culprit].reason)
        needed = {need for step in self.flow.shape.steps for need in step.needs}
        return Simulated(
            self.flow,
            run.state,
            {
                name: SimulatedStep(end.state, end.output, end.reason, self.ends.get(name, 0.0))
                for name, end in run.steps.items()
            },
            max(self.ends.values(), default=0.0),
            culprit,
            reason,
            undone,
            value={name: output for name, output in run.outputs.items() if name not in needed},
        )

    async def _undo(self, run: RunEnd, reason: str) -> tuple[str, list[str]]:
        """Undo what completed, the last first. What can't be undone is added to the reason."""
        undone = []
        for name in reversed(list(run.outputs)):
            step = self.flow.steps[name]
            if step.compensate is None:
                continue
            output = decoder(step.output_type)(to_json(run.outputs[name]).decode())
            undo = self.world.stand_in(step.compensate) or step.compensate
            result = await self._attempted(step, partial(undo, output), Pauses())
            undone.append(name)
            if result.output is None:
                reason += f"; undoing {name!r} failed too: {result.reason}"
        return reason, undone

    async def _attempted(self, step: Step[Any], call: Callable[[], Any], pauses: Pauses) -> Result:
        policy = StepPolicy(step.retry, step.timeout_s, loads, self.flow.worker_options.max_output)
        with self.world.clock.working():
            return await policy.result(
                lambda: run_function(call, (), {}, self.world.threads),
                lambda error: isinstance(error, NotSimulated | KeyboardInterrupt),
                lambda pause: pauses.pause(pause.for_s),
            )


def _arguments(step: Step[Any], task: Task) -> dict[str, Any]:
    """Its values, decoded to what its annotations say. Raises :class:`InvalidPayload`."""
    reads = step.shape.reads
    given = {name: task.value if reads[name].kind == "each" else task.inputs[name] for name in reads}
    return {
        name: decoder(step.input_types.get(name, Any))(to_json(value).decode())
        for name, value in given.items()
    }


def _check_fake(step: Step[Any], output: str) -> None:
    """Refuse a stand-in whose value the real step would never give."""
    try:
        decoder(getattr(step, "item_type", step.output_type))(output)
    except InvalidPayload as error:
        raise InvalidPayload(
            f"What stands in for step {step.name!r} gives another type than the step.", why=f"{error}."
        ) from error

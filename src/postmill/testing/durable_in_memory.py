"""What is durable in a simulation: what each call of a workflow's context does, recorded in memory."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

from postmill.flows.context import Ctx
from postmill.flows.function_calls import call_function
from postmill.flows.run import Run
from postmill.flows.running.durable import failure_of
from postmill.flows.running.failures import Failures
from postmill.flows.running.gathering import gathered
from postmill.flows.running.inside_step import check_outside, inside
from postmill.flows.running.replay import Recorded, inputs_of
from postmill.flows.running.step_attempts import StepPolicy, run_function
from postmill.flows.startable import Startable
from postmill.model.errors import ReplayMismatch
from postmill.model.queue.payload import loads, to_json
from postmill.testing.simulated import SimulatedStep
from postmill.testing.world import NotSimulated, nobody_sends

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from postmill.flows.context import Args, Kwargs, Work
    from postmill.flows.running.replay import Replay
    from postmill.flows.signal import Signal
    from postmill.flows.workflow import Workflow
    from postmill.testing.world import World


class DurableInMemory:
    """The context of one simulated run. See :class:`Durable` for what each call means."""

    run_id = 1

    def __init__(
        self, workflow: Workflow[..., Any], world: World, replay: Replay, *, is_replay: bool = False
    ) -> None:
        """``is_replay``: everything it is asked for must be recorded already."""
        self.steps: dict[str, SimulatedStep] = {}
        self.events: list[tuple[str, Any]] = []
        self.started: list[str] = []
        self.undoing: list[tuple[str, Callable[..., Any], Args, Kwargs]] = []
        self.context = Ctx(self)
        self.replay = replay
        self._workflow = workflow
        self._world = world
        self._is_replay = is_replay
        self._taken: Counter[str] = Counter()

    def step(self, name: str, function: Callable[..., Any], args: Args, kwargs: Kwargs) -> Work:
        """See :class:`Durable`."""
        return self.named_step(self._named(name), function, args, kwargs)

    def map(
        self,
        name: str,
        function: Callable[..., Any] | Startable[..., Any],
        items: Sequence[Any],
        max_concurrent: int | None,
    ) -> Work:
        """See :class:`Durable`."""
        base = self._named(name)
        one: Callable[..., Work] = self._run if isinstance(function, Startable) else self.named_step
        work = [one(f"{base}[{place}]", function, (item,), {}) for place, item in enumerate(items)]
        return gathered(work, max_concurrent, Failures())

    def wait(self, name: str, signal: Signal[Any], timeout_s: float | None) -> Work:
        """See :class:`Durable`."""
        return self._wait(self._named(name), signal, timeout_s)

    def sleep(self, name: str, for_s: float) -> Work:
        """See :class:`Durable`."""
        return self._once(self._named(name), None, partial(self._asleep, for_s))

    def run(self, name: str, other: Startable[..., Any], args: Args, kwargs: Kwargs) -> Work:
        """See :class:`Durable`."""
        return self._run(self._named(name), other, args, kwargs)

    def start(self, name: str, other: Startable[..., Any], args: Args, kwargs: Kwargs) -> Work:
        """See :class:`Durable`: the run is noted, and not run."""
        return self._start(self._named(name), other, args, kwargs)

    def call(self, name: str, function: str, body: object) -> Work:
        """See :class:`Durable`. Its stand-in is found by the name of the edge function."""
        fake = self._world.stand_in(function)
        call, args = (call_function, (function, body)) if fake is None else (fake, (body,))
        return self.named_step(self._named(name), call, args, {})

    def transaction(self, name: str, function: Callable[..., Any], args: Args, kwargs: Kwargs) -> Work:
        """See :class:`Durable`. Its stand-in is called without the transaction."""
        if self._world.stand_in(function) is None:
            raise NotSimulated(
                f"Step {name!r} asks for a transaction, which only a database has.",
                hint="Give it a stand-in: simulate(..., fakes={function: value, or another function}).",
            )
        return self.named_step(self._named(name), function, args, kwargs)

    def emit(self, name: str, value: object) -> None:
        """See :class:`Durable`."""
        self.events.append((name, loads(to_json(value))))

    def on_failure(self, name: str, function: Callable[..., Any], args: Args, kwargs: Kwargs) -> None:
        """See :class:`Durable`."""
        self.undoing.append((self._named(name), function, args, kwargs))

    def patched(self, name: str) -> bool:
        """See :class:`Durable`: a simulated run is a new one."""
        check_outside(name)
        return True

    def _named(self, name: str) -> str:
        """The name of the next step that is called so."""
        check_outside(name)
        return self.replay.name(name)

    async def named_step(self, name: str, function: Callable[..., Any], args: Args, kwargs: Kwargs) -> Any:
        """A step whose name is taken already."""
        policy = StepPolicy.of(function, self._workflow.worker_options)
        called = self._world.stand_in(function) or function

        async def attempted() -> Recorded:
            with self._world.clock.working(), inside(name):
                result = await policy.result(
                    lambda: run_function(called, args, dict(kwargs), self._world.threads),
                    lambda error: isinstance(error, NotSimulated | KeyboardInterrupt),
                    lambda pause: self._world.clock.pause(pause.for_s),
                )
            state: Any = "failed" if result.output is None else "completed"
            return Recorded(state, result.output, reason=result.reason)

        return policy.decode(await self._once(name, inputs_of(args, kwargs), attempted))

    async def _once(self, name: str, inputs: str | None, work: Callable[[], Awaitable[Recorded]]) -> str:
        """What is recorded under this name, as JSON text: done now, if it is not. Raises
        :class:`StepFailed`.
        """
        check_outside(name)
        found = self.replay.find(name, inputs)
        if found is None and self._is_replay:
            raise ReplayMismatch(
                f"Step {name!r} is called in a replay, and was not called at first.",
                why="A function that runs again must make the same calls with the same arguments.",
                hint="Put what differs (the time, chance, a read) into a step.",
            )
        if found is None:
            done = await work()
            found = Recorded(done.state, done.output, inputs, done.reason)
            self.replay.learn(name, found)
        output = found.output or "null"
        is_done = found.state == "completed"
        value = loads(output) if is_done else None
        at = self._world.clock.now_s
        self.steps[name] = SimulatedStep("completed" if is_done else "failed", value, found.reason or "", at)
        if not is_done:
            raise failure_of(name, found.reason or "")
        return output

    async def _asleep(self, for_s: float) -> Recorded:
        clock = self._world.clock
        await clock.until(clock.now_s + for_s)
        return Recorded("completed", "null")

    async def _wait(self, name: str, signal: Signal[Any], timeout_s: float | None) -> Any:
        output = await self._once(name, None, partial(self._come, signal, timeout_s))
        kind, value = loads(output)
        return signal.decode(to_json(value).decode()) if kind else None

    async def _come(self, signal: Signal[Any], timeout_s: float | None) -> Recorded:
        """Whether the signal has come, and its value."""
        clock = self._world.clock
        sent = self._world.signal(signal, self._taken[signal.name])
        over_s = None if timeout_s is None else clock.now_s + timeout_s
        if sent is not None and (over_s is None or sent.after_s <= over_s):
            self._taken[signal.name] += 1
            await clock.until(sent.after_s)
            return Recorded("completed", to_json([True, sent.value]).decode())
        if over_s is None:
            await clock.for_ever(nobody_sends(signal))
        else:
            await clock.until(over_s)
        return Recorded("completed", "[false, null]")

    async def _run(self, name: str, other: Startable[..., Any], args: Args, kwargs: Kwargs) -> Any:
        text = bytes(other.encode(*args, **kwargs)).decode()
        fake = self._world.stand_in(other)
        child = (
            partial(self._child, other, text) if fake is None else partial(self._faked, fake, args, kwargs)
        )
        return other.decode_result(await self._once(name, inputs_of([text], {}), child))

    async def _faked(self, fake: Callable[..., Any], args: Args, kwargs: Kwargs) -> Recorded:
        """What stands in for a whole run gives."""
        with self._world.clock.working():
            value = await run_function(fake, args, dict(kwargs), self._world.threads)
        return Recorded("completed", to_json(value).decode())

    async def _child(self, other: Startable[..., Any], text: str) -> Recorded:
        clock = self._world.clock
        begin_s = clock.now_s
        ended = await self._world.run(self._world, other, text)
        await clock.until(begin_s + ended.took_s)
        if ended.state == "failed":
            return Recorded("failed", reason=ended.reason)
        return Recorded("completed", to_json(ended.value).decode())

    async def _start(self, name: str, other: Startable[..., Any], args: Args, kwargs: Kwargs) -> Any:
        text = bytes(other.encode(*args, **kwargs)).decode()

        async def noted() -> Recorded:
            return Recorded("completed", str(len(self.started) + 2))

        number = await self._once(name, inputs_of([text], {}), noted)
        self.started.append(other.name)
        return Run(int(number), other)

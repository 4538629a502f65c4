"""One time that a worker runs a workflow's function on a run: what is recorded, what goes on, why it stops.

The function runs in a task of its own. Whatever stops the run here (it waits, it was cancelled or paused,
another worker has it) cancels that task, and decides the outcome of the message, whatever the function makes
of that. Knows no kinds of steps: see ``durable``.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

from postmill.flows.running.checkpoints import Checkpoint
from postmill.flows.running.run_settlings import AwaitedStep, RunParked
from postmill.flows.running.settlings import StepDropped, StepHeld
from postmill.model.errors import Refused, ReplayMismatch
from postmill.model.queue.outcome import CANCELLED, LOST, RELEASED
from postmill.service.service import new_task

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from postmill.db.hot.shared_connection import SharedConnection
    from postmill.engine.run.attempt import Attempt
    from postmill.flows.running.checkpoints import Answer, Checkpoints
    from postmill.flows.running.replay import Recorded
    from postmill.flows.running.run_loader import LoadedRun
    from postmill.model.queue.outcome import Outcome

    Stop = Outcome | RunParked | StepDropped | StepHeld

PATIENCE = 20
"""Turns of the event loop without any step under way, after which a run that waits is parked. In as many the
function has gone on, through ``asyncio.gather`` inside ``asyncio.gather`` too, where it can go on at once. A
run that is parked too early does the same work again; nothing is lost.
"""
PARKED_ABOVE_S = 1.0
"""Seconds above which a pause between two attempts frees the slot. To park a run and load it again takes two
statements and a replay, at most 10 ms for a thousand steps: one hundredth of such a pause. Shorter ones are
not worth that.
"""
_STOPS: dict[str, Outcome] = {"shutdown": RELEASED, "lease_lost": LOST, "cancelled": CANCELLED}


class Stopped(asyncio.CancelledError):
    """The run does not go on here. No ``Exception``: a function's ``except Exception`` does not keep it."""


class Execution:
    """Ends with :attr:`stopped`, or with the end of the function. Entered around what is done anew."""

    def __init__(self, loaded: LoadedRun, attempt: Attempt, checkpoints: Checkpoints) -> None:
        self.loaded = loaded
        self.attempt = attempt
        self.checkpoints = checkpoints
        self.replay = loaded.replay
        self.failed_before = frozenset(loaded.replay.failed_steps)
        """The steps whose failures were recorded when the run was loaded."""
        self.stopped: Stop | None = None
        """Why the function was cancelled; None: it was not, or it only ran on to where it had failed."""
        self.exit: KeyboardInterrupt | SystemExit | None = None
        """What the function has ended with: as the end of a task it would be the end of the event loop."""
        self.refused: Exception | None = None
        """What the database has said of a record that it does not take."""
        self.mismatch: tuple[str, ReplayMismatch] | None = None
        """The first step that the function called otherwise than before, and how."""
        self.is_undoing = loaded.state == "undoing"
        """Whether the run fails: the function runs only to where it has been before."""
        self.undoes = False
        """Whether what undoes its work runs now."""
        self._task: asyncio.Task[Any] | None = None
        self._others: set[asyncio.Task[Any]] = set()
        self._working = 0
        self._waits: dict[str, AwaitedStep] = {}
        self._turns = 0
        self._looking = False
        self._over = False
        self._loaded_at = asyncio.get_running_loop().time()

    @property
    def age_s(self) -> float:
        """Seconds since the run was loaded."""
        return asyncio.get_running_loop().time() - self._loaded_at

    @property
    def shared(self) -> SharedConnection:
        """The worker's connection for what it writes down."""
        return self.attempt.services.connections.shared

    async def run(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run the function to its end, or to where the run stops; returns its task, which is done."""
        self._task = new_task(self._held(work))
        try:
            await asyncio.wait({self._task})
        except asyncio.CancelledError:
            self._task.cancel()
            await asyncio.wait({self._task})
            raise
        finally:
            self._over = True
            for task in list(self._others):
                task.cancel()
        return self._task

    async def _held(self, work: Coroutine[Any, Any, Any]) -> Any:
        try:
            return await work
        except (KeyboardInterrupt, SystemExit) as error:
            self.exit = error

    def find(self, name: str, inputs: str | None) -> Recorded | None:
        """What is recorded of a step that the function calls now. Raises :class:`ReplayMismatch`."""
        self._turns = PATIENCE
        if self.stopped is not None:
            self._leave()
        try:
            return self.replay.find(name, inputs)
        except ReplayMismatch as error:
            raise self.mismatched(name, error) from None

    def mismatched(self, step: str, error: ReplayMismatch) -> ReplayMismatch:
        """The same error; the run comes to nothing new from here on."""
        if not self.is_undoing:
            self.mismatch = self.mismatch or (step, error)
        return error

    def __enter__(self) -> None:
        """Around what is done anew: the run is not parked meanwhile."""
        self._begin()
        self._working += 1
        self._note_branch()

    def __exit__(self, *_: object) -> None:
        """Park the run, if it only waits from here on."""
        self._working -= 1
        self._forget_branch()
        if self._waits:
            self._look()

    async def pause(self, step: str, for_s: float) -> None:
        """Between two attempts at a step. A long pause is as a wait: the run is parked if nothing else is
        under way. A worker that stops meanwhile leaves the run to the next one.
        """
        if for_s > PARKED_ABOVE_S:
            await self._long_pause(step, for_s)
        else:
            await self._time(for_s)
        self._begin()

    async def _long_pause(self, step: str, for_s: float) -> None:
        if self.undoes:  # one step after the other, and not in the function's task
            self.stop(RunParked((AwaitedStep(step),)))
        self._waits[step] = AwaitedStep(step)
        self._working -= 1
        self._look()
        try:
            await self._time(for_s)
        finally:
            self._working += 1
            del self._waits[step]

    async def _time(self, for_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(for_s):
                await self.attempt.stopping.wait()

    async def wait_for(self, wait: AwaitedStep) -> NoReturn:
        """Wait for what only comes when the run is parked."""
        self._begin()
        self._waits[wait.step] = wait
        self._note_branch()
        self._look()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self._forget_branch()
            del self._waits[wait.step]
        raise AssertionError  # nothing sets the future

    async def record(self, step: str, outcome: Recorded, *, signal_id: int | None = None) -> Recorded:
        """Write an outcome down; returns the one that stands, which may be another worker's."""
        checkpoint = self.checkpoint(step, outcome, signal_id)
        try:
            answer = await self.checkpoints.write(checkpoint, self.shared)
        except Exception as error:
            self.refused = self.refused or error
            self._leave()
        return self.accept(checkpoint, answer)

    def checkpoint(self, step: str, outcome: Recorded, signal_id: int | None = None) -> Checkpoint:
        """An outcome as it is written down."""
        loaded, message = self.loaded, self.attempt.message
        return Checkpoint(message, loaded.run_id, loaded.wake, step, outcome, signal_id)

    def accept(self, checkpoint: Checkpoint, answer: Answer) -> Recorded:
        """Go on with the outcome that stands. Where none does, or the run goes on elsewhere or not at all, it
        stops here.
        """
        stands = checkpoint.outcome if answer.written else answer.stands
        if stands is not None:
            self.replay.learn(checkpoint.step, stands)
        if not answer.goes_on:
            self.stop(_end_here(answer))
        if stands is None:
            self.stop(LOST if checkpoint.signal_id is None else RELEASED)
        self.find(checkpoint.step, checkpoint.outcome.inputs)
        return stands

    def stop(self, why: Stop) -> NoReturn:
        """The run does not go on here."""
        if self.stopped is None:
            self.stopped = why
        self._leave()

    def _note_branch(self) -> None:
        """A task of the function's own, which the end of the run here cancels: ``asyncio.wait`` leaves its
        tasks alone when it is cancelled.
        """
        task = asyncio.current_task()
        if task is not None and task is not self._task:
            self._others.add(task)

    def _forget_branch(self) -> None:
        if self._others:
            self._others.discard(asyncio.current_task())

    def _begin(self) -> None:
        """Whether something new may be begun."""
        if self._over and not self.undoes:
            raise Refused(
                "The run's function has ended.",
                why="What it left running can record nothing any more.",
                hint="Await what you start, before the function returns.",
            )
        if self.mismatch is not None or (self.is_undoing and not self.undoes):
            self._leave()
        if self.attempt.stopping.is_set():
            self.stop(_STOPS.get(self.attempt.stopping.reason or "", RELEASED))

    def _leave(self) -> NoReturn:
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
        raise Stopped

    def _look(self) -> None:
        """Park the run soon, if nothing is under way but waits."""
        self._turns = PATIENCE
        if self._waits and not self._working and not self._looking:
            self._looking = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._turns -= 1
        if self._working or not self._waits or self._over or self.stopped is not None:
            self._looking = False
        elif self._turns > 0:
            asyncio.get_running_loop().call_soon(self._turn)
        else:
            self.stopped = RunParked(tuple(self._waits.values()))
            assert self._task is not None  # noqa: S101
            self._task.cancel()


def _end_here(answer: Answer) -> StepDropped | StepHeld:
    """What becomes of the message of a run that does not go on under it."""
    if answer.run_state is None:
        return StepDropped("its run is gone")
    if not answer.newest:
        return StepDropped("its run was woken since")
    return (
        StepHeld("paused") if answer.run_state == "paused" else StepDropped(f"its run is {answer.run_state}")
    )

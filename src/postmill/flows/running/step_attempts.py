"""Runs a step of a workflow until it has an outcome: attempts with their time limit and the pauses between
them, in a thread or on the event loop, and its result as JSON.
"""

from __future__ import annotations

import asyncio
import inspect
import random
from contextvars import copy_context
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from postmill.flows.annotations import returned_by
from postmill.flows.running.inside_step import InsideStep
from postmill.flows.workflow import settings_of
from postmill.handlers.invokers import decoder
from postmill.handlers.returned import finished
from postmill.handlers.signature import called
from postmill.model.error_text import kept_message, storable, summary_of
from postmill.model.errors import InvalidPayload, LeaseLost
from postmill.model.queue.outcome import Retry, Snooze
from postmill.model.queue.payload import to_json
from postmill.model.queue.retry import Dead, Exhausted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from postmill.flows.flow_options import FlowOptions
    from postmill.model.queue.retry import RetryPolicy
    from postmill.service.threads import Threads

    Decode = Callable[[str], Any]
    Passes = Callable[[BaseException], bool]
    Rest = Callable[["Pause"], Awaitable[Any]]

_PLAIN = frozenset({str, int, float, bool, type(None)})
"""Results that surely are no code which has not run."""
QUOTED = 300
"""Characters of the last error that a step's reason quotes, as in dead letters."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a step came to."""

    value: Any = None
    """What its function has returned, as a replay has it too: decoded from the JSON."""
    output: str | None = None
    """JSON text; None: it has failed."""
    reason: str | None = None
    attempts: int = 1
    error: BaseException | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    """What lies between two attempts."""

    for_s: float
    failed: int
    """How many attempts have failed so far. A ``Snooze`` is none."""
    reason: str
    """Why the last one has not done it."""


@dataclass(frozen=True, slots=True)
class StepPolicy:
    """What holds for the attempts at one step."""

    retry: RetryPolicy
    timeout_s: float | None
    decode: Decode
    max_output: int

    @classmethod
    def of(cls, function: Callable[..., Any], options: FlowOptions) -> StepPolicy:
        """What ``@step`` says of a function, and else what ``options`` of its workflow say."""
        settings = settings_of(function)
        retry = options.retry if settings.retry is None else settings.retry
        timeout_s = options.timeout_s if settings.timeout_s is None else settings.timeout_s
        return cls(retry, timeout_s, _decoder(function), options.max_output)

    async def result(
        self, call: Callable[[], Awaitable[Any]], passes: Passes, rest: Rest, failed: int = 0
    ) -> Result:
        """Try ``call`` until it has a result, or no attempt is left; ``rest`` between two. ``failed``
        attempts were made before. ``passes`` tells errors that are no failed attempt: they are raised as is.
        Whatever else the function raises is one, also ``sys.exit()``.
        """
        attempt = failed + 1
        while True:
            try:
                returned = await self._within_limit(call)
            except BaseException as error:
                if isinstance(error, LeaseLost) or _ends_the_task(error) or passes(error):
                    raise
                if isinstance(error, InsideStep):
                    return Result(reason=failure_reason(error), attempts=attempt, error=error)
                verdict = self._verdict(attempt, error)
                if isinstance(verdict, Dead):
                    return Result(reason=_reason(verdict, error), attempts=attempt, error=error)
                failed = attempt - isinstance(error, Snooze)
                await rest(Pause(verdict, failed, failure_reason(error)))
                attempt = failed + 1
            else:
                return self.kept(returned, attempt)

    def kept(self, returned: Any, attempts: int) -> Result:
        """What a function has returned, as it is kept. What can't be kept is the step's failure: another
        attempt would return the same.
        """
        try:
            output = output_of(returned, self.max_output)
            return Result(self.decode(output), output, attempts=attempts)
        except InvalidPayload as error:
            return Result(reason=kept_message(error), attempts=attempts, error=error)

    async def _within_limit(self, call: Callable[[], Awaitable[Any]]) -> Any:
        if self.timeout_s is None:
            return await call()
        async with asyncio.timeout(self.timeout_s):
            return await call()

    def _verdict(self, attempt: int, error: BaseException) -> float | Dead:
        if isinstance(error, Dead):
            return error
        if isinstance(error, Snooze):
            return error.after_s
        asked_s = error.after_s if isinstance(error, Retry) else None
        return self.retry.decide(attempt, error, random.random, asked_s=asked_s)


def output_of(value: Any, most: int) -> str:
    """A result as JSON text. Raises :class:`InvalidPayload` for what is no JSON, or larger than ``most``."""
    data = to_json(value, "output")
    if len(data) > most:
        raise InvalidPayload(
            f"Its output is {len(data):,} bytes of JSON; at most {most:,} are kept.",
            why="It is loaded again whenever the run goes on.",
            hint="Store the data elsewhere (a table, a file) and return its address, or raise max_output.",
        )
    return data.decode()


async def run_function(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], threads: Threads
) -> Any:
    """What the function returns, however it is to be run. A plain one runs in a thread, which can't be
    killed: after a time limit it runs on, and its result is of no use.
    """
    if _is_async(function):
        returned = await function(*args, **kwargs)
    else:
        call = partial(copy_context().run, partial(function, *args, **kwargs))
        returned = await _ended(asyncio.wrap_future(threads.submit(call)))
    return returned if type(returned) in _PLAIN else await finished(returned)


async def _ended(running: asyncio.Future[Any]) -> Any:
    """What it gives or raises. It is not awaited itself: a ``GeneratorExit`` out of an awaited future closes
    every coroutine that waits, and none of them could make another attempt.
    """
    try:
        await asyncio.wait([running])
    except asyncio.CancelledError:
        running.cancel()
        raise
    return running.result()


def failure_reason(error: BaseException) -> str:
    """Why a function failed, in one line: what a :class:`Dead` gives as its reason, or the error."""
    if isinstance(error, Dead):
        return kept_message(error) or "the function said so"
    return storable(summary_of(error)[:QUOTED])


@lru_cache(maxsize=1024)
def _is_async(function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(called(function))


@lru_cache(maxsize=1024)
def _decoder(function: Callable[..., Any]) -> Decode:
    return decoder(returned_by(function))


def _ends_the_task(error: BaseException) -> bool:
    """Whether the task is cancelled, or closed outside of its loop, and the step not at fault. One that
    awaits what was cancelled elsewhere fails like any: then the task is not cancelled.
    """
    if type(error) not in {asyncio.CancelledError, GeneratorExit}:
        return isinstance(error, asyncio.CancelledError)
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def _reason(verdict: Dead, error: BaseException) -> str:
    if isinstance(verdict, Exhausted):
        return f"{kept_message(verdict)}: {failure_reason(error)}"
    return failure_reason(verdict)

"""``executor="ray"``: one message, one task on the cluster."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from postmill.engine.run.verdicts import ChildCrashed
from postmill.handlers.cluster.driver import Driver, DriverLost, driver_for
from postmill.handlers.cluster.orders import LARGEST_JSON, Order
from postmill.handlers.context import Context
from postmill.handlers.signature import has_address
from postmill.model.errors import InvalidHandler, InvalidPayload
from postmill.model.queue.outcome import RELEASED, Completed, Retry, Snooze
from postmill.model.queue.payload import loads, to_json
from postmill.model.queue.retry import Dead

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence

    from postmill.engine.backend import Backend
    from postmill.engine.run.attempt import Attempt
    from postmill.handlers.cluster.driver import Call
    from postmill.handlers.cluster.orders import Ending, Failure, Said
    from postmill.model.queue.cluster_options import ClusterOptions
    from postmill.service.events import Events

SNOOZE_S = 10.0
"""Seconds that a message waits whose task did not begin within ``start_timeout``. 10 s: the cluster is full,
so an earlier try would only wait again, and take a place from others.
"""


class OnCluster:
    """The cluster of one worker: makes its driver when the worker starts."""

    def __init__(self) -> None:
        self.needs: list[Mapping[str, float]] = []
        """What each function's tasks need."""
        self.driver: Driver | None = None
        """That of the worker that runs now."""

    def __call__(self, events: Events) -> Backend:
        """The driver of a worker that starts. Raises as :func:`driver_for`."""
        self.driver = driver_for(self.needs, events)
        return self.driver

    def joined(self, other: OnCluster) -> Callable[[Events], Backend]:
        """One driver for the functions of both."""

        def start(events: Events) -> Backend:
            self.driver = other.driver = driver_for([*self.needs, *other.needs], events)
            return self.driver

        return start

    def invoker(
        self, function: Callable[..., Any], options: ClusterOptions, *, by_name: bool = False
    ) -> OnRay:
        """How ``function`` is called on the cluster; ``by_name``: with a value for each parameter, as a step
        is. Raises :class:`InvalidHandler`.
        """
        made = OnRay(function, options, self, by_name=by_name)
        self.needs.append(options.resources)
        return made


class Limit(Protocol):
    """A time limit, which counts from the task's own start."""

    @property
    def seconds(self) -> float:
        """Its length."""

    def begin(self) -> None:
        """It counts from now on."""

    def end(self) -> None:
        """It does not count any more."""


class RemoteError(Exception):
    """What a task raised. Its class has the name of the one that was raised there, and nothing else of it:
    errors come as JSON.
    """


class OnRay:
    """How one function is called; see :class:`postmill.handlers.invokers.Invoker`."""

    def __init__(
        self, function: Callable[..., Any], options: ClusterOptions, cluster: OnCluster, *, by_name: bool
    ) -> None:
        """Raises :class:`InvalidHandler` for a function that has no name to be found by."""
        name = getattr(function, "__qualname__", "")
        if not has_address(function):
            raise InvalidHandler(
                f"{name or repr(function)} can't be run on a cluster.",
                why="A task imports the function by its module and name, and would not find this one.",
                hint="Define it with def at the top level of an importable module.",
            )
        self._name = f"{function.__module__}:{name}"
        self._options = options
        self._cluster = cluster
        self._by_name = by_name
        self.finish: Callable[[Any, str, Attempt], Awaitable[Any]] | None = None
        """What is called here with the payload and the result's JSON, before the message is completed."""

    def one(self, payload: Any, attempt: Attempt) -> Coroutine[Any, Any, Any]:
        """See :class:`postmill.handlers.invokers.Invoker`. The payload was decoded here to see whether it
        fits: the task decodes the JSON itself.
        """
        text = to_json(payload).decode() if self._by_name else attempt.message.raw
        _check_size(text)
        return self._run(payload, text, attempt)

    async def value(self, text: str, attempt: Attempt, number: int, limit: Limit | None) -> Any:
        """What a task returns that is given this JSON; ``number``: which attempt it is. Raises what the task
        raises, ``Snooze`` where it found no room, and :class:`DriverLost`.
        """
        _check_size(text)
        return _value_of(await self._ending(text, attempt, number, limit))

    def batch(self, payloads: Sequence[Any], attempts: Sequence[Attempt]) -> Awaitable[Any]:
        """Not used: options with ``batch`` and this executor are refused."""
        raise NotImplementedError

    def close(self) -> None:
        """Nothing: the driver is the worker's, and ends after what runs in it."""

    async def _run(self, payload: Any, text: str, attempt: Attempt) -> Any:
        try:
            ending = await self._ending(text, attempt, attempt.message.attempt, attempt.time_limit)
        except DriverLost:
            return RELEASED
        returned = _value_of(ending)
        if self.finish is None:
            return returned
        finished = await self.finish(payload, ending.result, attempt)
        return returned if finished is None else finished

    async def _ending(self, text: str, attempt: Attempt, number: int, limit: Limit | None) -> Ending:
        message, limit_s = attempt.message, None if limit is None else limit.seconds
        resources = dict(self._options.resources)

        def order(call: int) -> Order:
            said = (text, message.queue, message.msg_id, number, limit_s, self._by_name, resources)
            return Order(call, self._name, *said)

        task = _Running(self._cluster.driver, self._options.cancel_grace_s, Context(attempt), limit)
        ending = await task.ending(order, self._options.start_timeout_s)
        if ending is None:
            raise Snooze(SNOOZE_S, f"no room on the cluster within {self._options.start_timeout_s:g} s")
        return ending


class _Running:
    """One task from its order to its end."""

    def __init__(
        self, driver: Driver | None, cancel_grace_s: float, context: Context, limit: Limit | None
    ) -> None:
        self._driver = driver
        self._cancel_grace_s = cancel_grace_s
        self._context = context
        self._limit = limit
        self._started: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def ending(self, order: Callable[[int], Order], start_timeout_s: float) -> Ending | None:
        """How it has ended; None: it did not begin in time, and was taken back. Raises :class:`DriverLost`,
        and ``CancelledError`` once the task is gone.
        """
        if self._driver is None:
            raise DriverLost
        if self._limit is not None:
            self._limit.end()  # it counts from the task's own start
        call = self._driver.begin(order, self._said)
        try:
            if await self._has_begun(call, start_timeout_s):
                await asyncio.wait([call.ended])
                self._begin_limit()  # what finish does has it too
                return call.ended.result()
        except asyncio.CancelledError:
            ended = await self._gone(call)
            if ended is not None and ended.how == "returned":
                return ended  # finished work must not run again
            raise
        ended = await self._gone(call)
        return ended if ended is not None and ended.how == "returned" else None

    async def _has_begun(self, call: Call, start_timeout_s: float) -> bool:
        either: list[asyncio.Future[Any]] = [self._started, call.ended]
        await asyncio.wait(either, timeout=start_timeout_s, return_when=asyncio.FIRST_COMPLETED)
        return self._started.done() or call.ended.done()

    async def _gone(self, call: Call) -> Ending | None:
        """Interrupt the task, end its process after the grace, and wait until it is gone; returns how it has
        ended, None when its driver has. A cancellation meanwhile changes nothing: the slot is free when the
        task is.
        """
        assert self._driver is not None  # noqa: S101
        self._driver.cancel(call, force=False)
        timer = asyncio.get_running_loop().call_later(
            self._cancel_grace_s, partial(self._driver.cancel, call, force=True)
        )
        try:
            while not call.ended.done():
                try:
                    await asyncio.wait([call.ended])
                except asyncio.CancelledError:
                    continue
        finally:
            timer.cancel()
        return None if call.ended.exception() is not None else call.ended.result()

    def _begin_limit(self) -> None:
        """The task has begun. A short one does not say so before it ends."""
        if not self._started.done():
            self._started.set_result(None)
            if self._limit is not None:
                self._limit.begin()

    def _said(self, said: Said) -> None:
        match said.what:
            case "started":
                self._begin_limit()
            case "progress":
                self._context.progress(said.number, said.text)
            case "log":
                self._context.log.log(int(said.number), "%s", said.text)


def _check_size(text: str) -> None:
    size = len(text.encode())
    if size > LARGEST_JSON:
        raise InvalidPayload(f"the payload has {size:,} bytes, and a task may be given {LARGEST_JSON:,}")


def _value_of(ending: Ending) -> Any:
    """What a task returned. Raises what it raised, and :class:`ChildCrashed` where its process has died."""
    match ending.how:
        case "returned":
            value = loads(ending.result)
            return Completed(value) if ending.outcome else value
        case "raised" if ending.failure is not None:
            raise _error_of(ending.failure)
        case "cancelled":
            raise ChildCrashed("the task was cancelled by someone else")
    raise ChildCrashed(ending.text)


def _error_of(failure: Failure) -> Exception:
    match failure.outcome:
        case "retry":
            return Retry(failure.message, after=failure.after_s)
        case "snooze" if failure.after_s is not None:
            return Snooze(failure.after_s, failure.message)
        case "dead":
            return Dead(failure.message)
        case "invalid":
            return InvalidPayload(failure.message)
    error: RemoteError = type(failure.type, (RemoteError,), {})(failure.message)
    error.add_note("On the cluster:\n" + failure.traceback.rstrip())
    return error

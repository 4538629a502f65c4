"""How a handler is called: which function a message is for, what its JSON becomes, and whether the function
runs on the event loop, in a thread, or in a process that can be killed.
"""

from __future__ import annotations

import asyncio
import inspect
from contextvars import copy_context
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeAlias, TypeVar

import msgspec

from postmill.handlers.context import Context
from postmill.handlers.pydantic_payload import pydantic_decoder, pydantic_validator
from postmill.handlers.returned import drop, finished, finished_batch
from postmill.handlers.signature import Arguments, Decorated, Signature, called, read_signature
from postmill.model.errors import InvalidHandler, InvalidPayload
from postmill.model.queue.addressee import TASK_HEADER
from postmill.model.queue.outcome import one_a_message
from postmill.model.queue.payload import SHORT, check_bounds, loads
from postmill.service.threads import Threads

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from postmill.engine.run.attempt import Attempt
    from postmill.handlers.cluster.on_ray import OnCluster
    from postmill.model.queue.message import Message
    from postmill.model.queue.worker_options import WorkerOptions

    Decode: TypeAlias = Callable[[str], Any]
    Finish: TypeAlias = Callable[[Any], Awaitable[Any]]

_Task = TypeVar("_Task", bound="Callee")


class Callee(Decorated):
    """A function that messages can reach: how their payload is decoded, and how the function is called."""

    def __init__(
        self, function: Callable[..., Any], options: WorkerOptions, cluster: OnCluster | None = None
    ) -> None:
        """``cluster``: where the function runs; None: here. Raises :class:`InvalidHandler` when it can't be
        called with a payload.
        """
        signature = read_signature(function, batch=options.batch is not None)
        self._function = function
        self.payload_type = signature.payload_type
        """What a payload is decoded to: the annotation."""
        self.decode = decoder(signature.payload_type)
        there = None if cluster is None else cluster.invoker(function, options.on_cluster)
        self.call: Invoker = there or invoker_for(function, signature, options)

    @property
    def function(self) -> Callable[..., Any]:
        """See :class:`postmill.handlers.signature.Decorated`."""
        return self._function


class Callees(Decorated, Generic[_Task]):
    """The functions of one queue: finds the one that a message is for, and calls it."""

    def __init__(self, queue: str, tasks: dict[str, _Task]) -> None:
        self.queue = queue
        """Its name."""
        self.tasks = tasks
        """By the name that a message gives in :data:`TASK_HEADER`."""
        self._default: _Task | None = None

    @property
    def function(self) -> Callable[..., Any] | None:
        """See :class:`postmill.handlers.signature.Decorated`: that of the default handler."""
        return None if self._default is None else self._default.function

    def bind(self, message: Message, attempt: Attempt) -> Awaitable[Any]:
        """See :class:`postmill.engine.handler.Handler`."""
        task = self._default if not message.has_headers else self._task_of(message)
        if task is None:
            raise self._unknown(None)
        return task.call.one(task.decode(message.raw), attempt)

    def bind_batch(self, messages: Sequence[Message], attempts: Sequence[Attempt]) -> Awaitable[Any]:
        """See :class:`postmill.engine.handler.Handler`. A payload that does not fit a handler gets an outcome
        of its own.
        """
        return self._run_batch(messages, attempts)

    def close(self) -> None:
        """End its threads and processes."""
        for task in self._all:
            task.call.close()

    async def _run_batch(self, messages: Sequence[Message], attempts: Sequence[Attempt]) -> Any:
        task = self._required_default
        outcomes: list[Any] = [None] * len(messages)
        payloads, places = [], []
        for place, message in enumerate(messages):
            try:
                payloads.append(task.decode(message.raw))
                places.append(place)
            except InvalidPayload as error:
                outcomes[place] = error
        if not payloads:
            return outcomes
        returned = await task.call.batch(payloads, [attempts[place] for place in places])
        for place, outcome in zip(places, one_a_message(returned, len(payloads)) or (), strict=False):
            outcomes[place] = outcome
        return outcomes

    def _task_of(self, message: Message) -> _Task | None:
        # Decoding headers costs as much as a payload: most of them, a group's for example, name no task.
        name = message.headers.get(TASK_HEADER) if f'"{TASK_HEADER}"' in (message.raw_headers or "") else None
        if name is None:
            return self._default
        task = self.tasks.get(name) if isinstance(name, str) else None
        if task is None:
            raise self._unknown(name)
        return task

    def _unknown(self, name: object) -> InvalidPayload:
        known = ", ".join(sorted(self.tasks)) or "none"
        if name is None:
            return InvalidPayload(
                f"the message names no task, and this worker has no default handler (tasks: {known})"
            )
        return InvalidPayload(f"unknown task {name!r} (known: {known})")

    @cached_property
    def _required_default(self) -> _Task:
        if self._default is None:
            raise InvalidHandler(
                f"The worker on queue {self.queue!r} has no default handler.",
                hint="Send to one of its tasks: task.send(...)",
            )
        return self._default

    @property
    def _all(self) -> list[_Task]:
        return [*([self._default] if self._default else []), *self.tasks.values()]


class Invoker(Protocol):
    """How a function is called: on the loop, in a thread, in a process or on a cluster."""

    def one(self, payload: Any, attempt: Attempt) -> Awaitable[Any]:
        """The call for one message."""

    def batch(self, payloads: Sequence[Any], attempts: Sequence[Attempt]) -> Awaitable[Any]:
        """The call for several messages at once. The context, if wanted, is that of the first."""

    def close(self) -> None:
        """End its threads and processes."""


def invoker_for(function: Callable[..., Any], signature: Signature, options: WorkerOptions) -> Invoker:
    """The way to call ``function``. Raises :class:`InvalidHandler` for a coroutine function in a process
    pool.
    """
    if options.executor == "process":
        if _is_async(function) or signature.wants_context:
            raise InvalidHandler(
                "A handler with executor='process' is a plain def with one parameter.",
                why="It runs in another process, where neither the event loop nor the context is.",
                hint="Write it as a plain def of the payload; its return value comes back.",
            )
        from postmill.handlers.process_pool import InProcess  # noqa: PLC0415 - multiprocessing is not cheap to import

        return InProcess(function, options)
    if _is_async(function):
        return OnLoop(function, wants_context=signature.wants_context)
    return InThread(function, options, wants_context=signature.wants_context)


def invoker_by_name(
    function: Callable[..., Any],
    options: WorkerOptions,
    context_parameter: str | None,
    context: type[Context] = Context,
) -> Invoker:
    """The way to call ``function`` with values by name: each payload is an :class:`Arguments`. The parameter
    of this name, if any, is given a ``context``. Raises :class:`InvalidHandler` as :func:`invoker_for`.
    """
    wants_context = context_parameter is not None
    if options.executor == "process":
        return invoker_for(function, Signature(Arguments, wants_context), options)
    by_name = partial(_called_by_name, function, context_parameter)
    if _is_async(function):
        return OnLoop(by_name, wants_context=wants_context, context=context)
    return InThread(by_name, options, wants_context=wants_context, context=context)


def _called_by_name(
    function: Callable[..., Any], context_parameter: str | None, arguments: Arguments, *context: Context
) -> Any:
    return function(**arguments, **{context_parameter: context[0]} if context_parameter else {})


class OnLoop:
    """``async def``: awaited in the slot's own task."""

    def __init__(
        self, function: Callable[..., Any], *, wants_context: bool, context: type[Context] = Context
    ) -> None:
        self._function = function
        self._context = context
        self._run = self._with_context if wants_context else self._plain

    def one(self, payload: Any, attempt: Attempt) -> Awaitable[Any]:
        """See :class:`Invoker`."""
        return self._run(payload, attempt, finished)

    def batch(self, payloads: Sequence[Any], attempts: Sequence[Attempt]) -> Awaitable[Any]:
        """See :class:`Invoker`."""
        return self._run(payloads, attempts[0], finished_batch)

    def close(self) -> None:
        """Nothing to let go of."""

    async def _plain(self, payload: Any, attempt: Attempt, finish: Finish) -> Any:
        result = await self._function(payload)
        return None if result is None else await finish(result)

    async def _with_context(self, payload: Any, attempt: Attempt, finish: Finish) -> Any:
        try:
            result = await self._function(payload, self._context(attempt))
            return None if result is None else await finish(result)
        finally:
            attempt.ended = True


class InThread:
    """A plain ``def``: in a pool of as many threads as the worker has slots. A thread can't be killed: after
    a time limit it keeps its slot, and its lease is renewed, until it ends. What it returns is awaited on the
    event loop.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        options: WorkerOptions,
        *,
        wants_context: bool,
        context: type[Context] = Context,
    ) -> None:
        self._function = function
        self._wants_context = wants_context
        self._context = context
        self._size = options.max_concurrent
        self._threads: Threads | None = None

    def one(self, payload: Any, attempt: Attempt) -> Awaitable[Any]:
        """See :class:`Invoker`."""
        return self._run(payload, attempt, finished)

    def batch(self, payloads: Sequence[Any], attempts: Sequence[Attempt]) -> Awaitable[Any]:
        """See :class:`Invoker`."""
        return self._run(payloads, attempts[0], finished_batch)

    def close(self) -> None:
        """Start nothing more; a thread that still runs is not waited for."""
        if self._threads is not None:
            self._threads.close()

    async def _run(self, payload: Any, attempt: Attempt, finish: Finish) -> Any:
        if not self._wants_context:
            result = await self._in_thread(partial(self._function, payload), attempt)
            return None if result is None else await finish(result)
        try:
            result = await self._in_thread(partial(self._function, payload, self._context(attempt)), attempt)
            return None if result is None else await finish(result)
        finally:
            attempt.ended = True

    async def _in_thread(self, call: Callable[[], Any], attempt: Attempt) -> Any:
        if self._threads is None or self._threads.closed:
            self._threads = Threads(self._size, "postmill handler")
        threads = self._threads
        running = asyncio.wrap_future(threads.submit(partial(copy_context().run, call)))
        cancelled: asyncio.CancelledError | None = None
        while not running.done():
            try:
                await asyncio.wait([running])
            except asyncio.CancelledError as error:
                cancelled = error
                if attempt.stopping.reason == "shutdown" or threads.closed:
                    break  # the worker ends: the thread is left behind
        if not running.done():
            running.cancel()  # its result is of no use any more
            raise cancelled or asyncio.CancelledError
        result = running.result()  # also after its time limit: finished work must not run again
        if cancelled is not None and drop(result):
            raise cancelled  # it has not begun, and its time is over
        return result


def _is_async(function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(called(function))


_JSON_NAMES = {dict: "object", list: "array"}


def decoder(payload_type: Any) -> Decode:
    """The function that decodes payloads of ``payload_type``: anything msgspec knows (dict, Struct,
    dataclass, ...) or pydantic.

    Raises :class:`InvalidHandler` for a type that nothing here can decode.
    """
    if payload_type in (Any, object, dict, list, None):
        return _any_of(payload_type)
    validate = pydantic_validator(payload_type)
    if validate is not None:
        return pydantic_decoder(validate)
    try:
        decode = msgspec.json.Decoder(payload_type).decode
    except TypeError as error:
        raise InvalidHandler(
            f"A payload can't be decoded to {payload_type!r}.",
            why=f"{error}.",
            hint="Annotate it with dict, a dataclass, a msgspec Struct or a pydantic model.",
        ) from error
    return _msgspec(decode)


def _any_of(payload_type: Any) -> Decode:
    if payload_type not in (dict, list):
        return loads

    def decode(raw: str) -> Any:
        payload = loads(raw)
        if type(payload) is not payload_type:
            raise InvalidPayload(f"expected a JSON {_JSON_NAMES[payload_type]}, got {type(payload).__name__}")
        return payload

    return decode


def _msgspec(decode: Decode) -> Decode:
    def checked(raw: str) -> Any:
        if len(raw) > SHORT:
            check_bounds(raw)
        try:
            return decode(raw)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise InvalidPayload(str(error)) from error

    return checked

"""Runs a plain function in processes of its own, which can be killed: one message a process at a time.

A process is started when it is needed, kept for the next message, and replaced when it dies or is killed at a
time limit.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import pickle
import signal
import sys
from functools import partial
from multiprocessing.reduction import ForkingPickler
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from postmill.engine.run.verdicts import ChildCrashed
from postmill.handlers.returned import in_process
from postmill.handlers.signature import Arguments, has_address
from postmill.model.error_text import summary_of, traceback_of
from postmill.model.errors import InvalidHandler
from postmill.service.threads import Threads

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess
    from types import ModuleType

    from postmill.engine.run.attempt import Attempt
    from postmill.model.queue.worker_options import WorkerOptions

_context = multiprocessing.get_context("spawn")


class NotBegun(ChildCrashed):
    """The process was dead before it was given the message."""


class Child:
    """One process, and the pipe to it."""

    def __init__(self, module: str, name: str) -> None:
        self._pipe, far_end = _context.Pipe()
        self._process: BaseProcess = _context.Process(
            target=_serve, args=(far_end, module, name), daemon=True
        )
        self._process.start()
        far_end.close()
        self._killed = False
        self.calls = 0
        """Messages that it has answered."""

    def call(self, payload: Any) -> tuple[bool, Any]:
        """Run the function on ``payload`` there: whether it returned, and its result or its error. Raises
        :class:`NotBegun` when the process was dead already, and :class:`ChildCrashed` when it dies meanwhile.
        """
        try:
            self._pipe.send(payload)
        except OSError as error:
            self._process.join()
            raise NotBegun(_ending(self._process.exitcode)) from error
        try:
            answer: tuple[bool, Any] = self._pipe.recv()
        except (EOFError, OSError) as error:
            self._process.join()
            raise ChildCrashed(_ending(self._process.exitcode)) from error
        self.calls += 1
        return answer

    def kill(self) -> None:
        """End it at once. A thread that waits in :meth:`call` gets the error."""
        self._killed = True
        self._process.kill()

    def close(self) -> None:
        """End it."""
        self.kill()
        self._process.join()
        self._pipe.close()

    @property
    def alive(self) -> bool:
        """Whether it can take another message."""
        return not self._killed and self._process.is_alive()


class InProcess:
    """``executor="process"``: see :class:`postmill.handlers.invokers.Invoker`."""

    def __init__(self, function: Callable[..., Any], options: WorkerOptions) -> None:
        self._function = function
        self._module, self._name = function.__module__, getattr(function, "__qualname__", "")
        if not has_address(function):
            raise self._not_importable()
        self._idle: list[Child] = []
        self._busy: set[Child] = set()
        self._size = options.max_concurrent
        self._threads: Threads | None = None

    def one(self, payload: Any, attempt: Attempt) -> Awaitable[Any]:
        """See :class:`Invoker`."""
        return self._run(payload)

    def batch(self, payloads: Sequence[Any], attempts: Sequence[Attempt]) -> Awaitable[Any]:
        """See :class:`Invoker`."""
        return self._run(list(payloads))

    def close(self) -> None:
        """End all processes."""
        for child in [*self._idle, *self._busy]:
            child.close()
        self._idle.clear()
        if self._threads is not None:
            self._threads.close()

    async def _run(self, payload: Any) -> Any:
        while True:
            child = self._next_child()
            try:
                returned, value = await self._call(child, payload)
            except NotBegun:
                if not child.calls:
                    raise  # it never lived: the next one will not either
                continue  # it died while it had nothing to do
            if returned:
                return value
            raise value

    def _next_child(self) -> Child:
        """A process that lives. Those that died while they were idle are dropped."""
        while self._idle:
            child = self._idle.pop()
            if child.alive:
                return child
            child.close()
        module = sys.modules.get(self._module)
        if module is not None and not self._is_found_in(module):
            raise self._not_importable()
        return Child(self._module, self._name)

    def _is_found_in(self, module: ModuleType) -> bool:
        """Raises when the child process would not find this very function under its name, because a decorator
        has wrapped it.
        """
        try:
            return bool(_function_of(attrgetter(self._name)(module)) == self._function)
        except AttributeError:
            return False

    def _not_importable(self) -> InvalidHandler:
        return InvalidHandler(
            f"{self._name or repr(self._function)} can't be run in another process.",
            why="The process imports the function by its module and name, and would not find this one.",
            hint="Define it with def at the top level of an importable module, decorators included.",
        )

    async def _call(self, child: Child, payload: Any) -> tuple[bool, Any]:
        """The child's answer. The child is killed when this call is cancelled. A ``CancelledError`` that the
        handler itself raises is an answer like any other.
        """
        if self._threads is None or self._threads.closed:
            self._threads = Threads(self._size, "postmill process")
        self._busy.add(child)
        running = asyncio.wrap_future(self._threads.submit(partial(child.call, payload)))
        try:
            await asyncio.wait([running])
        except asyncio.CancelledError:
            child.kill()
            await asyncio.wait([running])
            running.exception()  # seen: the process was killed on purpose
            raise
        finally:
            self._busy.discard(child)
            if running.done() and child.alive:
                self._idle.append(child)
        answer: tuple[bool, Any] = running.result()
        return answer


def _ending(exit_code: int | None) -> str:
    if exit_code is None:
        return "the process ended"
    if exit_code < 0:
        return f"the process was ended by {signal.Signals(-exit_code).name}"
    return f"the process exited with code {exit_code}"


def _function_of(found: Any) -> Any:
    """The function behind a worker, a task, a step, or a plain name."""
    return getattr(found, "function", found)


def _serve(pipe: Connection, module: str, name: str) -> None:
    """The child: import the function, then answer until the pipe closes."""
    from importlib import import_module  # noqa: PLC0415

    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # both reach the whole group; the parent decides
    try:
        function = _function_of(attrgetter(name)(import_module(module)))
    except BaseException as error:
        function = partial(_raise, error)  # said as the failure of each message, not as a crash
    while True:
        try:
            payload = pipe.recv()
        except EOFError:
            return
        pipe.send(_answer(function, payload))


def _raise(error: BaseException, _payload: Any) -> Any:
    raise error


def _answer(function: Callable[..., Any], payload: Any) -> tuple[bool, Any]:
    try:
        result = function(**payload) if isinstance(payload, Arguments) else function(payload)
        answer = (True, in_process(result))
        ForkingPickler.dumps(answer)
    except BaseException as error:
        return False, _portable(error)
    return answer


def _portable(error: BaseException) -> BaseException:
    """The error itself if it can be pickled, else its name and text. Its traceback goes along as a note,
    since pickling loses it.
    """
    try:
        pickle.loads(ForkingPickler.dumps(error))  # noqa: S301 - our own bytes
    except Exception:
        portable: BaseException = RuntimeError(summary_of(error))
    else:
        portable = error
    portable.add_note("In the handler's process:\n" + traceback_of(error).rstrip())
    return portable

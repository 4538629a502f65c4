"""Threads for plain functions. The end of the process does not wait for them: a thread can't be killed, and
one that hangs must not keep a stopped worker alive.
"""

from __future__ import annotations

import os
import threading
from concurrent.futures import Future
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from postmill.service.forks import CHILD_EXIT

if TYPE_CHECKING:
    from collections.abc import Callable

_Job = tuple["Future[Any]", "Callable[[], Any]"]


class Threads:
    """At most ``size`` daemon threads, started when they are needed and kept."""

    def __init__(self, size: int, name: str) -> None:
        self._size = size
        self._name = name
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._started = 0
        self.closed = False

    def submit(self, call: Callable[[], Any]) -> Future[Any]:
        """Run ``call`` in a thread; its future can be awaited with ``asyncio.wrap_future``."""
        future: Future[Any] = Future()
        self._jobs.put((future, call))
        if not self._idle.acquire(blocking=False) and self._started < self._size:
            self._started += 1
            name = f"{self._name} {self._started}"
            threading.Thread(target=self._work, name=name, daemon=True).start()
        return future

    def close(self) -> None:
        """End the threads that are idle; one that still runs ends after its call."""
        self.closed = True
        for _ in range(self._started):
            self._jobs.put(None)

    def _work(self) -> None:
        pid = os.getpid()
        while (job := self._jobs.get()) is not None:
            _run(*job, pid)
            del job  # what it holds must not outlive it in an idle thread
            self._idle.release()


def _run(future: Future[Any], call: Callable[[], Any], pid: int) -> None:
    if not future.set_running_or_notify_cancel():
        return
    result: Any = None
    failure: BaseException | None = None
    try:
        result = call()
    except StopIteration as error:  # a future can't hold it: its waiter would wait for ever
        failure = _as_runtime_error(error)
    except BaseException as error:
        failure = error
    if os.getpid() != pid:  # the call has forked, and this is the child: it must not go on
        os._exit(CHILD_EXIT)
    if failure is None:
        future.set_result(result)
    else:
        future.set_exception(failure)


def _as_runtime_error(error: StopIteration) -> RuntimeError:
    carried = RuntimeError("the handler raised StopIteration")
    carried.__cause__ = error
    return carried

"""``EdgeWorker.start(handler, ...)``: the one-call form of Supabase's queue workers."""

from __future__ import annotations

import inspect
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from postmill.handlers.decorator import Worker
from postmill.model.errors import AlreadyStarted
from postmill.model.queue.worker_options import options_from

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class EdgeWorker:
    """One worker for the whole process."""

    _worker: ClassVar[Worker | None] = None
    _registered: ClassVar[list[Worker] | None] = None

    @classmethod
    def start(cls, handler: Callable[..., Any], **options: Any) -> None:
        """Run ``handler`` on a queue until SIGTERM, Ctrl-C or :meth:`stop`: ``EdgeWorker.start(print)`` is
        enough. In a script it blocks until then.

        While the function host loads a file it returns at once, and the host runs the worker. ``postmill
        worker run file.py`` does the same. While pytest imports a file it returns at once, and nothing runs.

        Options are those of ``@worker``, also under the names of the TypeScript worker (``queueName``,
        ``maxConcurrent``, ...). Raises :class:`AlreadyStarted` for a second start in the process.
        """
        if cls._worker is not None or cls._registered:
            raise AlreadyStarted(
                "A worker runs in this process already.",
                why="EdgeWorker is one worker a process.",
                hint="Use @worker and `postmill worker run` for several.",
            )
        made = Worker(options_from(options), handler)
        if _is_imported_by_a_test():
            return
        if cls._registered is not None:
            cls._registered.append(made)
            return
        from postmill.handlers.standalone import run_here  # noqa: PLC0415 - the engine, only when it is to run

        cls._worker = made
        try:
            run_here([cls._worker])
        finally:
            cls._worker = None

    @classmethod
    def stop(cls) -> None:
        """Drain the worker and let ``start`` return. May be called from any thread, and when nothing runs."""
        from postmill.handlers.standalone import stop_here  # noqa: PLC0415

        stop_here()

    @classmethod
    @contextmanager
    def registering(cls) -> Iterator[list[Worker]]:
        """While it lasts, ``start`` only adds to this list. The caller, which loads the file, runs the
        workers in it.
        """
        before, cls._registered = cls._registered, []
        try:
            yield cls._registered
        finally:
            cls._registered = before


def _is_imported_by_a_test() -> bool:
    """Whether pytest runs here, and the caller is a module that is being imported."""
    if "pytest" not in sys.modules:
        return False
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_code.co_name == "<module>" and _is_imported(frame.f_globals):
            return True
        frame = frame.f_back
    return False


def _is_imported(namespace: dict[str, Any]) -> bool:
    """Whether a module's code runs because the module is imported. Code that is run by ``exec``, as
    pytest-xdist does with its workers', has no import's specification.
    """
    return namespace.get("__name__") != "__main__" and namespace.get("__spec__") is not None

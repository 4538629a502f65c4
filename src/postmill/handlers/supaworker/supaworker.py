"""``Supaworker(queue, handler)``: Supaworker's own shape of a worker, on Postmill's engine."""

from __future__ import annotations

import inspect
import multiprocessing
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from threading import Event, RLock, get_ident
from typing import TYPE_CHECKING, Any

import msgspec

from postmill.client.sending import Statement
from postmill.handlers.signature import called
from postmill.handlers.supaworker.job import SupaworkerJob
from postmill.handlers.supaworker.job_worker import JobWorker, in_a_job
from postmill.model.errors import AlreadyStarted, InvalidOption, InvalidPayload, InvalidQueueName
from postmill.model.option_rules import did_you_mean, whole_number
from postmill.model.queue.outcome import Retry
from postmill.model.queue.payload import to_json
from postmill.model.queue.queue_name import validated
from postmill.model.queue.retry import policy_from
from postmill.model.queue.worker_options import options_from
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from postmill.engine.worker_process import Runner
    from postmill.model.config.address import Address
    from postmill.model.config.settings import Settings
    from postmill.model.queue.worker_options import WorkerOptions

LONGEST_LIMIT_MS = 2**31 - 1
"""The longest time limit of a job, about 24 days: as far as JavaScript's own timers go."""
_OWN_NAMES = {"max_concurrent": "concurrency", "timeout": "job_timeout_ms", "batch": "concurrency"}
"""Options of ``@worker`` that have another name here."""


class Supaworker:
    """Runs ``handler`` on each job of ``queue`` in Supaworker's tables: all there are, and then each new one.

    ``max_attempts`` of a job: its own ``options`` may say another number. After ``job_timeout_ms`` the
    handler is cancelled: an ``async def`` where it awaits; a plain function runs in a process of its own,
    which is killed. ``concurrency``: jobs at once. ``enable_logs``: write how each attempt ends to
    ``supaworker_logs``. ``target``: the queue of Postmill through which the jobs go, where it can't have the
    same name. Further options are those of ``@worker``.

    Raises :class:`InvalidOption`, :class:`InvalidQueueName`, and :class:`InvalidHandler` at once.
    """

    def __init__(
        self,
        queue: str,
        handler: Callable[..., Any],
        *,
        max_attempts: int = 3,
        job_timeout_ms: int | None = None,
        concurrency: int = 1,
        enable_logs: bool = True,
        target: str | None = None,
        **options: Any,
    ) -> None:
        whole_number("max_attempts", max_attempts, 1, 32_767)
        whole_number("concurrency", concurrency, 1, 10_000)
        if job_timeout_ms is not None:
            whole_number("job_timeout_ms", job_timeout_ms, 1, LONGEST_LIMIT_MS)
            options.setdefault("executor", "inline" if _is_async(handler) else "process")
        options["retry"] = _limited(options.get("retry", Retry.exponential()), max_attempts)
        _refuse_own_names(options)
        self.queue = _named(queue)
        self._worker = JobWorker(
            options_from(
                {
                    **options,
                    "queue": validated(queue if target is None else target),
                    "timeout": None if job_timeout_ms is None else job_timeout_ms / 1000,
                    "max_concurrent": concurrency,
                }
            ),
            handler,
            logs=enable_logs,
        )
        self._order = RLock()  # a signal's handler may stop it, in the thread that holds this
        self._thread: int | None = None
        self._runner: Runner | None = None
        self._is_asked = False
        self._ended = Event()
        self._ended.set()

    @property
    def options(self) -> WorkerOptions:
        """What the engine is told."""
        return self._worker.options

    def start(self) -> None:
        """Work until SIGTERM, Ctrl-C or :meth:`stop`: run what waits, then sleep until there is more.

        Raises :class:`AlreadyStarted` for a second start, ``SchemaMissing`` where the facade is not
        installed, and what ``EdgeWorker.start`` raises.
        """
        if getattr(multiprocessing.current_process(), "_inheriting", False):
            return  # the process of a job imports the script that has started this worker
        from postmill.handlers.standalone import run_here  # noqa: PLC0415 - the engine, only when it is to run

        self._begin()
        try:
            run_here(
                [self._worker], on_database=_check, on_runner=self._runs, services=lambda *_: [self._bridge]
            )
        finally:
            self._end()

    def stop(self) -> None:
        """Finish the jobs that run, take no more, and return when :meth:`start` has. From any thread. Called
        by a job's handler or in the thread of :meth:`start` it returns at once; when nothing runs, too.
        """
        with self._order:
            is_first, self._is_asked = not self._is_asked, True
            if is_first and self._runner is not None:
                with suppress(RuntimeError):  # its event loop has ended
                    self._runner.stop_from_thread()
        if get_ident() != self._thread and not in_a_job.get():
            self._ended.wait()

    def enqueue_jobs(
        self, jobs: Iterable[Mapping[str, Any]], *, connection: Any = None
    ) -> list[SupaworkerJob]:
        """Insert jobs into ``supaworker.jobs``, all or none, and return them in the same order. A job is
        ``{"payload": …}``, with a ``"queue"`` of its own if it is for another worker. On ``connection``
        (psycopg or SQLAlchemy, in its transaction) if given.
        """
        from postmill.client.targets import sync_executor  # noqa: PLC0415 - a worker that enqueues nothing needs none

        entries = [self._entry(job) for job in jobs]
        lists = [queue for queue, _ in entries], [payload for _, payload in entries]
        insert = Statement(statement("supaworker_enqueue"), lists, self.queue)
        with self._target(connection) as target:
            inserted = sync_executor(target).run(iter([insert]))
        return [msgspec.json.decode(row, type=SupaworkerJob) for row in inserted]

    def _entry(self, job: Mapping[str, Any]) -> tuple[str, str]:
        unknown = sorted(set(job) - {"payload", "queue"})
        if unknown:
            raise InvalidPayload(
                f"A job has no field {unknown[0]!r}.",
                why="It has a payload, and may name a queue.",
                hint=did_you_mean(unknown[0], ("payload", "queue")),
            )
        return _named(job.get("queue", self.queue)), to_json(job.get("payload")).decode()

    @contextmanager
    def _target(self, connection: Any) -> Iterator[Any]:
        if connection is not None:
            yield connection
            return
        from postmill.handlers.standalone import settings_for  # noqa: PLC0415
        from postmill.project import project  # noqa: PLC0415

        settings = settings_for([self._worker], project.load_settings({}))
        with project.connection(settings) as opened:
            _check_facade(settings, opened)
            yield opened

    def _begin(self) -> None:
        with self._order:
            if self._thread is not None:
                raise AlreadyStarted(
                    f"The Supaworker of queue {self.queue!r} runs already.",
                    why="It was started, and has not ended.",
                    hint="Make another one, or give this one a larger concurrency.",
                )
            self._thread, self._is_asked = get_ident(), False
            self._ended.clear()

    def _runs(self, runner: Runner) -> None:
        with self._order:
            self._runner = runner
            if self._is_asked:
                runner.stop_from_thread()

    def _end(self) -> None:
        with self._order:
            self._thread = self._runner = None
            self._ended.set()

    @property
    def _bridge(self) -> Any:
        from postmill.handlers.supaworker.bridge import Bridge  # noqa: PLC0415

        options = self._worker.options
        return partial(Bridge, queue=self.queue, target=options.queue, floor_s=options.max_poll_s)


def _named(queue: object) -> str:
    """The name of a queue of jobs: Supaworker takes any text."""
    if isinstance(queue, str) and queue:
        return queue
    raise InvalidQueueName(f"{queue!r} is not the name of a queue.", why="It is text, and not empty.")


def _is_async(handler: object) -> bool:
    return inspect.iscoroutinefunction(called(handler)) if callable(handler) else False


def _limited(retry: object, max_attempts: int) -> Any:
    """The policy with this number of attempts, whatever number it has itself."""
    return replace(policy_from(retry), max_attempts=max_attempts)


def _refuse_own_names(options: Mapping[str, Any]) -> None:
    for name, own in _OWN_NAMES.items():
        if name in options:
            raise InvalidOption(
                f"Supaworker has no option {name!r}.", hint=f"Give {own} in its place; it runs single jobs."
            )


def _check(settings: Settings, where: Address) -> None:
    from postmill.db.tools.connect import connect, translated  # noqa: PLC0415

    with connect(where) as opened, translated(where):
        _check_facade(settings, opened)


def _check_facade(settings: Settings, opened: Any) -> None:
    """Install the facade into an embedded database; refuse any other that lacks it."""
    from postmill.db.tools import facades, migrate  # noqa: PLC0415

    facade = facades.named("supaworker")
    if settings.is_embedded:
        migrate.migrate(opened, wanted=[facade])
    migrate.check_facade(opened, facade)

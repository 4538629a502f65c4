"""``@worker``: a function, or several, on a queue. What it makes is the handler that the engine runs, and it
can be sent to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

import msgspec

from postmill.handlers.invokers import Callee, Callees
from postmill.handlers.payload_schema import declaration
from postmill.model.errors import InvalidHandler, InvalidOption, InvalidPayload
from postmill.model.queue.addressee import TASK_HEADER
from postmill.model.queue.payload import to_json
from postmill.model.queue.worker_options import WorkerOptions, options_from

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Unpack

    from postmill.client.options import SendOptions
    from postmill.client.placing import ShardKey
    from postmill.client.sending import Statement
    from postmill.engine.backend import Backend
    from postmill.engine.settle.settlement import Entry
    from postmill.handlers.cluster.on_ray import OnCluster
    from postmill.model.queue.attempt_policy import PolicyFor
    from postmill.model.queue.sent import Sent
    from postmill.service.events import Events


class Task(Callee):
    """One function on a worker's queue."""

    def __init__(self, owner: Worker, name: str | None, function: Callable[..., Any]) -> None:
        super().__init__(function, owner.options, owner.cluster)
        self._owner = owner
        self.name = name

    @property
    def queue(self) -> str:
        """The queue's name."""
        return self._owner.queue

    @property
    def task_headers(self) -> Mapping[str, object]:
        """The headers by which a message reaches this task."""
        return {TASK_HEADER: self.name} if self.name is not None else {}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function itself, as in a test of one's own."""
        return self._function(*args, **kwargs)

    async def send(
        self,
        payload: object,
        *,
        connection: Any = None,
        shard_key: ShardKey = None,
        **options: Unpack[SendOptions],
    ) -> Sent:
        """Send a message to this task; returns its id. On ``connection`` (in its transaction) if given, else
        on one of Postmill's own. Options and errors as for ``AsyncRoutedClient.send``.
        """
        from postmill.handlers.sender import send  # noqa: PLC0415 - a worker that sends nothing needs no client

        return await send(self._owner.options, connection, self, payload, shard_key, **options)

    def finish(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Decorator, with ``executor="ray"``: an ``async def`` of the payload, the result, and the context if
        it asks for it. It runs in the worker after the task has returned, and the message is completed when
        it has. Raises :class:`InvalidHandler`.
        """
        from postmill.handlers.cluster.finish import add_finish  # noqa: PLC0415 - of use on a cluster only

        add_finish(self, function)
        return function

    def encode(self, payload: object) -> msgspec.Raw:
        """The payload as it is sent: JSON that this task's handler can be called with. Raises
        :class:`InvalidPayload` when it does not fit the handler's annotation.
        """
        text = to_json(payload)
        try:
            self.decode(text.decode())
        except InvalidPayload as error:
            name = self.name or self._owner.name
            raise InvalidPayload(
                f"The payload does not fit {name!r}.",
                why=f"{error}.",
                hint="Send what the handler's annotation asks for, or send to the queue by its name.",
            ) from error
        return msgspec.Raw(text)


class Worker(Callees[Task]):
    """Functions on one queue, with options. Made by :func:`worker`; run by ``postmill worker run
    module:name``.
    """

    runs_flows = False

    def __init__(
        self,
        options: WorkerOptions,
        function: Callable[..., Any] | None = None,
        *,
        completes: WorkerDecorator | None = None,
    ) -> None:
        """``completes``: the worker without a default handler of which this one is made: both have the same
        tasks.
        """
        super().__init__(options.queue, {} if completes is None else completes.tasks)
        self.options = options
        self.cluster: OnCluster | None = _cluster_of(options) if completes is None else completes.cluster
        self.completes = completes
        self.settlings: dict[type, Entry] = {}
        """See :class:`postmill.engine.handler.Handler`: none, unless what is built on a worker adds some."""
        self.backend: Callable[[Events], Backend] | None = self.cluster
        """See :class:`postmill.engine.handler.Handler`."""
        self.policy_for: PolicyFor | None = None
        """See :class:`postmill.engine.handler.Handler`: the options hold, unless what is built on a worker
        says otherwise.
        """
        self.__name__ = options.queue
        if function is not None:
            self._default = Task(self, None, function)
            self.__name__ = getattr(function, "__name__", type(function).__name__)
            self.__doc__ = function.__doc__

    @property
    def name(self) -> str:
        """What the worker's row and log lines call it: the function's name, or the queue's."""
        return self.__name__

    @property
    def declarations(self) -> Sequence[Statement]:
        """See :class:`postmill.engine.handler.Handler`: what its payloads look like."""
        types = {task.name or "": task.payload_type for task in self._all}
        return [declaration(self.queue, self.name, types)]

    @property
    def module(self) -> str | None:
        """Where its first function was defined; None while it has none."""
        return next((task.function.__module__ for task in self._all), None)

    def is_part_of(self, other: Worker) -> bool:
        """Whether ``other`` runs every task of this worker, and has a default handler too."""
        return other.completes is self

    @property
    def task_headers(self) -> Mapping[str, object]:
        """None: a message without a header reaches the default handler."""
        return {}

    def task(self, function: Callable[..., Any]) -> Task:
        """Decorator: one more function on this queue, reached by its name.

        Raises :class:`InvalidHandler` when the name is taken, or the function can't take a payload.
        """
        if self.options.batch is not None:
            raise InvalidHandler(
                "A batch worker has one handler.", why="Messages of different tasks can't share a batch."
            )
        name = getattr(function, "__name__", None)
        if not isinstance(name, str):
            raise InvalidHandler(
                f"{function!r} has no name, and a task is reached by its name.",
                hint="Write a function round it.",
            )
        if name in self.tasks:
            raise InvalidHandler(f"There are two tasks named {name!r} on queue {self.queue!r}.")
        self.tasks[name] = Task(self, name, function)
        return self.tasks[name]

    def finish(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """See :meth:`Task.finish`: of the default handler."""
        return self._required_default.finish(function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the default handler's function itself."""
        return self._required_default.function(*args, **kwargs)

    async def send(self, payload: object, *, connection: Any = None, **options: Unpack[SendOptions]) -> Sent:
        """Send a message to the default handler; see :meth:`Task.send`."""
        return await self._required_default.send(payload, connection=connection, **options)

    def encode(self, payload: object) -> msgspec.Raw:
        """See :meth:`Task.encode`."""
        return self._required_default.encode(payload)


def _cluster_of(options: WorkerOptions) -> OnCluster | None:
    """Where its functions run, when that is not this machine."""
    if options.executor != "ray":
        return None
    from postmill.handlers.cluster.on_ray import OnCluster  # noqa: PLC0415 - of use on a cluster only

    return OnCluster()


@overload
def worker(function: Callable[..., Any], /) -> Worker: ...


@overload
def worker(*, queue: str = ..., **options: Any) -> WorkerDecorator: ...


def worker(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """A worker on a queue: ``@worker(queue="tasks", max_concurrent=10)``, or ``tasks =
    worker(queue="tasks")`` for several tasks.

    Options: ``docs/reference/worker-options.md``. Raises :class:`InvalidOption` or :class:`InvalidHandler` at
    once.
    """
    if isinstance(function, str):
        raise InvalidOption(
            f"worker({function!r}) names no function.", hint=f"Write worker(queue={function!r})."
        )
    if function is not None:
        return Worker(options_from(options), function)
    return WorkerDecorator(options_from(options))


class WorkerDecorator(Worker):
    """A worker without a default handler so far: decorate one, or add tasks with :meth:`task`, or both."""

    def __call__(self, function: Callable[..., Any], /) -> Worker:
        """Decorate the default handler. The tasks of this queue stay with it."""
        made = Worker(self.options, function, completes=self)
        made.settlings, made.policy_for = self.settlings, self.policy_for
        return made

"""``Ctx``: what a durable function is given. What each call does is in the :class:`Durable` behind it.

The name of a step is taken when it is called, not when it is awaited: ``asyncio.gather`` over steps gives the
same names in each replay, and so does ``asyncio.gather`` over functions that call steps: see ``branches``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeAlias, TypeVar, overload

from postmill.flows.branches import Branches
from postmill.flows.names import some_name
from postmill.model.duration import seconds
from postmill.model.errors import InvalidFlow

if TYPE_CHECKING:
    from datetime import timedelta

    from postmill.flows.run import Run
    from postmill.flows.signal import Signal
    from postmill.flows.startable import Startable
    from postmill.handlers.context import Transaction

P = ParamSpec("P")
T = TypeVar("T")
U = TypeVar("U")

Args: TypeAlias = tuple[Any, ...]
Kwargs: TypeAlias = Mapping[str, Any]
Work: TypeAlias = Coroutine[Any, Any, Any]
"""Work whose name is taken and that has not begun: it runs when it is awaited."""


class Durable(Protocol):
    """What makes a function durable: a run in a database, or one in memory.

    ``name`` is what the caller has said, or the name of what is called. The same name again is another
    step: the durable numbers them, ``charge``, ``charge#2``, in the order of the calls.
    """

    @property
    def run_id(self) -> int:
        """The run's number."""

    def step(self, name: str, function: Callable[..., Any], args: Args, kwargs: Kwargs) -> Work:
        """A checkpoint: the function's result, computed once. A plain ``def`` runs in a thread."""

    def map(
        self,
        name: str,
        function: Callable[..., Any] | Startable[..., Any],
        items: Sequence[Any],
        max_concurrent: int | None,
    ) -> Work:
        """The results of one step, or one run, an item, in their order."""

    def wait(self, name: str, signal: Signal[Any], timeout_s: float | None) -> Work:
        """The signal's value; None when the time is over."""

    def sleep(self, name: str, for_s: float) -> Work:
        """Nothing, after a time; it holds no slot meanwhile."""

    def run(self, name: str, other: Startable[..., Any], args: Args, kwargs: Kwargs) -> Work:
        """What another run gives, which ends with this one."""

    def start(self, name: str, other: Startable[..., Any], args: Args, kwargs: Kwargs) -> Work:
        """The handle of another run, which goes its own way."""

    def call(self, name: str, function: str, body: object) -> Work:
        """What an edge function answers."""

    def transaction(self, name: str, function: Callable[..., Any], args: Args, kwargs: Kwargs) -> Work:
        """A step whose function gets a transaction first: its writes and its checkpoint commit together."""

    def emit(self, name: str, value: object) -> None:
        """A value for what watches the run; once, whatever is replayed."""

    def on_failure(self, name: str, function: Callable[..., Any], args: Args, kwargs: Kwargs) -> None:
        """What undoes the work so far, should the run fail."""

    def patched(self, name: str) -> bool:
        """Whether this run passes here with the new code; False for one that passed before it was there."""


class Ctx:
    """The run that a durable function is in."""

    def __init__(self, durable: Durable, name: str | None = None, branches: Branches | None = None) -> None:
        self._durable = durable
        self._name = name
        self._branches = branches or Branches()

    @property
    def run_id(self) -> int:
        """The run's number."""
        return self._durable.run_id

    def named(self, name: str) -> Ctx:
        """The same, where the next call has this name and not its function's: ``named("eu").step(...)``."""
        return Ctx(self._durable, some_name(name, "a step"), self._branches)

    @overload
    def step(
        self, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Coroutine[Any, Any, T]: ...
    @overload
    def step(
        self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> Coroutine[Any, Any, T]: ...
    def step(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Work:
        """What ``function(*args, **kwargs)`` returns: it runs once, and its result is kept with the run. A
        plain ``def`` runs in a thread. Retries and time limit: ``@step`` on the function.
        """
        return self._durable.step(self._name_of(function), function, args, kwargs)

    @overload
    def map(
        self,
        function: Startable[[U], T] | Callable[[U], Awaitable[T]],
        items: Sequence[U],
        /,
        *,
        max_concurrent: int | None = None,
    ) -> Coroutine[Any, Any, list[T]]: ...
    @overload
    def map(
        self, function: Callable[[U], T], items: Sequence[U], /, *, max_concurrent: int | None = None
    ) -> Coroutine[Any, Any, list[T]]: ...
    def map(self, function: Any, items: Sequence[Any], /, *, max_concurrent: int | None = None) -> Work:
        """The results of ``function`` for each item, in their order; at most ``max_concurrent`` at a time. Of
        a workflow: a run each.
        """
        return self._durable.map(self._name_of(function), function, items, max_concurrent)

    @overload
    def wait(self, signal: Signal[T], /) -> Coroutine[Any, Any, T]: ...
    @overload
    def wait(self, signal: Signal[T], /, *, timeout: float | timedelta) -> Coroutine[Any, Any, T | None]: ...
    def wait(self, signal: Signal[Any], /, *, timeout: float | timedelta | None = None) -> Work:
        """The value of a signal; with a ``timeout`` (seconds or a timedelta), None when it has not come. The
        run frees its slot meanwhile.
        """
        limit_s = None if timeout is None else seconds(timeout, "timeout")
        return self._durable.wait(self._named(signal.name), signal, limit_s)

    def sleep(self, for_: float | timedelta, /) -> Coroutine[Any, Any, None]:
        """Wait for some time (seconds or a timedelta); the run frees its slot meanwhile."""
        return self._durable.sleep(self._named("sleep"), seconds(for_, "sleep"))

    def run(self, other: Startable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, T]:
        """What a run of another flow or workflow gives. It is this run's child: cancelled with it; its
        failure is this step's.
        """
        return self._durable.run(self._named(other.name), other, args, kwargs)

    def start(
        self, other: Startable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> Coroutine[Any, Any, Run[T]]:
        """Start a run of another flow or workflow, and go on: its handle."""
        return self._durable.start(self._named(other.name), other, args, kwargs)

    def call(self, function: str, body: object = None, /) -> Coroutine[Any, Any, Any]:
        """What an edge function answers to ``body``, as JSON has it."""
        return self._durable.call(self._named(some_name(function, "a function")), function, body)

    def transaction(
        self,
        function: Callable[Concatenate[Transaction, P], Awaitable[T]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Coroutine[Any, Any, T]:
        """A step whose writes happen exactly once: ``function`` gets a transaction first, and what it returns
        is kept in that same transaction.
        """
        return self._durable.transaction(self._name_of(function), function, args, kwargs)

    def emit(self, name: str, value: object, /) -> None:
        """Tell programs and pages that watch the run."""
        self._durable.emit(some_name(name, "an event"), value)

    def on_failure(self, function: Callable[P, object], /, *args: P.args, **kwargs: P.kwargs) -> None:
        """Undo what was done so far by ``function(*args, **kwargs)``, should the run fail. The
        last one runs first. A run that is cancelled is not undone.
        """
        name = self._branches.named(f"undo:{name_of(function)}")
        self._durable.on_failure(name, function, args, kwargs)

    def patched(self, name: str, /) -> bool:
        """Whether to run the new code: True for runs that pass here for the first time, False in replays of
        runs that had passed before it was there.
        """
        return self._durable.patched(some_name(name, "a patch"))

    def _name_of(self, function: Any) -> str:
        return self._name or self._branches.named(name_of(function))

    def _named(self, own: str) -> str:
        return self._name or self._branches.named(own)


def name_of(function: Any) -> str:
    """The name of a step: what ``@step(name=...)`` says, a flow's name, else the function's own. Raises
    :class:`InvalidFlow` for what has none, as ``functools.partial``.
    """
    settings = getattr(function, "postmill_step", None)
    own = getattr(function, "name", None) or getattr(function, "__name__", "")
    name = getattr(settings, "name", None) or own
    if not isinstance(name, str) or not name or name == "<lambda>":
        raise InvalidFlow(
            f"{function!r} has no name, and a step is known by its name.",
            hint='Name it at the call: ctx.named("charge").step(...)',
        )
    return some_name(name, "a step")

"""Steps of a flow, as values: what a definition has made, and the markers for what they give."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, cast

from postmill.model.errors import InvalidFlow
from postmill.model.flow.condition import Condition, has
from postmill.model.flow.markers import Marker, Source, each_of, marker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from postmill.flows.runnable import Runnable
    from postmill.flows.signal import Signal
    from postmill.model.flow.partial import Partial
    from postmill.model.flow.shape import Chosen, StepShape
    from postmill.model.queue.cluster_options import ClusterOptions
    from postmill.model.queue.retry import RetryPolicy
    from postmill.model.queue.worker_options import Executor

P = ParamSpec("P")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
R_co = TypeVar("R_co", covariant=True)


def each(values: Sequence[T]) -> T:
    """What a map is given: one item of a list, a field of the input or of a step's output."""
    return cast("T", each_of(values))


@dataclass(frozen=True, eq=False, kw_only=True)
class Step(Generic[T_co]):
    """One step of a flow, of any kind. ``out``, ``maybe`` and ``each`` stand for what it gives."""

    shape: StepShape
    source: Source
    """What its markers read."""
    chosen: Chosen
    function: Callable[..., Any] | None = None
    """None: nothing of it is run by a worker (a wait, a sleep, a run)."""
    retry: RetryPolicy
    timeout_s: float | None = None
    """An attempt's time limit, in seconds."""
    executor: Executor = "inline"
    on_cluster: ClusterOptions | None = None
    """How it runs on a cluster; None: it does not."""
    compensate: Callable[[Any], object] | None = None
    """What undoes it, given its output."""
    input_types: Mapping[str, Any] = field(default_factory=dict)
    """The annotation of each parameter that an edge fills; ``Any`` where there is none."""
    context_parameter: str | None = None
    """The parameter that takes the handler's context."""
    signal: Signal[Any] | None = None
    """What a wait waits for."""
    child: Runnable[Any] | None = None
    """What a step of the kind ``run`` starts."""

    @property
    def name(self) -> str:
        """Its name in the flow."""
        return self.shape.name

    @property
    def output_type(self) -> Any:
        """The annotation of its output; ``Any`` where there is none."""
        return self.source.type

    @property
    def out(self) -> T_co:
        """What it gives. Fields of it are read by attribute: only they are fetched."""
        return cast("T_co", marker(self.source, "out"))

    @property
    def maybe(self) -> T_co | None:
        """What it gives; None when it was skipped."""
        return cast("T_co | None", marker(self.source, "maybe"))

    @property
    def each(self: Step[Sequence[T]]) -> T:
        """One item of the list that it gives: for the parameter of a map."""
        return cast("T", marker(self.source, "each"))

    def has(self, pattern: Mapping[str, object] | Sequence[object]) -> Condition:
        """The condition that its output contains a pattern: an object's named fields, a list's items."""
        return has(self.name, (), pattern)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class FunctionStep(Step[T_co], Generic[P, R_co, T_co]):
    """A step that is a function: ``R_co`` is what a call returns, an awaitable for ``async def``."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Call the function itself, as in a test. Raises :class:`InvalidFlow` for a parameter that only a run
        fills.
        """
        return cast("R_co", called(self, args, kwargs))


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class MapStep(Step[list[T]], Generic[P, R_co, T]):
    """A step that runs once for each item of a list. Its output is the list of results, in order."""

    item_type: Any = Any
    """The annotation of one result."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Call the function itself, for one item. See :meth:`FunctionStep.__call__`."""
        return cast("R_co", called(self, args, kwargs))

    @property
    def partial(self) -> Partial[T]:
        """Results and errors, of a map with ``on_dead="collect"``."""
        return cast("Partial[T]", marker(self.source, "partial"))


def called(step: Step[Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What its function returns for these arguments."""
    assert step.function is not None  # noqa: S101 - only steps that are functions are callable
    bound = inspect.signature(step.function).bind(*args, **kwargs)
    bound.apply_defaults()
    unfilled = [name for name, value in bound.arguments.items() if isinstance(value, Marker)]
    if unfilled:
        raise InvalidFlow(
            f"Step {step.name!r} was called without a value for {', '.join(unfilled)}.",
            why="A marker stands there, for what only a run of the flow knows.",
            hint=f"Call it with values, as in {step.name}({unfilled[0]}=...), or run the flow:"
            " start(...), or simulate(...) in a test.",
        )
    return step.function(*args, **kwargs)

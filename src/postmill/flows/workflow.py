"""``@workflow``: a durable function; ``@step``: the options of a function that is called as a step of one."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib import import_module
from types import SimpleNamespace
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Literal,
    ParamSpec,
    Protocol,
    TypeVar,
    cast,
    get_args,
    get_type_hints,
    overload,
)

import msgspec

from postmill.flows.accepted import accepted_arguments, rules_of_start
from postmill.flows.annotations import annotations_of, returned_by
from postmill.flows.context import Ctx
from postmill.flows.flow_options import deadline_of, flow_options
from postmill.flows.names import check_runs_alone, fit, flow_name
from postmill.flows.on_cluster import check_function
from postmill.flows.startable import Startable
from postmill.handlers.invokers import decoder
from postmill.handlers.signature import called
from postmill.model.errors import InvalidFlow, InvalidPayload
from postmill.model.flow.shape import INPUT
from postmill.model.option_rules import did_you_mean, one_of
from postmill.model.queue import cluster_options
from postmill.model.queue.attempt_policy import time_limit_s
from postmill.model.queue.cluster_options import ClusterOptions
from postmill.model.queue.payload import to_json
from postmill.model.queue.retry import RetryPolicy, policy_from

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from postmill.engine.handler import Handler
    from postmill.flows.step_options import RetryRule

P = ParamSpec("P")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
F = TypeVar("F", bound=Callable[..., Any])

Place = Literal["inline", "ray"]
"""Where a step of a workflow runs."""

_OPEN = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD, inspect.Parameter.POSITIONAL_ONLY)
_ARGUMENTS = msgspec.json.Decoder(dict[str, msgspec.Raw])


@dataclass(frozen=True, slots=True)
class StepSettings:
    """What ``@step`` says of a function."""

    name: str | None = None
    """None: the function's."""
    retry: RetryPolicy | None = None
    """None: the workflow's."""
    timeout_s: float | None = None
    """An attempt's time limit in seconds; None: the workflow's."""
    on_cluster: ClusterOptions | None = None
    """How it runs on a cluster; None: it runs in the worker."""


@overload
def step(function: F, /) -> F: ...
@overload
def step(
    *,
    retry: RetryRule = ...,
    timeout: float | timedelta = ...,
    name: str = ...,
    executor: Place = ...,
    resources: Mapping[str, float] = ...,
    start_timeout: float | timedelta = ...,
    cancel_grace: float | timedelta = ...,
) -> Callable[[F], F]: ...
def step(
    function: Any = None,
    /,
    *,
    retry: RetryRule | None = None,
    timeout: float | timedelta | None = None,
    name: str | None = None,
    executor: Place = "inline",
    **of_a_cluster: Any,
) -> Any:
    """The options that hold wherever the function is a step of a workflow; it stays the function it is.
    Raises :class:`InvalidFlow` or :class:`InvalidOption` at once.
    """
    settings = StepSettings(
        name,
        None if retry is None else policy_from(retry),
        None if timeout is None else time_limit_s(timeout),
        _on_cluster(executor, of_a_cluster),
    )

    def marked(function: F) -> F:
        if not callable(function):
            raise InvalidFlow(f"{function!r} is no function.", hint="Decorate a function: @step")
        if settings.on_cluster is not None:
            check_function(name or str(getattr(function, "__name__", "")), function)
        function.postmill_step = settings  # type: ignore[attr-defined]
        return function

    return marked if function is None else marked(function)


def _on_cluster(executor: str, given: dict[str, Any]) -> ClusterOptions | None:
    one_of("executor", executor, get_args(Place))
    for option in given.keys() - set(cluster_options.NAMES):
        hint = did_you_mean(option, cluster_options.NAMES)
        raise InvalidFlow(f"There is no option {option!r} of @step.", hint=hint or "")
    said = SimpleNamespace(**dict.fromkeys(cluster_options.NAMES) | given)
    cluster_options.check(executor, None, vars(said))
    return ClusterOptions.of(said) if executor == "ray" else None


def settings_of(function: Callable[..., Any]) -> StepSettings:
    """What ``@step`` has said of it."""
    found = getattr(function, "postmill_step", None)
    return found if isinstance(found, StepSettings) else StepSettings()


class Workflow(Startable[P, T_co]):
    """A durable function. A run's input is an object: its arguments, by parameter."""

    kind = "workflow"

    def __init__(
        self,
        function: Callable[Concatenate[Ctx, P], Awaitable[T_co]],
        *,
        name: str | None = None,
        deadline: float | timedelta | None = None,
        **options: Any,
    ) -> None:
        """Raises :class:`InvalidFlow` for a function that no run could call."""
        self.name = flow_name(name or getattr(function, "__name__", ""))
        self.module = getattr(function, "__module__", "")
        self.function: Callable[..., Awaitable[Any]] = function
        self.worker_options = flow_options(self.name, options)
        self.schedule, self.timezone = options.get("schedule"), options.get("timezone", "UTC")
        self.deadline_s = deadline_of(deadline)
        self._signature = _signature(self.name, function)
        hints = annotations_of(self.name, function, self._signature.parameters.values())
        self.input_types = hints
        """The annotation of each parameter; ``Any`` where there is none."""
        self._decoders = {parameter: decoder(hint) for parameter, hint in hints.items()}
        self.result_type = returned_by(function)
        self.decode_result = decoder(self.result_type)
        if self.schedule is not None:
            check_runs_alone(self.name, self.arguments)
        self.__name__ = self.name
        self.__doc__ = function.__doc__

    def __call__(self, ctx: Ctx, /, *args: P.args, **kwargs: P.kwargs) -> Awaitable[T_co]:
        """Call the function itself, as in a test: with a context that keeps nothing, or one in memory."""
        return cast("Awaitable[T_co]", self.function(ctx, *args, **kwargs))

    def encode(self, *args: P.args, **kwargs: P.kwargs) -> msgspec.Raw:
        """See :class:`Startable`."""
        try:
            text = to_json(self._signature.bind(*args, **kwargs).arguments, "input")
        except TypeError as error:
            raise InvalidPayload(f"{self.name} can't be called so: {error}.") from error
        self.arguments(text.decode())
        return msgspec.Raw(text)

    def arguments(self, raw: str) -> dict[str, Any]:
        """The arguments of a run, from its input as JSON text. Raises ``InvalidPayload`` for an input that
        does not fit.
        """
        try:
            given = _ARGUMENTS.decode(raw)
            bound = self._signature.bind(**given)
        except (msgspec.MsgspecError, TypeError) as error:
            raise InvalidPayload(
                f"{self.name} can't be called with this input: {error}.",
                why="The input of a workflow is an object: its arguments, by parameter.",
                hint=f"Its parameters: {', '.join(self._decoders) or 'none'}.",
            ) from error
        refusal = f"does not fit the workflow {self.name!r}."
        return {
            name: fit(f"The input's {name!r} {refusal}", self._decoders[name], bytes(value).decode())
            for name, value in bound.arguments.items()
        }

    def check_input(self, text: str) -> dict[str, Any]:
        """See :class:`Runnable`."""
        return self.arguments(text)

    @property
    def registered(self) -> tuple[str, str]:
        """See :class:`Runnable`."""
        rules = rules_of_start(accepted_arguments(self.input_types, self._required), self.deadline_s)
        return '{"steps": []}', to_json({INPUT: rules}).decode()

    @property
    def _required(self) -> list[str]:
        parameters = self._signature.parameters.values()
        return [each.name for each in parameters if each.default is inspect.Parameter.empty]

    def takes_one(self) -> tuple[str, Any]:
        """See :class:`Startable`."""
        if len(self.input_types) != 1:
            raise InvalidFlow(
                f"Workflow {self.name!r} has {len(self.input_types)} parameters beside its context.",
                why="A step that runs it gives it one value.",
                hint="Put them into one class, or start it from another workflow: ctx.run(...).",
            )
        return next(iter(self.input_types.items()))

    def handler(self) -> Handler:
        """See :class:`Startable`."""
        running = import_module("postmill.flows.running.workflow_handler")  # only a worker needs it
        made: Handler = running.WorkflowHandler(self)
        return made


class WorkflowDecorator(Protocol):
    """``@workflow(...)``."""

    def __call__(self, function: Callable[Concatenate[Ctx, P], Awaitable[T]], /) -> Workflow[P, T]:
        """Make it a workflow."""


@overload
def workflow(function: Callable[Concatenate[Ctx, P], Awaitable[T]], /) -> Workflow[P, T]: ...
@overload
def workflow(
    *,
    name: str = ...,
    queue: str = ...,
    deadline: float | timedelta = ...,
    retry: RetryRule = ...,
    timeout: float | timedelta = ...,
    **options: Any,
) -> WorkflowDecorator: ...
def workflow(function: Any = None, /, **options: Any) -> Any:
    """A durable function: ``@workflow`` or ``@workflow(deadline=timedelta(days=7))``.

    ``retry`` and ``timeout`` hold for its steps that say nothing; other options are those of its worker
    (``docs/reference/worker-options.md``). Raises :class:`InvalidFlow` or :class:`InvalidOption` at once.
    """
    if function is not None:
        return Workflow(function, **options)
    return lambda function: Workflow(function, **options)


def _may_be_context(function: Any, first: inspect.Parameter) -> bool:
    """Whether the first parameter may take the context: its annotation is of no other class, or only a type
    checker sees it.
    """
    try:
        hint = get_type_hints(called(function)).get(first.name, Any)
    except NameError:
        return True
    return hint in (Any, object) or not isinstance(hint, type) or issubclass(hint, Ctx)


def _signature(name: str, function: Any) -> inspect.Signature:
    """The function's signature without its context."""
    if not inspect.iscoroutinefunction(called(function)):
        raise InvalidFlow(
            f"Workflow {name!r} is no async def.",
            why="It awaits its steps.",
            hint=f"Write it as: async def {name}(ctx: Ctx, ...)",
        )
    parameters = list(inspect.signature(function).parameters.values())
    if not parameters or not _may_be_context(function, parameters[0]):
        raise InvalidFlow(
            f"Workflow {name!r} takes no context.", hint=f"Write it as: async def {name}(ctx: Ctx, ...)"
        )
    for parameter in parameters[1:]:
        if parameter.kind in _OPEN:
            raise InvalidFlow(
                f"Parameter {parameter} of workflow {name!r} has no name in a run's input.",
                why="A run's input has its arguments by parameter.",
                hint="Name each parameter: no *args, no **kwargs, none before a /.",
            )
    return inspect.Signature(parameters[1:])

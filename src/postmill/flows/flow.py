"""``Flow``: work in steps with typed edges. What runs it is in :mod:`postmill.flows.running`."""

from __future__ import annotations

from importlib import import_module
from types import NoneType
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, Unpack, cast, overload

import msgspec

from postmill.flows.accepted import accepted, is_checked_by_program, rules_of_start
from postmill.flows.decorators import MapDecorator, StepDecorator, UndoableDecorator
from postmill.flows.definition import Scope, Signature, placed, read_signature, shape_of
from postmill.flows.flow_options import deadline_of, flow_options
from postmill.flows.grouping import rule_of
from postmill.flows.names import check_runs_alone, check_step_name, defining_module, fit, flow_name
from postmill.flows.signal import Signal
from postmill.flows.startable import Startable
from postmill.flows.step_options import (
    MAP,
    PLACE,
    RUN,
    STEP,
    MapOptions,
    Options,
    PlaceOptions,
    RunOptions,
    StepOptions,
    options_of,
)
from postmill.flows.steps import FunctionStep, MapStep, Step
from postmill.flows.supplied import calling, running
from postmill.handlers.invokers import decoder
from postmill.model.duration import seconds
from postmill.model.errors import InvalidFlow
from postmill.model.flow.condition import Condition, has
from postmill.model.flow.input_defaults import defaults_of
from postmill.model.flow.markers import Marker, Source, marker
from postmill.model.flow.shape import INPUT, Chosen, FlowShape, Kind
from postmill.model.queue.payload import loads, to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence
    from datetime import timedelta

    from postmill.engine.handler import Handler
    from postmill.flows.step_options import RetryRule

P = ParamSpec("P")
T = TypeVar("T")
U = TypeVar("U")
In = TypeVar("In")
AnyStep = TypeVar("AnyStep", bound=Step[Any])


class Flow(Startable[[In], dict[str, Any]], Generic[In]):
    """``site = Flow("analyze_site", input=Site)``. Steps are added by its decorators, in an order in which
    each needs only earlier ones.

    A run gives the outputs of the steps that no other step needs, by name.
    """

    kind = "graph"

    def __init__(
        self,
        name: str,
        *,
        input: type[In],  # noqa: A002 - the word of the field
        retry: RetryRule | None = None,
        timeout: float | timedelta | None = None,
        queue: str | None = None,
        deadline: float | timedelta | None = None,
        **options: Any,
    ) -> None:
        """``retry`` and ``timeout`` hold for steps that say nothing. ``queue``: where its tasks go, its own
        name unless you give one. ``deadline``: how long a run may take, unless its start says otherwise.
        Further options are in ``docs/reference/flows.md``.

        Raises :class:`InvalidFlow`, or :class:`InvalidOption` for a bad value.
        """
        self.name = flow_name(name)
        self.worker_options = flow_options(
            name, {"retry": retry, "timeout": timeout, "queue": queue, **options}
        )
        self.schedule, self.timezone = options.get("schedule"), options.get("timezone", "UTC")
        self.deadline_s = deadline_of(deadline)
        self.module = defining_module()
        self.input_type: Any = input
        self.decode_input = decoder(input)
        if self.schedule is not None:
            check_runs_alone(name, self.decode_input)
        self.result_type = dict[str, Any]
        self.decode_result = loads
        self.steps: dict[str, Step[Any]] = {}
        """By name, in order of definition."""

    @property
    def input(self) -> In:
        """What a run is started with. Fields of it are read by attribute: only they are fetched."""
        return cast("In", marker(Source(self, INPUT, self.input_type)))

    def has(self, pattern: Mapping[str, object] | Sequence[object]) -> Condition:
        """The condition that the input contains a pattern: an object's named fields, a list's items."""
        return has(INPUT, (), pattern)

    @property
    def shape(self) -> FlowShape:
        """What a run is tied to."""
        return FlowShape(tuple(step.shape for step in self.steps.values()))

    @property
    def chosen(self) -> dict[str, Chosen]:
        """What follows the program, by step."""
        return {name: step.chosen for name, step in self.steps.items()}

    @property
    def registered(self) -> tuple[str, str]:
        """See :class:`Runnable`."""
        chosen = {name: each.as_json() for name, each in self.chosen.items()}
        chosen[INPUT] = rules_of_start(
            accepted(self.input_type),
            self.deadline_s,
            defaults=defaults_of(self.input_type),
            checks=is_checked_by_program(self.input_type) or None,
        )
        return to_json(self.shape.as_json()).decode(), to_json(chosen).decode()

    @overload
    def step(
        self, function: Callable[P, Coroutine[Any, Any, T]], /
    ) -> FunctionStep[P, Coroutine[Any, Any, T], T]: ...
    @overload
    def step(self, function: Callable[P, T], /) -> FunctionStep[P, T, T]: ...
    @overload
    def step(
        self, /, *, compensate: Callable[[U], object], **options: Unpack[StepOptions]
    ) -> UndoableDecorator[U]: ...
    @overload
    def step(self, /, **options: Unpack[StepOptions]) -> StepDecorator: ...
    def step(self, function: Any = None, /, **options: Any) -> Any:
        """Decorator: a step. Its parameters have markers as defaults: what a run gives it.

        A plain ``def`` runs in a thread. ``docs/reference/flows.md`` has the options. Raises
        :class:`InvalidFlow` for what can't be right, naming both ends of an edge.
        """
        given = options_of(STEP, options, "step")

        def defined(function: Callable[..., Any]) -> Step[Any]:
            signature = read_signature(_name(given, function), function)
            return self._add(
                FunctionStep, "step", _name(given, function), signature, given, function=function
            )

        return UndoableDecorator(defined) if function is None else defined(function)

    @overload
    def map(
        self, function: Callable[P, Coroutine[Any, Any, T]], /
    ) -> MapStep[P, Coroutine[Any, Any, T], T]: ...
    @overload
    def map(self, function: Callable[P, T], /) -> MapStep[P, T, T]: ...
    @overload
    def map(self, /, **options: Unpack[MapOptions]) -> MapDecorator: ...
    def map(self, function: Any = None, /, **options: Any) -> Any:
        """Decorator: a step that runs once for each item of a list: one of its parameters has the default
        ``links.each`` or ``each(flow.input.urls)``. Its output is the list of results, in order.

        Raises :class:`InvalidFlow`.
        """
        given = options_of(MAP, options, "map")

        def defined(function: Callable[..., Any]) -> Step[Any]:
            name = _name(given, function)
            signature = read_signature(name, function)
            item = signature.returns
            return self._add(
                MapStep,
                "map",
                name,
                signature,
                given,
                function=function,
                returns=list.__class_getitem__(item),
                item_type=item,
            )

        return defined if function is None else defined(function)

    @overload
    def wait(self, signal: Signal[T], /, **options: Unpack[PlaceOptions]) -> Step[T]: ...
    @overload
    def wait(
        self, signal: Signal[T], /, *, timeout: float | timedelta, **options: Unpack[PlaceOptions]
    ) -> Step[T | None]: ...
    def wait(
        self, signal: Signal[Any], /, *, timeout: float | timedelta | None = None, **options: Any
    ) -> Step[Any]:
        """A step that ends when its run is sent a signal, whose value it gives; with a ``timeout`` (seconds
        or a timedelta), None when none has come. Its name is the signal's unless you give one.
        """
        given = options_of(PLACE, options, "wait")
        limit_s = None if timeout is None else seconds(timeout, "timeout")
        returns = signal.type if limit_s is None or signal.type is Any else signal.type | None
        name = given.name or signal.name
        return self._add(
            Step,
            "wait",
            name,
            Signature(returns=returns),
            given,
            signal=signal,
            chosen=Chosen(timeout_s=limit_s, accepts=accepted(signal.type)),
        )

    @overload
    def approval(self, form: type[T], /, **options: Unpack[PlaceOptions]) -> Step[T]: ...
    @overload
    def approval(
        self, form: type[T], /, *, timeout: float | timedelta, **options: Unpack[PlaceOptions]
    ) -> Step[T | None]: ...
    def approval(
        self, form: type[Any], /, *, timeout: float | timedelta | None = None, **options: Any
    ) -> Step[Any]:
        """A wait for a person's answer: a signal that has the step's own name, ``approval`` unless you give
        one.
        """
        signal = Signal(options.get("name", "approval"), form)
        return (
            self.wait(signal, **options) if timeout is None else self.wait(signal, timeout=timeout, **options)
        )

    def sleep(self, for_: float | timedelta, /, **options: Unpack[PlaceOptions]) -> Step[None]:
        """A step that ends after a time (seconds or a timedelta). Its name: ``sleep`` unless you give one."""
        given = options_of(PLACE, options, "sleep")
        length = Chosen(delay_s=seconds(for_, "sleep"))
        return self._add(
            Step, "sleep", given.name or "sleep", Signature(returns=NoneType), given, chosen=length
        )

    def run(self, other: Startable[[U], T], value: U, /, **options: Unpack[RunOptions]) -> Step[T]:
        """A step that is a run of another flow, or of a workflow of one parameter: it gives what that run
        gives. Its name is the other's unless you give one.
        """
        given = options_of(RUN, options, "run")
        name = given.name or other.name
        if not isinstance(value, Marker):
            raise InvalidFlow(
                f"Step {name!r} runs {other.name!r} on {value!r}, which is no marker.",
                why="A run gets what this run has: its input, or what a step gave.",
                hint="Give a marker: flow.input, fetch.out.site.",
            )
        parameter, taken = other.takes_one()
        signature = Signature({parameter: value}, {parameter: taken}, other.result_type)
        return self._add(Step, "run", name, signature, given, child=other)

    def call(self, function: str, /, body: object = None, **options: Unpack[StepOptions]) -> Step[Any]:
        """A step that calls an edge function with a marker as its body, or with none; it gives what the
        function answers. Its name is the function's unless you give one.
        """
        given = options_of(STEP, options, "call")
        name = given.name or function
        signature = Signature(_markers(name, {} if body is None else {"body": body}))
        return self._add(Step, "step", name, signature, given, function=calling(function))

    def sql(
        self, text: str, /, *values: object, **options: Unpack[StepOptions]
    ) -> Step[list[dict[str, Any]]]:
        """A step that runs one statement, whose ``$1``, ``$2``, ... are these markers; it gives the rows,
        each a dict. An attempt that is repeated runs it again. Its name is ``sql`` unless you give one.
        """
        given = options_of(STEP, options, "sql step")
        name = given.name or "sql"
        markers = _markers(name, {f"p{place}": value for place, value in enumerate(values, 1)})
        signature = Signature(markers, returns=list[dict[str, Any]], context="ctx")
        return self._add(Step, "step", name, signature, given, function=running(text, len(values)))

    def encode(self, value: In, /) -> msgspec.Raw:
        """See :class:`Startable`."""
        text = to_json(value, "input")
        known = self.check_input(text.decode())
        return msgspec.Raw(text if type(known) is type(value) else to_json(known))  # with its defaults

    def check_input(self, text: str) -> Any:
        """See :class:`Runnable`."""
        return fit(f"The input does not fit the flow {self.name!r}.", self.decode_input, text)

    def takes_one(self) -> tuple[str, Any]:
        """See :class:`Startable`."""
        return INPUT, self.input_type

    def handler(self) -> Handler:
        """See :class:`Startable`."""
        running = import_module("postmill.flows.running.graph_handler")  # only a worker needs it
        made: Handler = running.GraphHandler(self)
        return made

    def _add(
        self,
        made_as: type[AnyStep],
        kind: Kind,
        name: str,
        signature: Signature,
        options: Options,
        *,
        returns: Any = None,
        chosen: Chosen | None = None,
        signal: Signal[Any] | None = None,
        **parts: Any,
    ) -> AnyStep:
        """Make the step, and keep it. ``returns``: the annotation of its output, if not the function's."""
        check_step_name(self.name, name, self.steps)
        executor, on_cluster = placed(name, options, self.worker_options, signature, parts.get("function"))
        scope = Scope(self, self.input_type, self.steps)
        shape = shape_of(scope, kind, name, signature, options, None if signal is None else signal.name)
        step = made_as(
            shape=shape,
            source=Source(self, name, signature.returns if returns is None else returns),
            chosen=chosen or options.chosen(rule_of(scope, name, options.group_key, shape.over)),
            retry=options.policy or self.worker_options.retry,
            timeout_s=options.timeout_s or self.worker_options.timeout_s,
            executor=executor,
            on_cluster=on_cluster,
            compensate=options.compensate,
            input_types={parameter: signature.types.get(parameter, Any) for parameter in signature.markers},
            context_parameter=signature.context,
            signal=signal,
            **parts,
        )
        self.steps[name] = step
        return step


def _name(options: Options, function: Any) -> str:
    return options.name or str(getattr(function, "__name__", ""))


def _markers(name: str, given: Mapping[str, object]) -> dict[str, Marker]:
    """What is given, where all of it is markers."""
    for value in given.values():
        if not isinstance(value, Marker):
            raise InvalidFlow(
                f"Step {name!r} is given {value!r}, which is no marker.",
                why="A step without a function of your own gets what its run has.",
                hint="Give a marker: flow.input, fetch.out.site; write a constant into the text itself.",
            )
    return {parameter: value for parameter, value in given.items() if isinstance(value, Marker)}

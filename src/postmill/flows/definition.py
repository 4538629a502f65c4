"""Reads one step out of a function and its options: its edges, their types, and what can't be right.

Raises :class:`InvalidFlow` at the definition, naming both ends of an edge.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from postmill.flows.annotations import annotations_of, returned_by
from postmill.flows.on_cluster import check_function
from postmill.flows.steps import Step
from postmill.handlers.cluster.remote_context import RemoteContext
from postmill.handlers.context import Context
from postmill.handlers.signature import called
from postmill.model.errors import InvalidFlow
from postmill.model.flow.condition import sources
from postmill.model.flow.edge_types import at_path, fits, item_type, shown
from postmill.model.flow.markers import Marker, condition_from, field_refused
from postmill.model.flow.partial import Partial
from postmill.model.flow.shape import INPUT, Kind, Read, StepShape
from postmill.model.queue import cluster_options
from postmill.model.queue.cluster_options import ClusterOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from postmill.flows.step_options import Options
    from postmill.model.queue.worker_options import Executor, WorkerOptions

_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_OPEN = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


@dataclass(frozen=True, slots=True)
class Signature:
    """What a step's function asks for and gives."""

    markers: Mapping[str, Marker] = field(default_factory=dict)
    """By parameter."""
    types: Mapping[str, Any] = field(default_factory=dict)
    returns: Any = Any
    context: str | None = None
    """The parameter that takes the context."""
    context_type: type | None = None
    """What that is annotated with."""


def read_signature(name: str, function: Any) -> Signature:
    """The signature of a step's function; each parameter is filled by a marker, by its own default, or with
    the context.
    """
    if not callable(function) or inspect.isclass(function):
        raise InvalidFlow(f"{function!r} is no function.", hint="Decorate a function: @flow.step")
    if inspect.isgeneratorfunction(called(function)) or inspect.isasyncgenfunction(called(function)):
        raise InvalidFlow(
            f"Step {name!r} is a generator function: it has a yield.",
            why="Calling it runs none of its lines.",
            hint="Return the whole result; a map makes one task of each item of a list.",
        )
    signature = inspect.signature(function)
    hints = annotations_of(name, function, signature.parameters.values())
    markers, types, context, context_type = {}, {}, None, None
    for parameter in signature.parameters.values():
        hint = hints[parameter.name]
        if isinstance(parameter.default, Marker):
            _check_by_name(name, parameter)
            markers[parameter.name], types[parameter.name] = parameter.default, hint
        elif isinstance(parameter.default, Step):
            raise _whole_step(name, parameter.name, parameter.default)
        elif hint in (Context, RemoteContext):
            context, context_type = parameter.name, hint
        elif parameter.default is inspect.Parameter.empty and parameter.kind not in _OPEN:
            raise _unfilled(name, parameter.name)
    return Signature(markers, types, returned_by(function), context, context_type)


@dataclass(frozen=True, slots=True)
class Scope:
    """What a new step may read."""

    flow: object
    input_type: Any
    known: Mapping[str, Step[Any]]
    """The steps before it, by name."""

    def type_of(self, source: str) -> Any:
        """The annotation of what a step, or the input, gives."""
        return self.input_type if source == INPUT else self.known[source].output_type


def shape_of(
    scope: Scope, kind: Kind, name: str, signature: Signature, options: Options, signal: str | None = None
) -> StepShape:
    """The shape of a new step."""
    reads = {parameter: edge(scope, name, marker) for parameter, marker in signature.markers.items()}
    for parameter, marker in signature.markers.items():
        check_edge(name, marker, signature.types.get(parameter, Any), scope.known, parameter)
    when = None if options.when is None else _condition(scope, name, condition_from(options.when).json)
    after = tuple(_after(scope, name, step) for step in options.after)
    needed = {read.of for read in reads.values()} | set(after) | (sources(when) if when else set())
    if isinstance(options.group_key, Marker):
        needed.add(options.group_key.postmill_read.of)
    return StepShape(
        name=name,
        kind=kind,
        reads=reads,
        after=after,
        over=_over(name, kind, reads),
        when=when,
        on_unmet=options.on_unmet,
        on_dead=options.on_dead,
        compensates=options.compensate is not None,
        signal=signal,
        needs=tuple(step for step in scope.known if step in needed),
    )


def _condition(scope: Scope, name: str, condition: Mapping[str, Any]) -> dict[str, Any]:
    """The condition with its paths as they are written in JSON."""
    if "all" in condition:
        return {"all": [_condition(scope, name, each) for each in condition["all"]]}
    if "not" in condition:
        return {"not": _condition(scope, name, condition["not"])}
    if condition["of"] not in {INPUT, *scope.known}:
        raise _stranger(name, condition["of"])
    reads = ".".join((condition["of"], *condition["path"]))
    found, path = _at_path(name, reads, scope.type_of(condition["of"]), condition["path"])
    value = condition.get("equals")
    if value is not None and not fits(type(value), found):
        raise InvalidFlow(
            f"The condition of step {name!r} compares {reads}, {shown(found)}, with {value!r}.",
            why="The two are never equal.",
            hint="Compare it with a value of its own type.",
        )
    return {**condition, "path": list(path)}


def placed(
    name: str,
    options: Options,
    usual: WorkerOptions,
    signature: Signature,
    function: Callable[..., Any] | None,
) -> tuple[Executor, ClusterOptions | None]:
    """Where a step runs, and how it does on a cluster. ``usual``: what the flow says. Raises
    :class:`InvalidOption`, and :class:`InvalidFlow` for what can't run there.
    """
    executor = options.executor or usual.executor
    if function is None:
        return executor, None
    cluster_options.check(executor, None, {each: getattr(options, each) for each in cluster_options.NAMES})
    _check_place(name, executor, signature, function)
    return executor, ClusterOptions.of(options, usual) if executor == "ray" else None


def _check_place(name: str, executor: Executor, signature: Signature, function: Callable[..., Any]) -> None:
    """Refuse what can't run in another process, or on a cluster."""
    is_async = inspect.iscoroutinefunction(called(function))
    if executor == "process" and (is_async or signature.context is not None):
        raise InvalidFlow(
            f"Step {name!r} has executor='process', and is {'async' if is_async else 'given the context'}.",
            why="Neither the event loop nor the context is in another process.",
            hint="Write it as a plain def without a context, or leave out executor=.",
        )
    if executor == "ray":
        check_function(name, function)
    if signature.context is not None and (signature.context_type is RemoteContext) != (executor == "ray"):
        wanted = "RemoteContext" if executor == "ray" else "Context"
        raise InvalidFlow(
            f"Step {name!r} has executor={executor!r}, and {signature.context!r} is no {wanted}.",
            why="A step on a cluster is given a RemoteContext, and any other step a Context.",
            hint=f"Annotate it with {wanted}, or choose another executor=.",
        )


def _whole_step(name: str, parameter: str, step: Step[Any]) -> InvalidFlow:
    return InvalidFlow(
        f"Parameter {parameter!r} of step {name!r} has the step {step.name!r} itself as its default.",
        why="An edge reads what a step gives.",
        hint=f"Write {step.name}.out; .maybe of a step that may be skipped, .each for a map.",
    )


def _check_by_name(name: str, parameter: inspect.Parameter) -> None:
    if parameter.kind not in _BY_NAME:
        raise InvalidFlow(
            f"Parameter {parameter.name!r} of step {name!r} can't be given by name.",
            why="A run gives a step its values by the names of its parameters.",
            hint="Take the / out of its parameters.",
        )


def _unfilled(name: str, parameter: str) -> InvalidFlow:
    return InvalidFlow(
        f"Nothing fills parameter {parameter!r} of step {name!r}.",
        why="A run gives a step what its parameters have as defaults: markers.",
        hint=f"For example: {parameter}: Page = fetch.out; or {parameter}: Context.",
    )


def _stranger(name: str, source: object) -> InvalidFlow:
    return InvalidFlow(
        f"Step {name!r} reads {source!r}, which is no earlier step of its flow.",
        why="Edges go from a step to a later one of the same flow.",
        hint="Define that step in this flow, before this one; a whole other flow is run by flow.run(...).",
    )


def edge(scope: Scope, name: str, marker: Marker) -> Read:
    """What a parameter of the step reads, its path as it is written in JSON. Raises :class:`InvalidFlow`."""
    read, source = marker.postmill_read, marker.postmill_source
    if source.flow is not scope.flow:
        raise _stranger(name, read.of)
    if read.item_path:
        whole = Marker(source, replace(read, item_path=read.item_path[:-1]))
        raise field_refused(whole, read.item_path[-1])
    _, path = _at_path(name, repr(marker), source.type, read.path)
    return Read(read.of, path, read.kind)


def _at_path(name: str, reads: str, whole: Any, path: Sequence[str]) -> tuple[Any, tuple[str, ...]]:
    try:
        return at_path(whole, path)
    except InvalidFlow as error:
        error.what = f"Step {name!r} reads {reads}: {error.what}"
        raise


def _after(scope: Scope, name: str, step: Step[Any]) -> str:
    source = getattr(step, "source", None)
    if source is None or source.flow is not scope.flow:
        raise _stranger(name, getattr(step, "name", step))
    return str(source.name)


def check_edge(
    name: str, marker: Marker, wanted: Any, known: Mapping[str, Step[Any]], parameter: str
) -> None:
    """Refuse what the parameter can't be given: of a step that may be skipped, or of another type."""
    read, source = marker.postmill_read, marker.postmill_source
    step = known.get(read.of)
    if step is not None and read.kind in ("out", "partial") and may_be_skipped(step.shape):
        raise InvalidFlow(
            f"Step {name!r} reads {marker!r}, and {read.of!r} may be skipped.",
            why=f"{_why_skipped(step.shape)}; there is no value then.",
            hint=f"Read {read.of}.maybe (it is None then), or let {read.of!r} skip what needs it:"
            " skip_cascade.",
        )
    if read.kind == "partial" and step is not None and step.shape.on_dead != "collect":
        raise InvalidFlow(
            f"Step {name!r} reads {marker!r}, and {read.of!r} does not collect errors.",
            why="A failed item fails the run, or the map is skipped.",
            hint=f"Give {read.of!r} on_dead='collect', or read {read.of}.out.",
        )
    given = given_by(name, marker, at_path(source.type, read.path)[0])
    if not fits(given, wanted):
        raise InvalidFlow(
            f"Step {name!r} takes {parameter}: {shown(wanted)}, and {marker!r} gives {shown(given)}.",
            hint="Change the annotation that is wrong, or read another field.",
        )


def given_by(name: str, marker: Marker, found: Any) -> Any:
    """The type of what an edge gives, from that of what it reads."""
    kind = marker.postmill_read.kind
    if kind == "out":
        return found
    if kind == "maybe":
        return found if found is Any else found | None
    item = item_type(found)
    if item is None:
        raise InvalidFlow(
            f"Map {name!r} runs over {marker!r}, and what stands there is {shown(found)}, no list.",
            hint="Annotate a list where it is made, or make one of it in a step between.",
        )
    whole: Any = Partial
    return item if kind == "each" else whole[item]


def may_be_skipped(shape: StepShape) -> bool:
    """Whether steps that read it may run though it was skipped."""
    return (shape.when is not None and shape.on_unmet == "skip") or shape.on_dead == "skip"


def _why_skipped(shape: StepShape) -> str:
    unmet = shape.when is not None and shape.on_unmet == "skip"
    return "It has when=... and on_unmet='skip'" if unmet else "It has on_dead='skip'"


def _over(name: str, kind: Kind, reads: Mapping[str, Read]) -> Read | None:
    """What a map runs over: exactly one of its parameters is an item."""
    items = [parameter for parameter, read in reads.items() if read.kind == "each"]
    if kind == "map" and len(items) == 1:
        return reads[items[0]]
    if kind == "map":
        raise InvalidFlow(
            f"Map {name!r} has {len(items)} parameters that are an item of a list.",
            why="It runs once for each item of one list.",
            hint="Give one parameter the default links.each, or each(flow.input.urls); pair lists in a step"
            " before.",
        )
    if items:
        raise InvalidFlow(
            f"Step {name!r} reads one item of a list, as {items[0]}.",
            why="Only a map runs once for each item.",
            hint="Decorate it with @flow.map, or read .out for the whole list.",
        )
    return None

"""A step of this program, ready to be called: its values decoded, its result as JSON."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from postmill.flows.running.step_context import StepContext
from postmill.handlers.invokers import decoder, invoker_by_name, invoker_for
from postmill.handlers.signature import Arguments, Signature
from postmill.model.errors import InvalidPayload
from postmill.model.queue.attempt_policy import AttemptPolicy
from postmill.model.queue.payload import to_json
from postmill.model.queue.retry import Dead

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import msgspec

    from postmill.flows.flow_options import FlowOptions
    from postmill.flows.running.cluster_step import StepCluster
    from postmill.flows.steps import Step
    from postmill.handlers.invokers import Invoker
    from postmill.model.queue.worker_options import Executor, WorkerOptions


class BoundStep:
    """One step and the way to call it."""

    def __init__(
        self, step: Step[Any], function: Callable[..., Any], options: FlowOptions, cluster: StepCluster | None
    ) -> None:
        """``function``: the step's. ``options``: the flow's. ``cluster``: where it runs if it is
        to run on one. Raises :class:`InvalidHandler`.
        """
        self.name = step.name
        self._max_output = options.max_output
        self.kind = step.shape.kind
        timeout_s = options.timeout_s if step.timeout_s is None else step.timeout_s
        self.policy = AttemptPolicy(step.retry, timeout_s)
        reads = step.shape.reads
        self._item = frozenset(name for name, read in reads.items() if read.kind == "each")
        self._read = frozenset(reads) - self._item
        self._decoders = {name: decoder(step.input_types.get(name, Any)) for name in reads}
        self._is_decoded_here = cluster is None or step.on_cluster is None
        self.call: Invoker
        if cluster is not None and step.on_cluster is not None:
            self.call = cluster.step(function, step.on_cluster)
        else:
            own_options = _here(options, step.executor)
            self.call = invoker_by_name(function, own_options, step.context_parameter, StepContext)
        self.decode_output = decoder(step.output_type)
        """What it has given, from its JSON."""
        self.undo = None if step.compensate is None else _undoing(step.compensate, options)
        """The call that undoes it, given its output; None: there is none."""

    def takes(self, kind: str, values: Mapping[str, msgspec.Raw]) -> bool:
        """Whether it can be called with what a version of the flow gives to its step of this name."""
        return kind == self.kind and values.keys() == self._read

    def arguments(self, values: Mapping[str, msgspec.Raw], item: msgspec.Raw) -> Arguments:
        """What to call it with; on a cluster the JSON of each value. Raises :class:`InvalidPayload` where one
        does not fit its annotation.
        """
        given = Arguments({name: item if name in self._item else values[name] for name in self._decoders})
        found = Arguments()
        for name, decode in self._decoders.items():
            try:
                found[name] = decode(bytes(given[name]).decode())
            except InvalidPayload as error:
                raise InvalidPayload(f"{name!r} of step {self.name!r} does not fit: {error}") from error
        return found if self._is_decoded_here else given

    def output(self, result: object) -> str:
        """The result as JSON. Raises :class:`Dead` for what is none, or is too large: another attempt would
        only do the work again.
        """
        try:
            data = to_json(result, "output")
        except InvalidPayload as error:
            raise Dead(f"the output of step {self.name!r} can't be kept: {error}") from error
        if len(data) > self._max_output:
            raise Dead(
                f"the output of step {self.name!r} is {len(data):,} bytes of JSON; at most"
                f" {self._max_output:,} are kept: store it elsewhere and return its address,"
                " or raise max_output"
            )
        return data.decode()

    def close(self) -> None:
        """End its threads and processes."""
        for invoker in (self.call, self.undo):
            if invoker is not None:
                invoker.close()


def _undoing(function: Callable[[Any], object], options: WorkerOptions) -> Invoker:
    return invoker_for(function, Signature(Any, wants_context=False), _here(options, "inline"))


def _here(options: WorkerOptions, executor: Executor) -> WorkerOptions:
    """The options of a function that runs on this machine, whatever others of the flow do."""
    return replace(options, executor=executor, resources=None, start_timeout=None, cancel_grace=None)

"""The shape of a flow: names, kinds, edges, conditions, and what becomes of a run when a step can't work.

It is what a run is tied to. What a program may change while runs live (retries, time limits, windows) is in
:class:`Chosen` and no part of it. Pure values; the JSON is what ``postmill.register_flow`` takes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

INPUT = "input"
"""The name under which the run's input is read: no step has it, so that an edge is never ambiguous."""

Kind = Literal["step", "map", "sleep", "wait", "run"]
As = Literal["out", "maybe", "each", "partial"]
OnUnmet = Literal["skip", "skip_cascade", "fail"]
OnDead = Literal["fail", "skip", "skip_cascade", "collect"]


@dataclass(frozen=True, slots=True)
class Read:
    """One edge: what a parameter of a step is given."""

    of: str
    """The step that is read, or :data:`INPUT`."""
    path: tuple[str, ...] = ()
    """The fields to follow in its output; only what is there is fetched."""
    kind: As = "out"
    """``out``: the output. ``maybe``: the output, or None of a step that was skipped. ``each``: one item of a
    map's list. ``partial``: results and errors of a map.
    """
    item_path: tuple[str, ...] = ()
    """Of ``each``: the fields to follow in the item. Only the rule of a group reads them."""

    def as_json(self) -> dict[str, Any]:
        """As the database has it."""
        return {"of": self.of, "path": list(self.path), "as": self.kind}


@dataclass(frozen=True, slots=True)
class Chosen:
    """What follows the program and may differ between two versions of it that have the same shape."""

    queue: str | None = None
    """None: the flow's own."""
    window: int | None = None
    """How many items of a map are in the queue at once; None: all."""
    delay_s: float = 0.0
    """Seconds between the time at which the step may start and its start; of a sleep its length."""
    priority: int | None = None
    group: Mapping[str, Any] | None = None
    """Which group its tasks have: ``{"key"}`` for all of them, or where the key stands: ``{"of", "path"}``,
    or in a map's item ``{"item"}``.
    """
    timeout_s: float | None = None
    """Of a wait: how long; None: for ever."""
    accepts: Mapping[str, Any] | None = None
    """Of a wait: a JSON Schema of the values that it takes; None: only a program can tell."""

    def as_json(self) -> dict[str, Any]:
        """Without what says nothing."""
        found = {name: getattr(self, name) for name in self.__slots__}
        return {name: value for name, value in found.items() if value not in (None, 0.0)}


@dataclass(frozen=True, slots=True, kw_only=True)
class StepShape:
    """One step."""

    name: str
    kind: Kind = "step"
    reads: Mapping[str, Read] = field(default_factory=dict)
    """By parameter."""
    after: tuple[str, ...] = ()
    """Steps that must have ended before, beside those that are read."""
    over: Read | None = None
    """The list that a map runs over."""
    when: Mapping[str, Any] | None = None
    """The condition, as JSON: see :mod:`postmill.model.flow.condition`."""
    on_unmet: OnUnmet = "skip"
    on_dead: OnDead = "fail"
    compensates: bool = False
    """Whether it has something to undo it with."""
    signal: str | None = None
    """What a wait waits for."""
    needs: tuple[str, ...] = ()
    """Every step that must have ended before it starts, in order of definition."""

    def as_json(self) -> dict[str, Any]:
        """As the database has it."""
        return {
            "name": self.name,
            "kind": self.kind,
            "needs": list(self.needs),
            "reads": {parameter: read.as_json() for parameter, read in self.reads.items()},
            "over": None if self.over is None else self.over.as_json(),
            "when": None if self.when is None else dict(self.when),
            "on_unmet": self.on_unmet,
            "on_dead": self.on_dead,
            "compensates": self.compensates,
            "signal": self.signal,
        }


@dataclass(frozen=True, slots=True)
class FlowShape:
    """A whole flow: its steps in order of definition, so that each needs only earlier ones."""

    steps: tuple[StepShape, ...]

    def as_json(self) -> dict[str, Any]:
        """As ``postmill.register_flow`` takes it."""
        return {"steps": [step.as_json() for step in self.steps]}

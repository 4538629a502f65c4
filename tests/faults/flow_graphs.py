"""Random shapes of flows, and what their tasks give: the same whoever runs them, and in whatever order.

What a task gives follows from its name, its item and its inputs: a step that was started too early, or was
given something else, gives something else too, and so does everything after it.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from postmill.model.flow.interpreter import Died, RunEnd, interpret
from postmill.model.flow.shape import INPUT, Chosen, FlowShape, Read, StepShape

if TYPE_CHECKING:
    from postmill.model.flow.interpreter import Task
    from postmill.model.flow.shape import Kind

FALSY: tuple[Any, ...] = (0, "", False, None, {}, [])
INPUTS: dict[str, Any] = {"flag": True, "urls": ["a", "b", "c"], "none": [], "n": 1}
CONDITIONS: tuple[dict[str, Any], ...] = (
    {"of": INPUT, "path": ["flag"], "equals": True},
    {"of": INPUT, "path": ["n"], "equals": True},  # 1 is not true
    {"of": INPUT, "path": ["lacks"], "equals": None},
    {"not": {"of": INPUT, "path": ["lacks"], "has": {"a": 1}}},
)


@dataclass(frozen=True)
class Graph:
    """A shape, what was chosen beside it, which of its tasks die, and what a run of it comes to."""

    name: str
    shape: FlowShape
    chosen: dict[str, Chosen] = field(default_factory=dict)
    dying: frozenset[str] = frozenset()
    """Steps, one in three of whose tasks dies."""

    def perform(self, step: str, item: int | None, value: Any, inputs: Any) -> Any:
        """What a task gives, or that it :class:`Died`."""
        if self.kind(step) in {"sleep", "wait"}:
            return None
        dice = random.Random(json.dumps([step, item, value, inputs], sort_keys=True))
        if step in self.dying and (item is None or dice.random() < 0.3):
            return Died(f"{step} {item}")
        if dice.random() < 0.1:
            return dice.choice(FALSY)
        if item is not None:
            return [item, value]
        return [dice.randint(0, 9) for _ in range(dice.choice((0, 1, 2, 6)))]

    def undo(self, step: str) -> Died | None:
        """What the undoing of a step comes to."""
        return Died("no way back") if random.Random(self.name + step).random() < 0.3 else None

    def kind(self, step: str) -> str:
        """The step's kind."""
        return next(each.kind for each in self.shape.steps if each.name == step)

    def compensates(self, step: str) -> bool:
        """Whether the step can be undone."""
        return next(each.compensates for each in self.shape.steps if each.name == step)

    def end(self) -> RunEnd:
        """What a run comes to."""

        def perform(task: Task) -> Any:
            return self.perform(task.step.name, task.item, task.value, dict(task.inputs))

        return interpret(self.shape, INPUTS, perform)


def random_graph(name: str, dice: random.Random) -> Graph:
    """2 to 14 steps of every kind that a queue's message ends."""
    steps: list[StepShape] = []
    chosen: dict[str, Chosen] = {}
    dying = set()
    for place in range(dice.randint(2, 14)):
        step = _random_step(f"s{place:02}", [each.name for each in steps], dice)
        steps.append(step)
        chosen[step.name] = Chosen(
            window=dice.choice((None, 1, 2)),
            priority=dice.choice((None, None, 7)),
            timeout_s=0.001 if step.kind == "wait" else None,
        )
        if dice.random() < 0.15:
            dying.add(step.name)
    return Graph(name, FlowShape(tuple(steps)), chosen, frozenset(dying))


def _random_step(name: str, earlier: list[str], dice: random.Random) -> StepShape:
    needs = sorted(dice.sample(earlier, dice.randint(0, min(3, len(earlier)))))
    reads = {f"p_{need}": Read(need, kind=dice.choice(("out", "maybe", "partial"))) for need in needs[1:]}
    reads["given"] = Read(INPUT, ("urls", "1"))
    kind: Kind = dice.choice(("step",) * 6 + ("map",) * 4 + ("sleep", "wait"))
    over = None
    if kind == "map":
        over = Read(needs[0]) if needs else Read(INPUT, (dice.choice(("urls", "none")),))
        reads["item"] = Read(over.of, over.path, "each")
    when = dice.choice((*CONDITIONS, {"of": needs[0], "path": [], "has": [1]} if needs else CONDITIONS[0]))
    return StepShape(
        name=name,
        kind=kind,
        needs=tuple(needs),
        reads=reads,
        over=over,
        when=when if dice.random() < 0.2 else None,
        on_unmet=dice.choice(("skip",) * 4 + ("skip_cascade",) * 4 + ("fail",)),
        on_dead=dice.choice(
            ("skip",) * 4 + ("skip_cascade",) * 4 + ("fail",) + ("collect",) * 3 * (kind == "map")
        ),
        compensates=dice.random() < 0.4,
        signal="never" if kind == "wait" else None,
    )


def fan_in(name: str, width: int) -> Graph:
    """Many first steps, and one that needs all of them."""
    roots = [StepShape(name=f"r{place}") for place in range(width)]
    needs = tuple(step.name for step in roots)
    return Graph(name, FlowShape((*roots, StepShape(name="all", needs=needs))))

"""What runs of small shapes come to. That the database does the same is shown by races in tests/faults."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from postmill.model.flow.interpreter import Died, RunEnd, Task, interpret, tasks
from postmill.model.flow.shape import INPUT, FlowShape, Read, StepShape

if TYPE_CHECKING:
    from collections.abc import Callable

NEVER = {"of": INPUT, "path": ["lacks"], "equals": 1}


def step(name: str, *needs: str, **more: Any) -> StepShape:
    return StepShape(name=name, needs=needs, **more)


def run(*steps: StepShape, given: Any = None, **answers: Any) -> RunEnd:
    """Each task gives its step's answer: a value, or a function of the task."""

    def perform(task: Task) -> Any:
        answer = answers.get(task.step.name, task.step.name)
        return answer(task) if callable(answer) else answer

    return interpret(FlowShape(steps), given, perform)


def states(end: RunEnd) -> dict[str, str]:
    return {name: each.state for name, each in end.steps.items()}


def test_steps_are_given_what_they_read() -> None:
    reads = {
        "whole": Read("a"),
        "part": Read("a", ("n", "1")),
        "lacks": Read("a", ("no",)),
        "own": Read(INPUT, ("k",)),
    }
    seen: list[Task] = []
    end = run(step("a"), step("b", "a", reads=reads), given={"k": 1}, a={"n": [0, 2]}, b=seen.append)
    assert seen[0].inputs == {"whole": {"n": [0, 2]}, "part": 2, "lacks": None, "own": 1}
    assert (end.state, end.outputs) == ("completed", {"a": {"n": [0, 2]}, "b": None})


@pytest.mark.parametrize(
    ("on_unmet", "expected"),
    [
        ("skip", {"a": "skipped", "b": "completed", "c": "completed"}),
        ("skip_cascade", {"a": "skipped", "b": "skipped", "c": "skipped"}),
        ("fail", {"a": "failed"}),
    ],
)
def test_a_condition_that_is_not_met(on_unmet: Any, expected: dict[str, str]) -> None:
    end = run(step("a", when=NEVER, on_unmet=on_unmet), step("b", "a"), step("c", "b"))
    assert states(end) == expected
    assert end.culprits == (["a"] if on_unmet == "fail" else [])


@pytest.mark.parametrize(
    ("on_dead", "expected"),
    [
        ("skip", {"a": "skipped", "b": "completed"}),
        ("skip_cascade", {"a": "skipped", "b": "skipped"}),
        ("fail", {"a": "failed"}),
    ],
)
def test_a_step_that_dies(on_dead: Any, expected: dict[str, str]) -> None:
    assert states(run(step("a", on_dead=on_dead), step("b", "a"), a=Died("no"))) == expected


def mapping(**more: Any) -> tuple[StepShape, ...]:
    partial = {"all": Read("m", kind="partial"), "results": Read("m")}
    return step("a"), step("m", "a", kind="map", over=Read("a"), **more), step("z", "m", reads=partial)


def test_failed_items_are_collected() -> None:
    seen: list[Task] = []
    answer: Callable[[Task], Any] = lambda task: Died("odd") if task.value % 2 else task.value * 10  # noqa: E731
    end = run(*mapping(on_dead="collect"), a=[1, 2, 3, 4], m=answer, z=seen.append)
    errors = [{"item": 0, "reason": "odd"}, {"item": 2, "reason": "odd"}]
    assert seen[0].inputs == {"all": {"results": [20, 40], "errors": errors}, "results": [20, 40]}
    assert end.outputs["m"] == [20, 40]


@pytest.mark.parametrize(
    ("given", "state"), [([], "completed"), ({}, "failed"), ("text", "failed"), (None, "failed")]
)
def test_a_map_over_nothing_and_over_what_is_no_list(given: object, state: str) -> None:
    assert states(run(*mapping(on_dead="collect"), a=given))["m"] == state


def test_a_map_over_a_step_that_was_skipped_has_no_items() -> None:
    steps = mapping()
    end = run(step("a", when=NEVER), *steps[1:])
    assert end.outputs == {"m": [], "z": "z"}


def test_whoever_waits_between_tasks_sends_the_answers() -> None:
    running = tasks(FlowShape((step("a"), step("b", "a", reads={"x": Read("a")}))), None)
    assert next(running).step.name == "a"
    assert running.send("given").inputs == {"x": "given"}
    with pytest.raises(StopIteration) as stopped:
        running.send("last")
    assert stopped.value.value.outputs == {"a": "given", "b": "last"}

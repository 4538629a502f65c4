"""The options of a step: their names and types, as type checkers see them, and their rules.

``docs/reference/flows.md`` has each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypedDict, get_args

from postmill.model.duration import seconds
from postmill.model.errors import InvalidFlow, InvalidOption
from postmill.model.flow.shape import Chosen, OnDead, OnUnmet
from postmill.model.option_rules import did_you_mean, one_of, whole_number
from postmill.model.queue.attempt_policy import time_limit_s
from postmill.model.queue.queue_name import usable
from postmill.model.queue.retry import RetryPolicy, policy_from
from postmill.model.queue.worker_options import Executor

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from postmill.flows.steps import Step
    from postmill.model.flow.condition import Condition

RetryRule = RetryPolicy | Callable[[int, BaseException], Any]
"""What ``retry=`` takes."""


class PlaceOptions(TypedDict, total=False):
    """Of every kind of step: its name, and when it runs."""

    name: str
    when: Condition | bool
    on_unmet: OnUnmet
    after: Sequence[Step[Any]]


class TaskOptions(PlaceOptions, total=False):
    """Of what a worker runs."""

    retry: RetryRule
    timeout: float | timedelta
    delay: float | timedelta
    queue: str
    priority: int
    group_key: str | float | bool | None
    executor: Executor
    resources: Mapping[str, float]
    start_timeout: float | timedelta
    cancel_grace: float | timedelta


class StepOptions(TaskOptions, total=False):
    """Of a step."""

    on_dead: Literal["fail", "skip", "skip_cascade"]


class MapOptions(TaskOptions, total=False):
    """Of a map."""

    on_dead: Literal["fail", "skip", "skip_cascade", "collect"]
    max_concurrent: int


class RunOptions(PlaceOptions, total=False):
    """Of a step that is a run of another flow."""

    on_dead: Literal["fail", "skip", "skip_cascade"]
    delay: float | timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of one step, checked. Raises :class:`InvalidOption`."""

    name: str | None = None
    when: Any = None
    on_unmet: OnUnmet = "skip"
    on_dead: OnDead = "fail"
    after: Sequence[Step[Any]] = ()
    retry: RetryRule | None = None
    timeout: float | timedelta | None = None
    delay: float | timedelta = 0.0
    queue: str | None = None
    priority: int | None = None
    group_key: Any = None
    executor: Executor | None = None
    resources: Mapping[str, float] | None = None
    start_timeout: float | timedelta | None = None
    cancel_grace: float | timedelta | None = None
    max_concurrent: int | None = None
    compensate: Callable[[Any], object] | None = None

    def __post_init__(self) -> None:
        one_of("on_unmet", self.on_unmet, get_args(OnUnmet))
        one_of("on_dead", self.on_dead, get_args(OnDead))
        if self.queue is not None:
            usable(self.queue)
        if self.priority is not None:
            whole_number("priority", self.priority, 0, 9)
        if self.executor is not None:
            one_of("executor", self.executor, get_args(Executor))
        if self.max_concurrent is not None:
            whole_number("max_concurrent", self.max_concurrent, 1, 1_000_000)
        if self.compensate is not None and not callable(self.compensate):
            raise InvalidOption(
                f"compensate={self.compensate!r} can't be called.",
                hint="Give a function that takes the step's output.",
            )

    @property
    def policy(self) -> RetryPolicy | None:
        """The retry policy; None: the flow's."""
        return None if self.retry is None else policy_from(self.retry)

    @property
    def timeout_s(self) -> float | None:
        """The time limit in seconds; None: the flow's."""
        return None if self.timeout is None else time_limit_s(self.timeout)

    def chosen(self, group: Mapping[str, Any] | None) -> Chosen:
        """What of it the database is told, and no part of the shape. ``group``: the rule of its group."""
        return Chosen(
            queue=self.queue,
            window=self.max_concurrent,
            delay_s=seconds(self.delay, "delay"),
            priority=self.priority,
            group=group,
        )


STEP = frozenset({*StepOptions.__annotations__, "compensate"})
MAP = frozenset(MapOptions.__annotations__)
RUN = frozenset(RunOptions.__annotations__)
PLACE = frozenset(PlaceOptions.__annotations__)


def options_of(known: frozenset[str], given: Mapping[str, Any], kind: str) -> Options:
    """Options by name; an unknown one is refused with the nearest known one."""
    for name in given:
        if name not in known:
            hint = did_you_mean(name, known) or f"Known: {', '.join(sorted(known))}."
            raise InvalidFlow(f"There is no option {name!r} of a {kind}.", hint=hint)
    if given.get("on_dead") == "collect" and known is not MAP:
        raise InvalidFlow(
            f"on_dead='collect' is for maps, and this is a {kind}.",
            hint="It is one of fail, skip, skip_cascade.",
        )
    return Options(**given)

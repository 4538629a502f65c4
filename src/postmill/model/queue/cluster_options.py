"""The options of ``executor="ray"``: what a task needs, and how long it may wait and end."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from postmill.model.duration import seconds
from postmill.model.errors import InvalidOption
from postmill.model.option_rules import out_of_range

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

START_TIMEOUT_S = 600.0
"""How long a task waits for its resources by default, in seconds. Ten minutes: a cluster that grows by itself
has started a machine by then.
"""
CANCEL_GRACE_S = 5.0
"""How long an interrupted task may clean up by default, in seconds: as long as a cancelled handler in the
worker's own process.
"""
NAMES = ("resources", "start_timeout", "cancel_grace")
"""Options that only a function on a cluster has."""


@dataclass(frozen=True, slots=True)
class ClusterOptions:
    """How one function runs on a cluster."""

    resources: Mapping[str, float]
    """What each task needs."""
    start_timeout_s: float
    """How long a task waits for that, in seconds."""
    cancel_grace_s: float
    """How long a task that was interrupted may clean up, in seconds."""

    @classmethod
    def of(cls, *said: Any) -> ClusterOptions:
        """What is said by objects with attributes of these :data:`NAMES`, None where one says nothing. The
        first that says it counts: a step before its flow.
        """
        resources, start_timeout, cancel_grace = (
            next((value for each in said if (value := getattr(each, name)) is not None), None)
            for name in NAMES
        )
        return cls(resources or {}, _start_timeout_s(start_timeout), _cancel_grace_s(cancel_grace))


def check(executor: str, batch: int | None, given: Mapping[str, Any]) -> None:
    """Refuse options that say nothing without a cluster, or that no task could follow. ``given``: those of a
    cluster by name, None where one is not given. Raises :class:`InvalidOption`.
    """
    if executor != "ray":
        for name, value in given.items():
            if value is not None:
                raise InvalidOption(
                    f"{name} is given, and executor={executor!r} has no use for it.",
                    hint="It belongs to executor='ray'.",
                )
        return
    if batch is not None:
        raise InvalidOption(
            "executor='ray' runs each message as a task of its own, and batch makes one call of several.",
            hint="Leave out one of the two.",
        )
    _check_resources({} if given["resources"] is None else given["resources"])
    _cancel_grace_s(given["cancel_grace"])
    if _start_timeout_s(given["start_timeout"]) == 0:
        raise out_of_range("start_timeout", 0, "A task needs some time to begin.")


def _start_timeout_s(given: float | timedelta | None) -> float:
    return START_TIMEOUT_S if given is None else seconds(given, "start_timeout")


def _cancel_grace_s(given: float | timedelta | None) -> float:
    return CANCEL_GRACE_S if given is None else seconds(given, "cancel_grace")


def _check_resources(resources: Mapping[str, Any]) -> None:
    if not isinstance(resources, dict):
        raise InvalidOption(
            f"resources={resources!r} is no dict.", hint='Write resources={"num_cpus": 4, "num_gpus": 1}'
        )
    for name, amount in resources.items():
        if not isinstance(name, str) or not name:
            raise InvalidOption(f"The resource {name!r} has no name.", hint="A name is a text.")
        is_number = isinstance(amount, int | float) and not isinstance(amount, bool)
        if not is_number or not math.isfinite(amount) or amount < 0:
            raise out_of_range(f"resources[{name!r}]", amount, "An amount is a number, and 0 or more.")

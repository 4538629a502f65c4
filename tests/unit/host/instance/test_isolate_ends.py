"""The one name of an isolate's end, and what its last requests are told."""

from __future__ import annotations

from typing import Any

import pytest

from postmill.host.instance.end_reason import End, failure_of, reason_of
from postmill.model.functions.failures import FunctionDied, LimitReached
from postmill.model.functions.limits import EndReason

BY_ITSELF: dict[str, Any] = {
    "killed_for": None,
    "booted": True,
    "clean": True,
    "left_requests": False,
    "asked_to_end": False,
    "retired": False,
    "oneshot": False,
}


@pytest.mark.parametrize(
    ("known", "reason"),
    [
        ({}, EndReason.EVENT_LOOP_COMPLETED),
        ({"killed_for": EndReason.MEMORY, "booted": False, "clean": False}, EndReason.MEMORY),
        ({"booted": False, "asked_to_end": True}, EndReason.STARTUP_FAILURE),
        ({"clean": False, "asked_to_end": True, "retired": True}, EndReason.CRASH),
        ({"left_requests": True}, EndReason.CRASH),
        ({"asked_to_end": True, "retired": True}, EndReason.TERMINATION_REQUESTED),
        ({"retired": True}, EndReason.EARLY_DROP),
        ({"retired": True, "oneshot": True}, EndReason.EVENT_LOOP_COMPLETED),
    ],
)
def test_an_end_has_one_name(known: dict[str, Any], reason: EndReason) -> None:
    assert reason_of(End(**BY_ITSELF | known)) == reason


@pytest.mark.parametrize("reason", list(EndReason))
def test_only_a_limit_is_told_as_a_limit(reason: EndReason) -> None:
    limits = {EndReason.WALL_CLOCK, EndReason.CPU_TIME, EndReason.MEMORY, EndReason.BLOCKED}
    failure = failure_of(reason)
    assert type(failure) is (LimitReached if reason in limits else FunctionDied)
    assert failure.reason == reason

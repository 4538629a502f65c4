"""Why an isolate ended, and the answer to a request that it still had. Pure: what is known is passed in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from postmill.model.functions.failures import FunctionDied, LimitReached
from postmill.model.functions.limits import EndReason

if TYPE_CHECKING:
    from postmill.model.functions.failures import FunctionFailure

_LIMITS = (EndReason.WALL_CLOCK, EndReason.CPU_TIME, EndReason.MEMORY, EndReason.BLOCKED)


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """What is known about an isolate at the moment its process is gone."""

    killed_for: EndReason | None
    """Why the host has killed it, if it has."""
    booted: bool
    """It was ready to serve once."""
    clean: bool
    """Its process exited by itself with 0."""
    left_requests: bool
    """It ended while it had requests, without an order of the host."""
    asked_to_end: bool
    retired: bool
    oneshot: bool


def reason_of(end: End) -> EndReason:
    """The one name of this end."""
    if end.killed_for is not None:
        return end.killed_for
    if not end.booted:
        return EndReason.STARTUP_FAILURE
    if not end.clean or end.left_requests:
        return EndReason.CRASH
    if end.asked_to_end:
        return EndReason.TERMINATION_REQUESTED
    if end.retired and not end.oneshot:
        return EndReason.EARLY_DROP
    return EndReason.EVENT_LOOP_COMPLETED


def failure_of(reason: EndReason) -> FunctionFailure:
    """The error of a request whose isolate has ended."""
    if reason in _LIMITS:
        return LimitReached(f"The function was stopped at a limit: {reason}.", reason=reason)
    return FunctionDied("The function's process ended before it had answered.", reason=reason)

"""How much an isolate may use, why one ends, and what is to be done at each point of a limit.

Pure: what was used is measured elsewhere and passed in. A soft point retires (nothing new, what runs may
finish), the hard point kills.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum

from postmill.model.errors import InvalidOption

EXECUTION_HEADER = b"sb-execution-id"
"""The response header with the id of the isolate that answered, under the name that clients of Supabase's
functions know.
"""
MEBIBYTE = 1024 * 1024
"""Bytes in a MiB: limits are given in MiB, and the system counts in bytes."""
WALL_CLOCK_SOFT = 0.5
"""Share of the wall clock limit after which an isolate is retired. A half: requests that began before have
the other half to finish in.
"""
WARN_AT = 0.9
"""Share of the wall clock and memory limits at which user code is told that the end is near. 90 % leave 40 s
of the default 400 s: enough to save state.
"""


BLOCKED_SOFT = 1 / 6
"""Share of the limit of a blocked event loop after which the isolate is replaced: by default 10 s. A request
waits for a place equally long, so a request that comes when the loop is known to hang is served by the
replacement.
"""


class EndReason(StrEnum):
    """Why an isolate ended: the same word in rows, logs and errors."""

    EARLY_DROP = "EarlyDrop"
    """It was retired, and had finished all it held before a hard limit."""
    WALL_CLOCK = "WallClockTime"
    CPU_TIME = "CPUTime"
    MEMORY = "Memory"
    BLOCKED = "Blocked"
    """Its event loop did not turn."""
    EVENT_LOOP_COMPLETED = "EventLoopCompleted"
    """It had nothing left to do and ended by itself."""
    TERMINATION_REQUESTED = "TerminationRequested"
    STARTUP_FAILURE = "StartupFailure"
    CRASH = "Crash"


HARD_LIMITS = {
    EndReason.WALL_CLOCK: "wall_clock_s",
    EndReason.CPU_TIME: "cpu_hard_s",
    EndReason.MEMORY: "memory_mb",
    EndReason.BLOCKED: "blocked_s",
}
"""The setting whose value ends an isolate for this reason."""
WARNINGS = {
    EndReason.WALL_CLOCK: "wall_clock",
    EndReason.CPU_TIME: "cpu",
    EndReason.MEMORY: "memory",
    EndReason.EARLY_DROP: "early_drop",
    EndReason.TERMINATION_REQUESTED: "termination",
}
"""What ``on_beforeunload`` is given as the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one isolate may use; 0 turns a limit off. Raises :class:`InvalidOption` for a bad value."""

    wall_clock_s: float = 400.0
    cpu_soft_s: float = 0.0
    cpu_hard_s: float = 0.0
    """Seconds of CPU; under the policy ``per_request`` counted for each request."""
    memory_mb: float = 512.0
    """Mebibytes in RAM of the isolate and the processes it has started."""
    requests: int = 0
    """Requests after which an isolate is retired."""
    idle_s: float = 0.0
    """Seconds without a request after which an isolate is retired."""
    blocked_s: float = 60.0
    """Seconds without a turn of the event loop while there is something to do."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
                raise InvalidOption(
                    f"{field.name}={value!r} is not a limit.",
                    why="A limit is a number from 0, which turns it off, to 1,000,000,000.",
                )
        if self.cpu_hard_s and self.cpu_soft_s > self.cpu_hard_s:
            raise InvalidOption(
                f"cpu_soft_s={self.cpu_soft_s} is above cpu_hard_s={self.cpu_hard_s}.",
                why="An isolate is retired at the soft point and killed at the hard one.",
            )
        if self.memory_mb and self.memory_mb < 64:
            raise InvalidOption(
                f"memory_mb={self.memory_mb} is too small.",
                why="Python and the libraries that every isolate shares take up to 64 MiB.",
            )

    def reached(self, reason: EndReason) -> dict[str, str | float]:
        """The setting that ended an isolate, as ``limit``, and its value, as ``allowed``; empty for an end
        that no limit has caused.
        """
        setting = HARD_LIMITS.get(reason)
        return {} if setting is None else {"limit": setting, "allowed": getattr(self, setting)}


PROFILES = {
    "default": Limits(),
    "supabase": Limits(cpu_soft_s=1.0, cpu_hard_s=2.0, memory_mb=256.0),
}
"""Limits by the name that ``[runtime] profile`` can take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What an isolate has used so far."""

    age_s: float
    """Since it was ready to serve."""
    cpu_s: float = 0.0
    memory_bytes: int = 0
    requests: int = 0
    idle_s: float = 0.0
    """Since its last request ended; 0 while one runs."""
    blocked_s: float = 0.0
    """How long its event loop has not turned."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be done with an isolate now. ``retire`` and ``warn`` are repeated as long as they apply."""

    kill: EndReason | None = None
    retire: bool = False
    warn: EndReason | None = None
    blocked: bool = False
    """It is to be retired because its event loop hangs."""

    @property
    def why(self) -> str:
        """Why it is to be retired, as the log says it."""
        if self.blocked:
            return "blocked"
        return "limit" if self.warn is None else self.warn.value


def judge(usage: Usage, limits: Limits) -> Verdict:
    """What the limits ask for at this moment. A kill outweighs the rest."""
    kill = _over(usage, limits)
    if kill is not None:
        return Verdict(kill=kill)
    warn = _near(usage, limits)
    spent = bool(limits.requests) and usage.requests >= limits.requests
    idle = bool(limits.idle_s) and usage.idle_s >= limits.idle_s
    blocked = bool(limits.blocked_s) and usage.blocked_s >= limits.blocked_s * BLOCKED_SOFT
    half_life = bool(limits.wall_clock_s) and usage.age_s >= limits.wall_clock_s * WALL_CLOCK_SOFT
    retire = warn is not None or spent or idle or half_life or blocked
    return Verdict(retire=retire, warn=warn, blocked=blocked)


def _over(usage: Usage, limits: Limits) -> EndReason | None:
    if limits.memory_mb and usage.memory_bytes > limits.memory_mb * MEBIBYTE:
        return EndReason.MEMORY
    if limits.cpu_hard_s and usage.cpu_s >= limits.cpu_hard_s:
        return EndReason.CPU_TIME
    if limits.wall_clock_s and usage.age_s >= limits.wall_clock_s:
        return EndReason.WALL_CLOCK
    if limits.blocked_s and usage.blocked_s >= limits.blocked_s:
        return EndReason.BLOCKED
    return None


def _near(usage: Usage, limits: Limits) -> EndReason | None:
    if limits.memory_mb and usage.memory_bytes > limits.memory_mb * MEBIBYTE * WARN_AT:
        return EndReason.MEMORY
    if limits.cpu_soft_s and usage.cpu_s >= limits.cpu_soft_s:
        return EndReason.CPU_TIME
    if limits.wall_clock_s and usage.age_s >= limits.wall_clock_s * WARN_AT:
        return EndReason.WALL_CLOCK
    return None

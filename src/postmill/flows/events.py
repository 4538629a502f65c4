"""What happens to a run, as values, for those that watch it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class RunChanged:
    """The run as it is now. The first event of a stream, and the last one, when the run has ended."""

    state: str
    culprit: str | None = None
    """The step for whose sake it has failed."""
    reason: str | None = None
    """Why it has failed, was cancelled or is paused."""


@dataclass(frozen=True, slots=True)
class StepChanged:
    """A step as it is now. What lies between two changes that follow each other closely may be left out."""

    step: str
    state: str
    tasks: int | None = None
    """Of a map: how many items it has."""
    tasks_left: int | None = None
    """Of a map: how many of them have not ended."""
    reason: str | None = None
    attempts: int | None = None
    """Of a step of a workflow: how often it was tried; while it waits for its next attempt, how many have
    failed, the last one with ``reason``.
    """


@dataclass(frozen=True, slots=True)
class Emitted:
    """A step has said something: ``ctx.emit``."""

    name: str
    value: Any
    step: str | None = None


RunEvent: TypeAlias = RunChanged | StepChanged | Emitted

"""Inside which step code runs. Nothing of a run can be called there: a step that is recorded is not run
again, and then what it calls would not be called.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from postmill.model.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

_step: ContextVar[str | None] = ContextVar("postmill_step", default=None)


class InsideStep(Refused):
    """A step calls a step. No attempt can do better."""


@contextmanager
def inside(name: str) -> Iterator[None]:
    """Around the function of the step ``name``."""
    token = _step.set(name)
    try:
        yield
    finally:
        _step.reset(token)


def current_step() -> str | None:
    """The step whose function runs; None in the workflow's function."""
    return _step.get()


def check_outside(name: str) -> None:
    """Raises :class:`InsideStep` where ``name`` would be a step inside a step."""
    step = _step.get()
    if step is not None:
        raise InsideStep(
            f"{name!r} can't be a step inside the step {step!r}.",
            why="A step that is recorded is not run again, and then this one would not be called.",
            hint="Call the function itself, or make it a step of the workflow's function.",
        )

"""Walks through every state a small world can reach, nearest first, and stops at the first one that is wrong.

Knows nothing of queues: a world says which steps there are from a state, takes one, and raises
:class:`Violation` when that must not have happened. States are hashable values, so no state is visited twice,
and because the walk is breadth first the story of a violation is a shortest one.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

S = TypeVar("S", bound="Hashable")


class Violation(Exception):
    """Something happened that must never happen."""


class World(Protocol[S]):
    """What is explored."""

    def steps(self, state: S) -> Iterable[str]:
        """The names of all steps that are possible from ``state``; none where the world ends."""
        ...

    def take(self, state: S, step: str) -> S:
        """The state after ``step``. Raises :class:`Violation`."""
        ...

    def alike(self, state: S) -> Hashable:
        """Equal for states of which only one need be walked on from, such as mirror images."""
        ...


@dataclass
class Exploration(Generic[S]):
    """What was found."""

    states: int = 0
    steps: int = 0
    depth: int = 0
    """Steps on the longest of the shortest ways to a state."""
    story: tuple[str, ...] = ()
    """The steps that lead to the violation; empty when there is none."""
    violation: str = ""

    def __str__(self) -> str:
        explored = f"{self.states} states, {self.steps} steps, depth {self.depth}"
        if not self.violation:
            return f"{explored}: nothing wrong"
        told = "\n".join(f"  {number}. {step}" for number, step in enumerate(self.story, 1))
        return f"{explored}: {self.violation}\n{told}"


def explore(world: World[S], start: S, deepest: int) -> Exploration[S]:
    """Visit every state that can be reached from ``start`` in at most ``deepest`` steps."""
    found: Exploration[S] = Exploration(states=1)
    came_from: dict[S, tuple[S, str] | None] = {start: None}
    seen = {world.alike(start)}
    waiting = deque([(start, 0)])
    while waiting:
        state, depth = waiting.popleft()
        found.depth = max(found.depth, depth)
        for step in world.steps(state) if depth < deepest else ():
            found.steps += 1
            try:
                after = world.take(state, step)
            except Violation as violation:
                found.violation = str(violation)
                found.story = (*_way_to(state, came_from), step)
                return found
            if world.alike(after) not in seen:
                seen.add(world.alike(after))
                came_from[after] = (state, step)
                waiting.append((after, depth + 1))
                found.states += 1
    return found


def _way_to(state: S, came_from: dict[S, tuple[S, str] | None]) -> tuple[str, ...]:
    steps: list[str] = []
    origin = came_from[state]
    while origin is not None:
        state, step = origin
        steps.append(step)
        origin = came_from[state]
    return tuple(reversed(steps))

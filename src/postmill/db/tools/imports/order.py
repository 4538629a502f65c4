"""In which order jobs that wait for each other are imported, and which are left. Pure."""

from __future__ import annotations

from contextlib import suppress
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

WAITS_FOR_LEFT = "waits for a job that is left"
RING = "in a ring of jobs that wait for each other, or behind one"


def arranged(
    jobs: Iterable[str], sources: Mapping[str, list[str]], left: Mapping[str, str]
) -> tuple[list[list[str]], dict[str, str]]:
    """Levels of jobs, of which each waits for jobs of earlier levels only, and why the others are left.

    ``sources``: what each waits for; what is not among ``jobs`` is not imported. ``left``: jobs that are left
    for reasons of their own. Within a level the order is that of ``jobs``.
    """
    place = {job: number for number, job in enumerate(jobs)}
    reasons = dict(left)
    levels = []
    reached: set[str] = set()
    for level in _levels({job: [each for each in sources.get(job, ()) if each in place] for job in place}):
        reached.update(level)
        for job in level:
            if any(each not in place or each in reasons for each in sources.get(job, ())):
                reasons.setdefault(job, WAITS_FOR_LEFT)
        levels.append(sorted((job for job in level if job not in reasons), key=place.__getitem__))
    for job in place:
        if job not in reached:
            reasons.setdefault(job, RING)
    return [level for level in levels if level], reasons


def _levels(graph: Mapping[str, list[str]]) -> Iterator[tuple[str, ...]]:
    """Ends before the jobs of a ring, and those that wait for one."""
    sorter = TopologicalSorter(graph)
    with suppress(CycleError):
        sorter.prepare()
    while ready := sorter.get_ready():
        yield ready
        sorter.done(*ready)

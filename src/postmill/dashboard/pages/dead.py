"""Dead letters: those of a queue or of all; some are put back or deleted. What is done to all of a queue is
an operation.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from postmill.api.problem import Failure, problem_that_tells
from postmill.api.resources import dead_letters as resource
from postmill.api.resources.queues import InQueue
from postmill.dashboard.bodies import body
from postmill.dashboard.page import Done, View, action, page
from postmill.model.errors import PostmillError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from postmill.dashboard.page import Visit


@page("/dead", tab="Dead letters")
async def dead(visit: Visit) -> View:
    """The latest first."""
    query = visit.in_query(resource.Which)
    found = await resource.list_dead_letters(visit.desk, query)
    return View(
        "Dead letters",
        {
            "letters": found.items,
            "next": found.next,
            "first": query.cursor is None,
            "queue": query.queue,
            "replayed": query.replayed,
        },
    )


@action("/dead/replay", of=dead)
async def replay(visit: Visit) -> Done:
    """Put back those that are ticked, one transaction a queue."""

    async def put_back(queue: str, ids: list[str]) -> int:
        chosen = body(resource.Replay, {"letter_ids": ids})
        return (await resource.replay_dead_letters(visit.desk, InQueue(queue), chosen)).letters

    return Done("/dead", await _in_each_queue(visit, "Put back", put_back))


@action("/dead/discard", of=dead)
async def discard(visit: Visit) -> Done:
    """Delete those that are ticked, one transaction a queue."""

    async def delete(queue: str, ids: list[str]) -> int:
        chosen = body(resource.Discard, {"letter_ids": ids})
        return (await resource.discard_dead_letters(visit.desk, InQueue(queue), chosen)).letters

    return Done("/dead", await _in_each_queue(visit, "Deleted", delete))


async def _in_each_queue(visit: Visit, done: str, act: Callable[[str, list[str]], Awaitable[int]]) -> str:
    """What was ``done``, to how many of the letters that are ticked. A queue that refuses stops it: the
    refusal then tells what was done before. Raises :class:`Failure`, and what ``act`` raises first.
    """
    letters = 0
    queues: list[str] = []
    for queue, ids in _ticked(visit).items():
        try:
            letters += await act(queue, ids)
        except (Failure, PostmillError) as error:
            if not queues:
                raise
            found = problem_that_tells(error)
            told = f"{found.detail} {done} before that: {letters} of {', '.join(queues)}."
            raise Failure(
                HTTPStatus(found.status), found.code, told, why=found.why, hint=found.try_
            ) from error
        queues.append(queue)
    return f"{done}: {letters}."


def _ticked(visit: Visit) -> dict[str, list[str]]:
    """The ids by queue; each box says both, as ``7/mail``."""
    found: dict[str, list[str]] = {}
    for each in visit.chosen.get("letter", []):
        number, _, queue = each.partition("/")
        if number and queue:
            found.setdefault(queue, []).append(number)
    if not found:
        raise Failure(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-option", "No letter is ticked.")
    return found

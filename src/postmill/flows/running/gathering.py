"""The results of a durable function's map."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from postmill.model.errors import StepFailed

if TYPE_CHECKING:
    from postmill.flows.running.failures import Failures


async def gathered(work: list[Any], max_concurrent: int | None, failures: Failures) -> list[Any]:
    """The results of ``work``, in order; at most ``max_concurrent`` at a time. Raises the failure of the
    first one in order, once all have ended: a replay raises the same.
    """
    places = asyncio.Semaphore(max_concurrent or max(1, len(work)))

    async def one(each: Any) -> Any:
        async with places:
            try:
                return await each
            except StepFailed as failure:
                failures.keep_back(failure)
                raise

    try:
        results = await asyncio.gather(*map(one, work), return_exceptions=True)
    finally:
        for each in work:
            each.close()  # of a run that is laid aside: one that had no place yet
    raised = [result for result in results if isinstance(result, BaseException)]
    if not raised:
        return list(results)
    if isinstance(raised[0], StepFailed):
        failures.give(raised[0], *(each for each in raised[1:] if isinstance(each, StepFailed)))
    raise raised[0]

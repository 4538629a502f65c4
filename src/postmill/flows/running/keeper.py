"""Looks after runs beside their steps: ends what is overdue, fails runs whose message another client has
deleted, sends tasks again that no worker could take, and removes old runs.

Every process that runs flows does this, and none must: the database decides what is to be done, in bounded
batches, and which process does it.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from postmill.db.hot.looking_service import LookingService
from postmill.flows.running.registration import REGISTER
from postmill.model.error_text import summary_of
from postmill.model.events import Event
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from postmill.client.sending import Statement
    from postmill.db.hot.shared_connection import SharedConnection
    from postmill.engine.engine import MakeService
    from postmill.engine.handler import Handler
    from postmill.service.events import Events
    from postmill.service.outage import Outage

EVERY_S = 5.0
"""Seconds between two looks. A run ends so much after its deadline, at the latest."""
BATCH = 1_000
"""Runs that one statement looks after, at most: it shares the connection for claims, which wait meanwhile."""
PRUNED_EVERY_S = 60.0
"""Seconds between two looks for runs that are old enough to be removed."""


def keepers(handlers: Sequence[Handler]) -> Sequence[MakeService]:
    """What a process runs beside these handlers: a keeper, if one of them is a flow's."""
    said = [each for handler in handlers if handler.runs_flows for each in handler.declarations]
    registrations = [each for each in said if each.text == statement(REGISTER)]
    return [partial(Keeper, registrations)] if registrations else []


class Keeper(LookingService):
    """The keeper of one process."""

    def __init__(
        self, registrations: Sequence[Statement], shared: SharedConnection, events: Events, outage: Outage
    ) -> None:
        """``registrations``: of the flows that this process runs."""
        super().__init__(shared, events, outage)
        self._registrations = registrations
        self._prune_at = 0.0

    async def _look(self) -> bool:
        more: bool = (await self._shared.fetchrow(statement("flows_sweep"), BATCH))["more"]
        for registered in self._registrations:
            await self._free_held(registered)
        if time.monotonic() >= self._prune_at:
            more = await self._prune() or more
        self._rest_s = EVERY_S
        return more

    async def _free_held(self, registered: Statement) -> None:
        """Send tasks again that were held for want of a worker: one that lacks a step may have been quicker
        to take them than this process, which has it.
        """
        flow, _, _, shape, *_ = registered.arguments
        if (await self._shared.fetchrow(statement("flows_held"), flow, shape))["held"]:
            await self._shared.fetchrow(registered.text, *registered.arguments)

    async def _prune(self) -> bool:
        pruned: int = (await self._shared.fetchrow(statement("flows_prune"), BATCH))["pruned"]
        if pruned < BATCH:
            self._prune_at = time.monotonic() + PRUNED_EVERY_S
        return pruned >= BATCH

    def _say_refused(self, error: BaseException) -> None:
        self._events.emit(Event.FLOW_FAILED, reason=f"runs are not looked after: {summary_of(error)}")

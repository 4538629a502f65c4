"""Decides when to claim how much from which lane, and how long to rest in between.

A worker that is behind claims from the fast lane without a pause, and every ``LOOK_S`` gives the lanes behind
it their share. One that has caught up rests until a notification, the next due message or the poll floor.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import asyncpg

from postmill.engine.lanes import QueueLanes
from postmill.engine.outage import Patience
from postmill.engine.service import Service
from postmill.model.errors import QueueNotFound
from postmill.model.events import Event
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from uuid import UUID

    from postmill.db.lane import Lane
    from postmill.engine.dispatcher import Dispatcher
    from postmill.engine.journal import Journal
    from postmill.engine.ledger import Ledger
    from postmill.engine.outage import Outage
    from postmill.model.message import Claim, Message
    from postmill.model.queue_name import QueueShape
    from postmill.model.worker_options import WorkerOptions

LOOK_S = 0.2
"""How often a busy worker looks behind the fast lane."""
QUIET_AFTER_BUSY_S = 1.0
"""Behind for so long, and nobody needs to wake this worker."""
_SHARE = 4
"""Each lane behind the fast one may take one in so many of the messages wanted."""


class Claimer(Service):
    """The claims of one worker on one queue."""

    def __init__(
        self,
        lane: Lane,
        worker_id: UUID,
        options: WorkerOptions,
        dispatcher: Dispatcher,
        ledger: Ledger,
        journal: Journal,
        outage: Outage,
        find_shape: Callable[[], Awaitable[QueueShape]],
        on_shape: Callable[[QueueShape], None],
    ) -> None:
        super().__init__()
        self.lanes = QueueLanes(lane, worker_id, options, find_shape, self._take_over)
        self._lane = lane
        self._worker_id = worker_id
        self._options = options
        self._dispatcher = dispatcher
        self._ledger = ledger
        self._journal = journal
        self._patience = Patience(outage)
        self._on_shape = on_shape
        self.notified = False
        """Notifications work: the poll floor is ``max_poll_seconds``."""
        self._woken = asyncio.Event()
        self._rested = False
        self._listed = False
        """The queue's senders know that this worker wants to be woken."""
        self._paused = False
        self._missing = False
        self._rest_s = 0.0
        self._look_at = 0.0
        self._behind_since: float | None = None
        self._observed = (time.monotonic(), 0)
        lane.on_connect(self._unlisted)

    def wake(self) -> None:
        """See :class:`Service`: something was sent, or there is room again."""
        self._woken.set()
        self._dispatcher.hungry.set()

    def due_in(self, delay_s: float) -> None:
        """A message of ours falls due in ``delay_s``: rest no longer than that."""
        asyncio.get_running_loop().call_later(delay_s + 0.001, self._due_now)

    async def run_once(self) -> bool:
        """One round of claims. Returns whether more may be waiting."""
        try:
            more = await self._work()
        except (asyncpg.UndefinedTableError, QueueNotFound):
            self._queue_is_missing()
            return False
        except Exception as error:
            await self._patience.failed(error)
            self._look_at = 0.0
            return not self._stopping
        self._patience.worked()
        return more

    async def rest(self) -> None:
        """Wait for room, a notification, the next due message or the poll floor."""
        if self._dispatcher.wanted() == 0 and self.lanes.begun:
            self._dispatcher.hungry.clear()
            if self._dispatcher.wanted() == 0:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._dispatcher.hungry.wait(), LOOK_S)
                return
        with suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), self._rest_s)
        self._rested = self._woken.is_set()

    async def _work(self) -> bool:
        if not self.lanes.begun:
            await self._begin()
            return True
        self._woken.clear()
        self._observe()
        wanted = self._dispatcher.wanted()
        if wanted == 0:
            return False
        if not self._rested and time.monotonic() >= self._look_at:
            await self._look_behind(wanted)
            wanted = self._dispatcher.wanted()
            if wanted == 0 or not self.lanes.begun:
                return True
        self._rested = False
        catch = await self.lanes.fast(wanted)
        if not catch.complete and not self._paused:
            self._note_backlog()
            return True
        self._behind_since = None
        if catch.messages and (self._listed or not self.notified):
            # Caught up. What comes next announces itself; what falls due is looked for soon.
            self._rest_s = max(0.001, self._look_at - time.monotonic())
            return False
        return await self._settle_down()

    async def _begin(self) -> None:
        """At a worker's start, and when the queue was dropped and created again."""
        self._on_shape(await self.lanes.begin())
        self._listed = False
        if self._missing:
            self._missing = False
            self._journal.say(Event.QUEUE_CREATED, reason="it is back")

    async def _look_behind(self, wanted: int) -> None:
        await self._look(idle=False)
        if self.lanes.begun and not self._paused:
            await self.lanes.behind(max(1, wanted // _SHARE))

    async def _look(self, *, idle: bool) -> float | None:
        self._look_at = time.monotonic() + LOOK_S
        glance = await self.lanes.look(idle=idle)
        if glance.paused != self._paused and not glance.replaced:
            self._paused = glance.paused
            self._journal.say(Event.QUEUE_PAUSED if glance.paused else Event.QUEUE_RESUMED)
        return glance.due_in_s

    async def _settle_down(self) -> bool:
        """Nothing in the fast lane: ask to be woken, look behind, and find out how long to rest.

        The order matters: who sends after the look finds this worker listed, who sent before it is found by
        it, and whoever is in between is among the writers that the look names. Returns whether to go on at
        once.
        """
        if self.notified and not self._listed:
            await self._lane.execute(statement("listener_add"), self._options.queue, self._worker_id)
            self._listed = True
        due_in_s = await self._look(idle=True)
        if not self.lanes.begun or self._woken.is_set():
            return True
        floor = self._options.max_poll_s if self.notified else self._options.poll_interval_s
        if self.lanes.cursor.writers:
            floor = min(floor, self._options.poll_interval_s)
        self._rest_s = floor if due_in_s is None else min(floor, max(0.001, due_in_s))
        if self._paused:
            self._rest_s = floor
            return False
        if self.lanes.unseen:
            wanted = self._dispatcher.wanted()
            catch = await self.lanes.fast(wanted) if wanted else None
            if catch is None or catch.messages or not catch.complete:
                return wanted > 0
        wanted = self._dispatcher.wanted()
        return wanted > 0 and await self.lanes.behind(max(1, wanted // _SHARE)) > 0

    async def _unlisted(self, _connection: asyncpg.Connection) -> None:
        """A new connection: the server may have crashed, and its list of listeners is gone then."""
        self._listed = False

    def _take_over(self, claim: Claim, messages: list[Message]) -> None:
        self._ledger.opened(claim, messages)
        self._journal.say_each(Event.MESSAGE_CLAIMED, messages)
        self._dispatcher.feed(messages)

    def _observe(self) -> None:
        """Let the prefetch follow the rate at which handlers finish."""
        since, finished = self._observed
        now = time.monotonic()
        if now - since >= 0.02:
            self._dispatcher.prefetch.observe(self._dispatcher.finished - finished, now - since)
            self._observed = (now, self._dispatcher.finished)
        surplus = self._dispatcher.surplus()
        if surplus:
            self._dispatcher.take_back(surplus)

    def _note_backlog(self) -> None:
        """A worker that is behind comes by anyway: its senders need not notify it."""
        now = time.monotonic()
        if self._behind_since is None:
            self._behind_since = now
        elif self._listed and now - self._behind_since > QUIET_AFTER_BUSY_S:
            self._listed = False
            self._later(
                self._lane.execute(statement("listener_remove"), self._options.queue, self._worker_id)
            )

    def _later(self, work: Awaitable[None]) -> None:
        self._errand = asyncio.ensure_future(work)
        self._errand.add_done_callback(lambda done: done.cancelled() or done.exception())

    def _due_now(self) -> None:
        self._look_at = 0.0
        self.wake()
        self._rested = False

    def _queue_is_missing(self) -> None:
        if not self._missing:
            self._missing = True
            reason = "the queue was dropped; waiting for it to be created again"
            self._journal.say(Event.QUEUE_MISSING, reason=reason)
        self.lanes.forget()
        self._rest_s = 1.0
        self._woken.clear()

"""Decides when to claim how much from which lane, and how long to rest in between.

A worker that is behind claims from the fast lane without a pause, and every ``BACKGROUND_POLL_S`` gives the
lanes behind it their share. One that has caught up rests until it is woken, something falls due or the poll
floor, and then claims only what a snapshot has shown, or what it was woken for. Of many workers that rest, a
send wakes one; a worker that can't take all there is wakes another.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import asyncpg

from postmill.engine.claim.due_times import DueTimes
from postmill.engine.claim.idle_registration import IdleRegistration
from postmill.engine.claim.lanes import QueueLanes
from postmill.model.errors import QueueNotFound
from postmill.model.events import Event
from postmill.model.queue.snapshot import BACKGROUND_POLL_S, PATROLLING_S, follow_s, rest_s
from postmill.service.outage import OutageBackoff
from postmill.service.service import Service

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from uuid import UUID

    from postmill.db.hot.shared_connection import SharedConnection
    from postmill.engine.claim.lanes import Overlooked
    from postmill.engine.held_messages import HeldMessages
    from postmill.engine.run.dispatcher import Dispatcher
    from postmill.model.queue.message import Claim, Message
    from postmill.model.queue.queue_name import QueueShape
    from postmill.model.queue.snapshot import QueueSnapshot
    from postmill.model.queue.worker_options import WorkerOptions
    from postmill.service.events import Events
    from postmill.service.outage import Outage

LOOKBACK_IDS = 100
"""After a wake-up the fast lane looks again at the last 100 ids before its cursor: concurrent senders commit
in another order than that of their ids. What lies further back is found by the slow lane.
"""
STANDBY_S = 0.2
"""A worker on standby looks this long after the send: the one woken has claimed by then, or is gone."""
WAKE_ANOTHER_AFTER_S = 0.005
"""A worker that has taken all it could and has no room after this long wakes another one. 5 ms: a fast
handler has made room by then, and a second worker would only cost it time.
"""
SATURATING_WORKERS = 2
"""Two workers with fast handlers empty a queue as quickly as more of them would: a third one only waits for
the rows that they have locked.
"""
QUIET_AFTER_BUSY_S = 1.0
"""Behind for so long, and nobody needs to call this worker."""
_NAMES_OUR_SCHEMA = re.compile(r"\bpostmill\.\w|[\"«„]postmill[\"»“]")
"""The name of what is missing stands in the server's message in every language."""
SLOW_LANE_DIVISOR = 4
"""While the fast lane has messages, each slower lane may take a quarter of the messages wanted: retries get
their turn, and new messages keep most of the room.
"""


class Claimer(Service):
    """The claims of one worker on one queue."""

    def __init__(
        self,
        shared: SharedConnection,
        worker_id: UUID,
        options: WorkerOptions,
        dispatcher: Dispatcher,
        held_messages: HeldMessages,
        events: Events,
        outage: Outage,
        find_shape: Callable[[], Awaitable[QueueShape]],
        on_shape: Callable[[QueueShape], None],
    ) -> None:
        super().__init__(events)
        self.lanes = QueueLanes(shared, worker_id, options, find_shape, self._take_over)
        self._idle = IdleRegistration(shared, options.queue, worker_id)
        self.lanes.on_overlooked = self._report
        self.lanes.odd_rows.on_left_out = self._left_out
        self.worker_id = worker_id
        self._options = options
        self._dispatcher = dispatcher
        self._held = held_messages
        self._events = events
        self._backoff = OutageBackoff(outage)
        self._on_shape = on_shape
        self._notified = False
        self._woken = asyncio.Event()
        self._called = False
        """Something was sent: claim without a look."""
        self._in_doubt = False
        """Called during a claim: for what that took, or for something that a look will show."""
        self._paused = False
        self._missing = False
        self._told_locked: int | None = None
        self._look_at = 0.0
        """When to look again, by the monotonic clock."""
        self._standby: asyncio.TimerHandle | None = None
        self._due_times = DueTimes(self.poll_now)
        self._filled = False
        """The last claim took all it could."""
        self._behind_since: float | None = None
        self._observed = (time.monotonic(), 0, 0.0)

    @property
    def notified(self) -> bool:
        """Whether notifications reach this worker: then its poll floor is ``max_poll_seconds``."""
        return self._notified

    @notified.setter
    def notified(self, notified: bool) -> None:
        self._notified = notified
        self.cut_off()

    def wake(self) -> None:
        """See :class:`Service`."""
        self._woken.set()
        self._dispatcher.wants_more.set()

    def wake_to_claim(self) -> None:
        """Something was sent, and this worker was chosen to claim it."""
        self._called = True
        self.wake()

    def standby(self) -> None:
        """Something was sent, and another worker was woken: look later, in case that one is gone."""
        if self._standby is None or self._standby.when() < asyncio.get_running_loop().time():
            self._standby = asyncio.get_running_loop().call_later(STANDBY_S, self.poll_now)

    def look_in(self, delay_s: float) -> None:
        """In so many seconds there may be something for this worker: rest no longer than that."""
        self._due_times.add(delay_s)

    def poll_now(self) -> None:
        """The queue has changed: rest no longer."""
        self._look_at = 0.0
        self.wake()

    def cut_off(self) -> None:
        """What was sent meanwhile is not known: notifications have begun, or have ended."""
        self._idle.forget()
        self.poll_now()

    def recover(self) -> None:
        """See :class:`Service`: begin anew, from what other workers know too. What was claimed is with the
        dispatcher, or the server never told of it: then the heartbeat gives it back.
        """
        self.lanes.forget()
        self._behind_since = None
        self.cut_off()

    async def hand_over(self) -> None:
        """Let another worker have what this one was called for. Said last, when it claims no more."""
        await self._idle.leave_for_good()

    async def run_once(self) -> bool:
        """One round of claims. Returns whether more may be waiting."""
        try:
            more = await self._work()
        except (
            asyncpg.UndefinedTableError,
            asyncpg.InvalidSchemaNameError,
            asyncpg.UndefinedFunctionError,
            QueueNotFound,
        ) as error:
            self._something_is_missing(error)
            return False
        except Exception as error:
            await self._backoff.failed(error)
            self._look_at = 0.0
            return not self._stopping
        self._backoff.worked()
        return more

    async def rest(self) -> None:
        """Wait for room, a call, the next due message or the poll floor."""
        if self._dispatcher.wanted() == 0 and self.lanes.begun:
            self._dispatcher.wants_more.clear()
            if self._dispatcher.wanted() == 0:
                with suppress(TimeoutError):
                    async with asyncio.timeout(BACKGROUND_POLL_S):
                        await self._dispatcher.wants_more.wait()
                return
        with suppress(TimeoutError):
            async with asyncio.timeout(self._look_at - time.monotonic()):
                await self._woken.wait()

    async def _work(self) -> bool:
        if not self.lanes.begun:
            await self._begin()
            return True
        self._woken.clear()
        called, self._called = self._called, False
        self._observe()
        wanted = self._dispatcher.wanted()
        if wanted == 0:
            if called:
                await self._pass_on()
            return False
        if self._behind_since is not None:
            return await self._catch_up(wanted)
        # However often it is called: what lies behind has its turn when the time for a look has come.
        more = await self._claim(wanted, again=LOOKBACK_IDS) if called else False
        return await self._look_around() if self._looks_next() else more

    def _looks_next(self) -> bool:
        return self._has_to_look() and self.lanes.begun and self._behind_since is None

    async def _begin(self) -> None:
        """At a worker's start, and when the connection, the server, its history or the queue's table is
        another.
        """
        self._on_shape(await self.lanes.begin())
        self._idle.forget()
        if self._missing:
            self._missing = False
            self._events.emit(Event.QUEUE_CREATED, reason="it is back")

    async def _catch_up(self, wanted: int) -> bool:
        """Behind: claim without a pause, and now and then from the lanes behind the fast one."""
        if self._has_to_look():
            look = await self._look(idle=False)
            if not self.lanes.begun or self._paused:
                return self._caught_up()
            if look.rivals >= SATURATING_WORKERS and self._notified and self._dispatcher.prefetch.full:
                return await self._step_back()
            await self.lanes.behind(max(1, wanted // SLOW_LANE_DIVISOR))
            wanted = self._dispatcher.wanted()
        return wanted > 0 and await self._claim(wanted)

    async def _step_back(self) -> bool:
        """Others are at it who are as fast: one more would only lengthen their way past claimed rows."""
        self._caught_up()
        await self._ask_to_be_called()
        self._look_at = time.monotonic() + self._options.max_poll_s
        return False

    async def _claim(self, wanted: int, *, again: int = 0) -> bool:
        """From the fast lane. Returns whether to go on at once."""
        claimed = await self.lanes.fast(wanted, again=again)
        if claimed.messages and not claimed.complete:
            self._note_backlog()
            return True
        self._in_doubt, self._called = self._called, False
        if claimed.messages and (self._idle.listed or not self._notified) and not self._in_doubt:
            # What comes next announces itself; what was left behind is looked for soon.
            self._look_at = min(self._look_at, time.monotonic() + follow_s(notified=self._notified))
        else:
            self._look_at = 0.0
        return self._caught_up()

    async def _look_around(self) -> bool:
        """Ask to be called, look, claim what there is, and find out how long to rest.

        The order matters: who sends after the look finds this worker listed, who sent before it is found by
        it, and whoever is in between is among the writers that the look names. Returns whether to go on at
        once.
        """
        await self._ask_to_be_called()
        in_doubt, self._in_doubt = self._in_doubt, False
        look = await self._look(idle=True)
        if not self.lanes.begun:
            return True
        # Woken during the look (a cut, a rescue, a resumed queue): what it did not show is looked for again.
        self._look_at = 0.0 if self._woken.is_set() else time.monotonic() + self._rest_s(look)
        self._filled = self._filled and look.ahead_age_s is not None
        wanted = self._dispatcher.wanted()
        if wanted == 0:
            self._look_at = 0.0  # as soon as there is room
        if self._paused or wanted == 0:
            return False
        # With nothing ahead, what lies behind has all the room.
        shares = max(1, self.lanes.waiting) if look.ahead_age_s is None else SLOW_LANE_DIVISOR
        found = await self.lanes.behind(max(1, wanted // shares)) > 0
        if found:
            self._look_at = 0.0
        wanted = self._dispatcher.wanted()
        left_to_others = self._notified and look.is_anothers and not in_doubt
        if look.ahead_age_s is not None and wanted and not left_to_others:
            return await self._claim(wanted)
        return found or self._called

    async def _ask_to_be_called(self) -> None:
        if self._notified:
            await self._idle.join()

    async def _look(self, *, idle: bool) -> QueueSnapshot:
        self._look_at = time.monotonic() + BACKGROUND_POLL_S
        look = await self.lanes.look(idle=idle)
        if look.paused != self._paused and not look.replaced:
            self._paused = look.paused
            self._events.emit(Event.QUEUE_PAUSED if look.paused else Event.QUEUE_RESUMED)
        return look

    def _rest_s(self, look: QueueSnapshot) -> float:
        """How long to rest after a look by an idle worker."""
        floor_s = self._options.max_poll_s if self._notified else self._options.poll_interval_s
        expecting = bool(self.lanes.cursor.writers or self.lanes.cursor.late_range)
        chance = random.random()  # noqa: S311 - spreads workers
        if self.lanes.patrolling:
            floor_s = min(floor_s, PATROLLING_S)
        return rest_s(look, floor_s, notified=self._notified, expecting=expecting, chance=chance)

    def _has_to_look(self) -> bool:
        return time.monotonic() >= self._look_at

    def _caught_up(self) -> bool:
        """Returns whether to look at once."""
        self._filled, self._behind_since = False, None
        return self._has_to_look()

    def _report(self, found: Overlooked) -> None:
        """What lay ready behind the lanes: somebody moved it, or had it locked."""
        if found.messages:
            self._events.emit(
                Event.MESSAGE_OVERLOOKED,
                msg_id=found.messages[0].msg_id,
                messages=len(found.messages),
                waited_s=round(found.waited_s, 1),
                reason="ready behind what was claimed: put there, made due in the past, or locked meanwhile",
            )
        if found.locked_id not in (None, self._told_locked):  # each round finds it again
            self._told_locked = found.locked_id
            reason = "ready for more than 30 s, and a transaction of another client keeps it locked"
            self._events.emit(Event.MESSAGE_LOCKED, msg_id=found.locked_id, reason=reason)

    def _left_out(self, msg_id: int, reason: str) -> None:
        self._events.emit(Event.CLAIM_REFUSED, msg_id=msg_id, reason=reason)

    def _take_over(self, claim: Claim, messages: list[Message]) -> None:
        self._held.opened(claim, messages)
        self._events.emit_each(Event.MESSAGE_CLAIMED, messages)
        self._dispatcher.feed(messages)

    def _observe(self) -> None:
        """Let the prefetch follow the rate at which handlers finish."""
        since, finished, starved_s = self._observed
        now = time.monotonic()
        if now - since >= 0.02:
            seen = (now, self._dispatcher.finished, self._dispatcher.starved_s(now))
            self._dispatcher.prefetch.observe(seen[1] - finished, now - since, seen[2] - starved_s)
            self._observed = seen
        surplus = self._dispatcher.surplus()
        if surplus:
            self._dispatcher.take_back(surplus)

    def _note_backlog(self) -> None:
        """It took all it could. Once, and there may be more; twice in a row, and another may help. One that
        stays behind comes by anyway: nobody need call it.
        """
        now = time.monotonic()
        if not self._filled:
            self._filled, self._look_at = True, 0.0
            self._wake_another_soon()
        elif self._behind_since is None:
            self._behind_since = now
            self._wake_another_soon()
        elif self._idle.listed and now - self._behind_since > QUIET_AFTER_BUSY_S:
            self._idle.leave_later()

    def _wake_another_soon(self) -> None:
        if self._notified:
            asyncio.get_running_loop().call_later(WAKE_ANOTHER_AFTER_S, self._wake_another)

    def _wake_another(self) -> None:
        """Unless there is room again. Workers that are fast would only cost each other time."""
        if self._stopping or not self.lanes.begun:  # a statement now would open a closed connection again
            return
        if self._dispatcher.wanted() == 0 and not self._dispatcher.prefetch.full:
            self._idle.wake_another(self.lanes.shape, self.lanes.cursor.position)

    async def _pass_on(self) -> None:
        """Called, and there is no room: another may have it, or this worker looks as soon as there is."""
        self._look_at = 0.0
        await self._idle.leave()

    def _something_is_missing(self, error: Exception) -> None:
        """The queue's table, or the schema of this worker's own tables: said once, looked for each second."""
        if not self._missing:
            self._missing = True
            if isinstance(error, asyncpg.PostgresError) and _NAMES_OUR_SCHEMA.search(str(error)):
                reason = "the schema postmill is not there: run `postmill migrate`; waiting for it"
                self._events.emit(Event.SCHEMA_MISSING, reason=reason)
            else:
                reason = "the queue was dropped; waiting for it to be created again"
                self._events.emit(Event.QUEUE_MISSING, reason=reason)
        self.lanes.forget()
        self._behind_since = None
        self._look_at = time.monotonic() + 1.0
        self._woken.clear()

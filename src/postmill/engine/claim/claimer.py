"""Claims messages for one worker: a loop that does what the claim policy says.

It decides nothing itself. What to do next, and for how long to rest, is in
:mod:`postmill.model.queue.claim_policy`; the statements are in :mod:`postmill.engine.claim.lanes`.
"""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from postmill.db.hot.outage import is_missing
from postmill.engine.claim.claim_reports import ClaimReports
from postmill.engine.claim.due_times import DueTimes
from postmill.engine.claim.idle_registration import IdleRegistration
from postmill.engine.claim.lanes import QueueLanes
from postmill.model.events import Event
from postmill.model.queue.claim_policy import ClaimPolicy
from postmill.model.queue.claim_steps import (
    Backlog,
    Begin,
    ClaimAhead,
    ClaimBehind,
    ClaimState,
    Look,
    PassOn,
    Register,
    Rest,
)
from postmill.model.queue.prefetch import PRIORITY_WINDOW_S, WINDOW_S
from postmill.service.outage import OutageBackoff
from postmill.service.service import Service

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from uuid import UUID

    from postmill.db.hot.shared_connection import SharedConnection
    from postmill.engine.run.dispatcher import Dispatcher
    from postmill.engine.settle.settlement import Room
    from postmill.model.queue.claim_steps import Step
    from postmill.model.queue.message import Claim, HeldMessages, Message
    from postmill.model.queue.queue_name import QueueShape
    from postmill.model.queue.worker_options import WorkerOptions
    from postmill.service.events import Events
    from postmill.service.outage import Outage

STANDBY_S = 0.2
"""A worker on standby polls this long after the send, in seconds. 0.2 s: the worker that was woken has
claimed by then, or is gone.
"""
WAKE_ANOTHER_AFTER_S = 0.005
"""A worker that has taken all it could and has no room after this long wakes another one. 5 ms: a fast
handler has made room by then, and a second worker would only cost it time.
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
        self.worker_id = worker_id
        self.policy = ClaimPolicy(max_poll_s=options.max_poll_s, poll_interval_s=options.poll_interval_s)
        self.lanes = QueueLanes(shared, worker_id, options, find_shape, self._take_over)
        self._idle = IdleRegistration(shared, options.queue, worker_id, options.max_poll_s)
        self._claim_reports = ClaimReports(events)
        self.lanes.on_overlooked = self._claim_reports.overlooked
        self.lanes.odd_rows.on_left_out = self._claim_reports.left_out
        self._dispatcher = dispatcher
        self._held = held_messages
        self._events = events
        self._backoff = OutageBackoff(outage)
        self._on_shape = on_shape
        self._woken = asyncio.Event()
        self.rests: Rest | None = None
        """The rest that it takes, and for how long; None while it works."""
        self._standby: asyncio.TimerHandle | None = None
        self._due_times = DueTimes(self.poll_now)

    @property
    def notified(self) -> bool:
        """Whether notifications reach this worker: then its poll floor is ``max_poll_seconds``."""
        return self.policy.notified

    @notified.setter
    def notified(self, notified: bool) -> None:
        self.policy.notified = notified
        self.cut_off()

    def wake(self) -> None:
        """See :class:`Service`."""
        self._woken.set()
        self._dispatcher.wants_more.set()

    def room(self, settled: int) -> Room | None:
        """What a settlement of so many messages may claim for this worker past the queue's order: as much as
        can begin at once, while nothing else is known to wait for it. Else half of the places that it frees:
        neither what follows nor what waits is kept out by the other.
        """
        if self._stopping or self._dispatcher.claims_nothing:
            return None
        idle = self.rests is not None and not self.rests.for_room
        if idle and self.policy.state is ClaimState.CAUGHT_UP:
            return self.lanes.room(self._dispatcher.free, begins=True)
        return self.lanes.room(settled // 2, begins=False)

    def notify(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        """A notification on this worker's own channel. An unknown payload is ignored: it may be of a later
        version.
        """
        match payload:
            case "claim":
                self.wake_to_claim()
            case "standby":
                self.standby()
            case _:
                self.poll_now()

    def wake_to_claim(self, *_notification: object) -> None:
        """Something was sent, and this worker was chosen to claim it."""
        self.lanes.gated.call()
        self.policy.call()
        self.wake()

    def standby(self) -> None:
        """Something was sent, and another worker was woken: poll a moment later, in case that one is gone."""
        if self._standby is None or self._standby.when() < asyncio.get_running_loop().time():
            self._standby = asyncio.get_running_loop().call_later(STANDBY_S, self.poll_now)

    def look_in(self, delay_s: float) -> None:
        """There may be a message for this worker in ``delay_s`` seconds: rest no longer than that."""
        self._due_times.add(delay_s)

    def poll_now(self, *_notification: object) -> None:
        """The queue has changed: rest no longer."""
        self.lanes.gated.look_again()
        self.policy.look_soon()
        self.wake()

    def settled_gated(self) -> None:
        """Messages of groups have ended: there may be a place for others of the same groups."""
        if self.lanes.gated.has_limits:
            self.lanes.gated.call()
            self.policy.start_soon()
            self.wake()

    def parked(self) -> None:
        """Messages have been put where they wait for their groups: one of them may start at once."""
        self.lanes.gated.call()
        self.poll_now()

    def cut_off(self) -> None:
        """Poll now: notifications have begun or ended, so that sends may have been missed."""
        self._idle.forget()
        self.poll_now()

    def recover(self) -> None:
        """See :class:`Service`: begin anew, at the position that the database has recorded. Claimed messages
        are with the dispatcher; if the answer to a claim was lost, the heartbeat gives its messages back.
        """
        self.lanes.forget()
        self.policy.reset()
        self.cut_off()

    async def hand_over(self) -> None:
        """Wake another worker for the messages that this one was woken for. Called last, when it claims no
        more.
        """
        await self._idle.leave_for_good()

    async def run_once(self) -> bool:
        """One step. Returns whether to go on at once."""
        self._dispatcher.adapt()
        step = self.policy.next_step(
            time.monotonic(), self._dispatcher.wanted(), begun=self.lanes.begun, listed=self._idle.listed
        )
        self.rests = step if isinstance(step, Rest) else None
        if self.rests is not None:
            return False
        try:
            await self._do(step)
        except Exception as error:
            await self._failed(error)
        else:
            if self._backoff.failing:
                self._backoff.worked()
        return not self._stopping

    async def _failed(self, error: Exception) -> None:
        if not is_missing(error):
            self.policy.failed()
            await self._backoff.failed(error)
            return
        self.lanes.forget()
        if self.policy.is_missing(time.monotonic()):
            self._claim_reports.missing(error)

    async def rest(self) -> None:
        """Wait for room, a wake-up, the next due message or the poll floor."""
        if self.rests is None:
            return
        waited_for = self._dispatcher.wants_more if self.rests.for_room else self._woken
        waited_for.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(self.rests.seconds):
                await waited_for.wait()

    async def _do(self, step: Step) -> None:
        match step:
            case ClaimAhead(limit, lookback):
                await self._claim(limit, lookback)
            case ClaimBehind(share):
                self.policy.claimed_behind(await self.lanes.behind(share))
            case Look(idle):
                await self._look(idle=idle)
            case Register():
                await self._idle.join()
            case PassOn():
                await self._idle.leave()
            case Begin():
                await self._begin()

    async def _begin(self) -> None:
        """At a worker's start, and when the connection, the server, its history or the queue's table is
        another one.
        """
        self._on_shape(await self.lanes.begin())
        self._idle.forget()
        if self.policy.began():
            self._claim_reports.created()

    async def _look(self, *, idle: bool) -> None:
        was_paused = self.policy.paused
        snapshot = await self.lanes.snapshot(idle=idle)
        chance = random.random()  # noqa: S311 - spreads workers
        saturated = self._dispatcher.prefetch.full
        self.policy.looked(snapshot, time.monotonic(), chance=chance, saturated=saturated)
        if self.policy.paused != was_paused:
            self._claim_reports.paused(paused=snapshot.paused)

    async def _claim(self, limit: int, lookback: int) -> None:
        claimed = await self.lanes.ahead(limit, lookback=lookback)
        self._dispatcher.prefetch.window_s = PRIORITY_WINDOW_S if self.lanes.expects_urgent else WINDOW_S
        if self.lanes.gated.again_in_s is not None:
            self.look_in(self.lanes.gated.again_in_s)
            self.lanes.gated.again_in_s = None
        backlog = self.policy.claimed(
            claimed.messages,
            complete=claimed.complete,
            now_s=time.monotonic(),
            listed=self._idle.listed,
        )
        if backlog is Backlog.NEED_NOT_BE_CALLED:
            self._idle.leave_later()
        elif backlog is Backlog.CALL_ANOTHER and self.notified:
            asyncio.get_running_loop().call_later(WAKE_ANOTHER_AFTER_S, self._wake_another)

    def _wake_another(self) -> None:
        """Wake another worker, unless this one has room again: workers with fast handlers only cost each
        other time.
        """
        if self._stopping or not self.lanes.begun:  # a statement now would open a closed connection again
            return
        if self._dispatcher.wanted() == 0 and not self._dispatcher.prefetch.full:
            flags = ("gated",) if self.lanes.gated.waiting else ()
            self._idle.wake_another(self.lanes.shape, self.lanes.cursor.position, *flags)

    def _take_over(self, claim: Claim, messages: list[Message], to_park: list[Message]) -> None:
        self._held.opened(claim, messages)
        if to_park:
            self._dispatcher.park(to_park)
            parked = {message.msg_id for message in to_park}
            messages = [message for message in messages if message.msg_id not in parked]
        self._events.emit_each(Event.MESSAGE_CLAIMED, messages)
        self._dispatcher.feed(messages)

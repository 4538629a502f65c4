"""Hands claimed messages to free slots, and says how many more to claim. Runs nothing itself."""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from contextvars import copy_context
from functools import partial
from os import getpid
from typing import TYPE_CHECKING

from postmill.engine.run.attempt import Slot
from postmill.engine.run.slots import Slots
from postmill.model.queue.outcome import PARKED, RELEASED
from postmill.model.queue.prefetch import Prefetch
from postmill.service.forks import CHILD_EXIT
from postmill.service.service import new_task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from postmill.engine.run.attempt import StopReason
    from postmill.engine.run.executor import Executor
    from postmill.engine.settle.settler import Settler
    from postmill.model.queue.message import Message
    from postmill.model.queue.outcome import Outcome
    from postmill.model.queue.worker_options import WorkerOptions

MAX_UNSETTLED = 5_000
"""When this many finished messages wait to be written down, no more are claimed: the database is slower than
the handlers. 5,000 are five of the settler's largest batches.
"""
SURPLUS_AFTER_S = 1.0
"""Messages that are more than the slots need are given back after this time, in seconds, if none was added
meanwhile. 1 s: a rate that fell for a moment has recovered by then.
"""
TURN = 50
"""Messages that handlers without an ``await`` finish before the event loop gets a turn. 50 take about 0.3 ms
(6 µs a message, measured by ``bench drain``), so that timers and connections hardly wait.
"""


class Dispatcher:
    """The slots of one worker and the messages that wait for one."""

    def __init__(
        self, options: WorkerOptions, executor: Executor, settler: Settler, shared: Slots | None = None
    ) -> None:
        """``shared``: the slots that it shares with others; None: it has all of the options' own."""
        self._all_slots = shared or Slots(options.max_concurrent)
        self._all_slots.join(self)
        self._options = options
        self._executor = executor
        self._settler = settler
        self._lease_s = options.lease_s
        self._batch = options.batch
        self._ready: deque[Message] = deque()
        self._slots: dict[Slot, None] = {}
        self._clean = copy_context()
        """Each handler runs in a copy of this context."""
        self._run_task = self._run_single if options.batch is None else self._run_batch
        self._pid = getpid()
        self._turn = 0
        self._turn_is_marked = False
        self._closed = False
        self._held_back = False
        self._low_water = 0
        self._fed_at = 0.0
        self._starved_s = 0.0
        self._dry_since: float | None = time.monotonic()
        self.prefetch = Prefetch(options.batch_size)
        self.finished = 0
        """Messages that have run to an outcome."""
        self.wants_more = asyncio.Event()
        """Set when more messages are wanted."""
        self.quiet = asyncio.Event()
        """Set while nothing runs."""
        self.quiet.set()
        self.running = 0
        """Slots that are busy."""
        self.begun = 0
        """Slots that were taken so far."""

    def feed(self, messages: Iterable[Message]) -> None:
        """Take over claimed messages, oldest first. Those that must not be run again are settled at once, and
        those that came too late are given back.
        """
        ready = self._ready
        for message in messages:
            verdict = None
            if message.failures or message.lost_leases or message.unread:  # few are
                verdict = self._executor.verdicts.before(message)
            if verdict is None:
                ready.append(message)
            else:
                self._settler.add(message, verdict)
        if self._closed or self._held_back:
            self.take_back()
        self._low_water = self.prefetch.low_water()
        self._fed_at = time.monotonic()
        if ready and self._dry_since is not None:
            self._starved_s += self._fed_at - self._dry_since
            self._dry_since = None
        self.serve()

    def park(self, messages: Iterable[Message]) -> None:
        """Have messages wait that are not to run yet."""
        for message in messages:
            self._settler.add(message, PARKED)

    def starved_s(self, now: float) -> float:
        """Seconds until ``now`` (by the monotonic clock) in which there was nothing to run."""
        return self._starved_s + (0.0 if self._dry_since is None else now - self._dry_since)

    def wanted(self) -> int:
        """How many messages to claim now."""
        if self.claims_nothing or self._settler.pending >= MAX_UNSETTLED:
            return 0
        per_slot = self._options.batch or 1
        free = max(0, self._all_slots.free_for(self)) * per_slot
        wanted = self.prefetch.wanted(free, len(self._ready))
        return wanted or self._all_slots.in_advance(self)

    @property
    def free(self) -> int:
        """How many messages could begin at once."""
        if self.claims_nothing or self._options.batch is not None:
            return 0
        return max(0, self._all_slots.free_for(self) - len(self._ready))

    @property
    def waiting(self) -> int:
        """See :class:`SlotUser`."""
        return -(-len(self._ready) // (self._options.batch or 1))

    @property
    def rate(self) -> float:
        """See :class:`SlotUser`."""
        return self.prefetch.rate

    @property
    def claims_nothing(self) -> bool:
        """Whether no message is to be claimed for it now."""
        return self._closed or self._held_back or self._settler.queue_refuses

    def hold_back(self, *, away: bool) -> None:
        """Claim nothing, and give back what has not begun, while what the handler runs on is away."""
        self._held_back = away
        if away:
            self.take_back()
        else:
            self.wants_more.set()

    def adapt(self) -> None:
        """Let the messages that are held beyond the free slots follow the rate at which handlers finish."""
        now = time.monotonic()
        self.prefetch.follow(now, self.finished, self.starved_s(now))
        surplus = self.surplus()
        if surplus:
            self.take_back(surplus)

    def surplus(self) -> int:
        """Waiting messages that are more than the slots need, because the handlers have become slow: other
        workers could run them.
        """
        per_slot = self._options.batch or 1
        if time.monotonic() - self._fed_at < SURPLUS_AFTER_S:
            return 0
        held = self._all_slots.reach_of(self) * per_slot + 2 * self.prefetch.limit()
        spare = len(self._ready) - held - self._all_slots.in_advance(self)
        return max(0, spare)

    def take_back(self, count: int | None = None) -> int:
        """Give the last ``count`` waiting messages (None: all) back to the queue. Returns how many."""
        count = len(self._ready) if count is None else min(count, len(self._ready))
        for _ in range(count):
            self._settler.add(self._ready.pop(), RELEASED)
        return count

    def forget(self, message: Message) -> bool:
        """Drop a message that waits (its lease is lost). Returns whether it was waiting."""
        try:
            self._ready.remove(message)
        except ValueError:
            return False
        return True

    def slot_of(self, message: Message) -> Slot | None:
        """The slot in which this delivery of a message runs now."""
        return self._slot_where(lambda running: running is message)

    def slot_of_id(self, msg_id: int) -> Slot | None:
        """The slot in which a message of this id runs now."""
        return self._slot_where(lambda running: running.msg_id == msg_id)

    def _slot_where(self, wanted: Callable[[Message], bool]) -> Slot | None:
        return next((slot for slot in self._slots if any(map(wanted, slot.messages))), None)

    def tell_all(self, reason: StopReason) -> None:
        """Ask every running handler to end by itself."""
        for slot in self._slots:
            slot.tell(reason)

    def cancel_all(self, reason: StopReason) -> None:
        """Cancel everything that runs."""
        for slot in list(self._slots):
            slot.cancel(reason)

    def running_ids(self) -> list[int]:
        """Ids of the messages that run now."""
        return [message.msg_id for slot in list(self._slots) for message in slot.messages]

    @property
    def held(self) -> list[Message]:
        """Messages that wait for a slot, or have one."""
        return [*self._ready, *(message for slot in self._slots for message in slot.messages)]

    def close(self) -> None:
        """Start nothing more; what runs goes on."""
        self._closed = True

    async def end(self) -> None:
        """End the slots' tasks. Whatever still runs is abandoned."""
        tasks = [slot.task for slot in self._slots if slot.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=1) if tasks else None

    def look_for_room(self) -> None:
        """See :class:`SlotUser`."""
        if not self._ready and not self._closed:
            self.wants_more.set()

    def serve(self) -> None:
        """See :class:`SlotUser`."""
        while self._ready and not self._closed and self._all_slots.are_free:
            self._begin(Slot(self._next()))
        if not self._ready and self.running == 0 and self._dry_since is None:
            self._dry_since = time.monotonic()

    def _next(self) -> list[Message]:
        ready, size = self._ready, self._batch
        if size is None:
            messages = [ready.popleft()]
        else:
            messages = [ready.popleft() for _ in range(min(size, len(ready)))]
        if len(ready) <= self._low_water:
            self.wants_more.set()
        return messages

    def _begin(self, slot: Slot) -> None:
        slot.task = new_task(self._run_task(slot), context=self._clean.copy())
        self._slots[slot] = None
        self.running += 1
        self.begun += 1
        self._all_slots.began()
        self.quiet.clear()
        slot.task.add_done_callback(partial(self._ended, slot))

    async def _run_single(self, slot: Slot) -> None:
        """Run the slot's message, and further ones in the same task as long as the handlers can't notice it.
        The steps of each message are written out here, because function calls are most of their cost.
        """
        slot.began()
        run, ready = self._executor.run, self._ready
        last = self.finished + TURN
        while True:
            if not self._turn_is_marked:
                self._mark_turn()
            turn, message = self._turn, slot.messages[0]
            if message.claim.renewed_at > time.monotonic() - self._lease_s:
                slot.outcomes = (await run(message, slot),)
                if getpid() != self._pid:
                    os._exit(CHILD_EXIT)
                slot.messages = ()
                self.finished += 1
                self._settler.add(message, slot.outcomes[0])
            else:
                self._give_back(slot, slot.messages)
            if turn != self._turn or self.finished > last or not ready or self._closed:
                return
            if self._all_slots.are_due_to_another(self):
                return
            if not slot.is_clean(self._clean):
                return
            slot.outcomes = ()
            slot.messages = (ready.popleft(),)
            if len(ready) <= self._low_water:
                self.wants_more.set()

    async def _run_batch(self, slot: Slot) -> None:
        """Run the slot's messages whose lease has not ended by this process's clock."""
        leased_since = time.monotonic() - self._lease_s
        overdue = [message for message in slot.messages if message.claim.renewed_at <= leased_since]
        if overdue:
            self._give_back(slot, overdue)
        if slot.messages:
            slot.outcomes = await self._executor.run_batch(slot.messages, slot)
            self._end_in_child()
            self._hand_over(slot, slot.outcomes)

    def _give_back(self, slot: Slot, overdue: Sequence[Message]) -> None:
        """A message whose lease is over is not begun: after a stall or an outage another worker may be
        running it.
        """
        slot.messages = [message for message in slot.messages if message not in overdue]
        for message in overdue:
            self._settler.add(message, RELEASED)
        self.wants_more.set()

    def _mark_turn(self) -> None:
        """Count the turns of the event loop: the number changes before a task that waits now can go on."""
        self._turn_is_marked = True
        asyncio.get_running_loop().call_soon(self._next_turn)

    def _next_turn(self) -> None:
        self._turn += 1
        self._turn_is_marked = False

    def _hand_over(self, slot: Slot, outcomes: Sequence[Outcome]) -> None:
        messages, slot.messages = slot.messages, ()
        self.finished += len(messages)
        for message, outcome in zip(messages, outcomes, strict=True):
            self._settler.add(message, outcome)

    def _end_in_child(self) -> None:
        """Whether this process is a child that a handler has forked: its outcomes must not be settled. The
        operating system is asked, because a library may fork without Python's knowledge.
        """
        if getpid() != self._pid:
            os._exit(CHILD_EXIT)

    def _ended(self, slot: Slot, task: asyncio.Task[None]) -> None:
        """Give each of the task's messages an outcome, whatever ended the task, and free the slot."""
        self._end_in_child()
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if slot.messages:
            error = error or RuntimeError("the handler ended without an outcome")
            self._hand_over(slot, slot.outcomes or self._executor.broken(error, slot))
        del self._slots[slot]
        self.running -= 1
        if self.running == 0:
            self.quiet.set()
        self._all_slots.ended(self)

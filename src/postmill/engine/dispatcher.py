"""Hands claimed messages to free slots, and knows how many more are wanted. Runs nothing itself."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING

from postmill.engine.slot import Slot
from postmill.model.outcome import RELEASED
from postmill.model.prefetch import Prefetch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from postmill.engine.attempt import StopReason
    from postmill.engine.executor import Executor
    from postmill.engine.settler import Settler
    from postmill.model.message import Message
    from postmill.model.worker_options import WorkerOptions

MAX_UNSETTLED = 5_000
"""Finished messages that wait to be written down, before no more are claimed: the database is slower than the
handlers.
"""
SURPLUS_AFTER_S = 1.0
"""How long too many messages may wait, without any being added, before they are given back."""
TURN = 50
"""Messages in a row before the event loop gets a turn, if their handlers never wait."""


class Dispatcher:
    """The slots of one worker and the messages that wait for one."""

    def __init__(self, options: WorkerOptions, executor: Executor, settler: Settler) -> None:
        self._options = options
        self._executor = executor
        self._settler = settler
        self._ready: deque[Message] = deque()
        self._slots: list[Slot] = []
        self._idle: list[Slot] = []
        self._closed = False
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

    def feed(self, messages: Iterable[Message]) -> None:
        """Take over claimed messages, oldest first. Those that must not be run again are settled at once, and
        those that came too late are given back.
        """
        ready = self._ready
        for message in messages:
            verdict = self._executor.verdicts.before(message)
            if verdict is None:
                ready.append(message)
            else:
                self._settler.add(message, verdict)
        if self._closed:
            self.take_back()
        self._low_water = self.prefetch.low_water()
        self._fed_at = time.monotonic()
        if ready and self._dry_since is not None:
            self._starved_s += self._fed_at - self._dry_since
            self._dry_since = None
        self._wake_slots()

    def starved_s(self, now: float) -> float:
        """Seconds until ``now`` (by the monotonic clock) in which there was nothing to run."""
        return self._starved_s + (0.0 if self._dry_since is None else now - self._dry_since)

    def wanted(self) -> int:
        """How many messages to claim now."""
        if self._closed or self._settler.queue_refuses or self._settler.pending >= MAX_UNSETTLED:
            return 0
        per_slot = self._options.batch or 1
        free = (self._options.max_concurrent - self.running) * per_slot
        return self.prefetch.wanted(max(0, free), len(self._ready))

    def surplus(self) -> int:
        """Messages that wait though the handlers have become slow: others could run them meanwhile."""
        per_slot = self._options.batch or 1
        if time.monotonic() - self._fed_at < SURPLUS_AFTER_S:
            return 0
        spare = len(self._ready) - (self._options.max_concurrent * per_slot + 2 * self.prefetch.limit())
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
        for slot in self._slots:
            if any(wanted(attempt.message) for attempt in slot.attempts):
                return slot
        return None

    def tell_all(self, reason: StopReason) -> None:
        """Tell everything that runs to come to an end by itself."""
        for slot in self._slots:
            for attempt in slot.attempts:
                attempt.tell(reason)

    def cancel_all(self, reason: StopReason) -> None:
        """Cancel everything that runs."""
        for slot in self._slots:
            slot.cancel(reason)

    def running_ids(self) -> list[int]:
        """Ids of the messages that run now."""
        return [attempt.message.msg_id for slot in self._slots for attempt in slot.attempts]

    def close(self) -> None:
        """Start nothing more; what runs goes on."""
        self._closed = True

    async def end(self) -> None:
        """End the slots' tasks. Whatever still runs is abandoned."""
        tasks = [slot.task for slot in self._slots]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=1) if tasks else None

    def _wake_slots(self) -> None:
        missing = len(self._ready) - len(self._idle)
        for slot in self._idle[: len(self._ready)]:
            slot.wake()
        del self._idle[: len(self._ready)]
        for _ in range(min(missing, self._options.max_concurrent - len(self._slots))):
            self._slots.append(Slot(self._serve))

    async def _serve(self, slot: Slot) -> None:
        while not self._closed:
            if not self._ready:
                if self.running == 0 and self._dry_since is None:
                    self._dry_since = time.monotonic()
                self._idle.append(slot)
                await slot.wait_for_work()
                continue
            self.running += 1
            self.quiet.clear()
            try:
                if self._options.batch is None:
                    message = self._ready.popleft()
                    self._settler.add(message, await self._executor.run(message, slot))
                    self.finished += 1
                else:
                    await self._serve_batch(slot, self._options.batch)
            finally:
                self.running -= 1
                if self.running == 0:
                    self.quiet.set()
                if len(self._ready) <= self._low_water:
                    self.wants_more.set()
            if not slot.finished():
                return
            if self.finished % TURN == 0:
                await asyncio.sleep(0)

    async def _serve_batch(self, slot: Slot, size: int) -> None:
        messages = [self._ready.popleft() for _ in range(min(size, len(self._ready)))]
        outcomes = await self._executor.run_batch(messages, slot)
        for message, outcome in zip(messages, outcomes, strict=True):
            self._settler.add(message, outcome)
        self.finished += len(messages)

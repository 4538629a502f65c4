"""Waits for the end of messages: one task, and at most one connection, for all waits of a client in one
event loop.

Where notifications arrive, the end of a message wakes its waiter. Everything is also polled for: a
notification may be lost, a pooler passes none on, and what other clients do to a message tells no waiter. The
order of the steps keeps an end from being missed: a row in ``postmill.waiters`` is committed first, then the
task looks whether the message has ended already. A settlement that began before the row was there and commits
after the look is found by the first polls, which follow soon.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING
from uuid import uuid4

from postmill.client import awaited
from postmill.model.errors import DatabaseUnavailable, LoginFailed, PostmillError, Refused, TimedOut

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from postmill.client.awaited import Outcome, Ref
    from postmill.client.sending import Statement
    from postmill.client.waiting_line import Line, WaitingExecutor

POLL_S = 1.0
"""Seconds between two polls for messages that take long. 1 s: a notification tells at once in most cases, and
a poll for a thousand messages costs the server a few milliseconds.
"""
FIRST_POLL_S = 0.1
"""Seconds to the first poll after a wait has begun, where notifications arrive; each pause is twice the one
before. 0.1 s: a settlement that was under way when the wait began has committed.
"""
FIRST_POLL_ALONE_S = 0.02
"""The same where no notification arrives: a fast handler is done by then."""
BATCH = 1000
"""Messages in one statement at most. 1,000 take a few milliseconds, and what is returned is bounded."""
SHARE = 4
"""The pause after a poll is at least this many times as long as the poll took: with very many waits, polls
take at most a fifth of the time.
"""
RENEW_S = 900.0
"""Seconds between two renewals of the rows of long waits: a quarter of the hour that a row is kept."""
LINGER_S = 10.0
"""Seconds for which an own connection is kept when nothing is waited for: the next wait is often near."""
OUTAGE_S = 60.0
"""How long an outage of the database is borne, in seconds: a restart or a failover is over by then."""
RETRY_S = 0.05
"""Seconds to the second try after an error; each pause is twice the one before. A cut is over at once."""
MAX_RETRY_S = 0.8
"""The longest such pause, in seconds: a wait goes on within a second of the server's return."""
TRIES = 3
"""How often an error that is no outage is met in a row before the waits end with it. A queue that is dropped
during a look is such an error, once.
"""
LAST_WORDS_S = 2.0
"""Seconds for the statements with which a wait ends: what the message is doing, and the deletion of rows."""


class Waiting:
    """The waits of one client in one event loop."""

    def __init__(self, executor: WaitingExecutor) -> None:
        self._executor = executor
        self._channel = f"postmill.waiter.{uuid4()}"
        self._waits: dict[Ref, set[asyncio.Future[Outcome]]] = {}
        self._fresh: set[Ref] = set()
        """Waits that have begun since the last round."""
        self._over: set[Ref] = set()
        """Messages that are waited for no more, whose rows may still be there."""
        self._told: set[Ref] = set()
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._line: Line | None = None
        self._polls_only = False
        self._registers = True
        """Whether rows can be written: a standby, or a role that may only read, can't."""
        self._cut = False
        self._turn = asyncio.Lock()
        """One use of the caller's connection at a time."""
        self._reached = False
        self._failures = 0
        self._failing_since: float | None = None
        self._pause_s = POLL_S
        self._poll_at = 0.0
        self._renew_at = 0.0

    async def outcome(self, ref: Ref, limit_s: float | None) -> Outcome:
        """How the message has ended. ``limit_s``: seconds to wait, None for no limit; with 0 it only looks.
        Raises ``ResultTimedOut``, ``Refused``, ``DatabaseUnavailable`` and what the driver raises.
        """
        if not self._turn.locked() and self._executor.in_transaction:
            raise awaited.in_transaction()
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(limit_s):
                self._begin(ref, future)
                return await future
        except TimeoutError:
            if future.done() and not future.cancelled():  # it came at the last moment
                return future.result()
        finally:
            self._end(ref, future)
            if self._task is not None and not (self._waits or self._executor.reopens):
                await asyncio.wait([self._task])  # then the caller may use the connection again
        return await self._last_look(ref, limit_s or 0.0)

    async def close(self) -> None:
        """End all waits, and close the connection."""
        self._fail(Refused("The client was closed while it waited for a result."))
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def _begin(self, ref: Ref, future: asyncio.Future[Outcome]) -> None:
        self._waits.setdefault(ref, set()).add(future)
        self._fresh.add(ref)
        self._over.discard(ref)
        self._news.set()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work(), name="postmill results")

    def _end(self, ref: Ref, future: asyncio.Future[Outcome]) -> None:
        future.cancel()
        others = self._waits.get(ref, set())
        others.discard(future)
        if not others and self._waits.pop(ref, None) is not None:
            self._fresh.discard(ref)
            self._over.add(ref)
            self._news.set()

    async def _last_look(self, ref: Ref, limit_s: float) -> Outcome:
        """The message's outcome, if it has one by now; else the error says what the message is doing."""
        doing = None
        with suppress(Exception):
            async with asyncio.timeout(LAST_WORDS_S), self._turn:
                (answer,) = await self._executor.look(awaited.looking([ref]))
                if not (found := awaited.outcome(answer)).pending:
                    return found
                doing = await self._executor.look(awaited.asking_state(ref))
        raise awaited.timed_out(ref, limit_s, doing)

    # the task

    async def _work(self) -> None:
        self._polls_only = False
        try:
            while await self._has_work():
                try:
                    await self._round()
                except Exception as error:
                    await self._failed(error)
                else:
                    self._reached, self._failures, self._failing_since = True, 0, None
                    await self._rest()
        finally:
            self._fail(Refused("The task that waits for results was cancelled."))
            await self._hang_up()

    async def _has_work(self) -> bool:
        """Whether anything is waited for. An own connection is kept for a while."""
        if self._waits or self._over:
            return True
        if self._line is not None and self._line.lingers:
            self._news.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(LINGER_S):
                    await self._news.wait()
        if not self._waits:
            await self._hang_up()
        return bool(self._waits)  # also one that began while the connection was closed

    async def _round(self) -> None:
        """Register, look, and tell the waits how their messages have ended."""
        self._news.clear()
        if self._cut:
            await self._hang_up()
        if self._line is None and not self._polls_only:
            await self._open()
        fresh, self._fresh = self._fresh, set()
        told, self._told = self._told, set()
        async with self._turn:
            await self._hear(told - fresh)
            await self._register(fresh)
            await self._look(fresh | told)
            await self._forget()

    async def _open(self) -> None:
        self._line = await self._executor.listen(self._channel, self._heard, self._lost)
        self._reached = True
        self._polls_only = self._line is None
        self._registers = not self._polls_only
        self._renew_at = self._poll_at = 0.0

    async def _register(self, fresh: set[Ref]) -> None:
        """Write the rows of the waits that have begun; now and then those of all, which renews them."""
        if self._line is None or not self._registers:
            return
        now = asyncio.get_running_loop().time()
        try:
            if now >= self._renew_at:
                await self._line_runs(awaited.waiting, self._waits)
                self._renew_at = now + RENEW_S
            else:
                await self._line_runs(awaited.waiting, fresh & self._waits.keys())
        except PostmillError as error:
            if not awaited.can_not_write(error):
                raise
            self._registers = False

    async def _hear(self, told: set[Ref]) -> None:
        """Take the results that were told, by the short way; other ends are left to the look."""
        if self._line is not None and self._registers:
            for batch in _batches(told & self._waits.keys()):
                asked = awaited.looking_at_told(batch, self._channel)
                for answer in map(awaited.outcome, await self._line.run(asked)):
                    self._resolve(answer)

    async def _look(self, news: set[Ref]) -> None:
        """Look at messages of which there is news; at all of them when it is time to poll."""
        begun = asyncio.get_running_loop().time()
        polls = begun >= self._poll_at
        first_s = FIRST_POLL_ALONE_S if self._line is None else FIRST_POLL_S
        for batch in _batches(self._waits if polls else news & self._waits.keys()):
            asked = awaited.looking(batch)
            answers = await (self._executor.look(asked) if self._line is None else self._line.run(asked))
            for answer in map(awaited.outcome, answers):
                if not answer.pending:
                    self._resolve(answer)
        ended = asyncio.get_running_loop().time()
        if polls:
            self._pause_s = max(first_s, min(POLL_S, self._pause_s * 2))
            self._poll_at = ended + max(self._pause_s, SHARE * (ended - begun))
        if news:  # a wait that has just begun may have been overtaken: see the head of this file
            self._pause_s = first_s
            self._poll_at = min(self._poll_at, ended + first_s)

    def _resolve(self, found: Outcome) -> None:
        if (futures := self._waits.pop(found.ref, None)) is None:
            return
        self._over.add(found.ref)
        for future in futures:
            if not future.done():
                future.set_result(found)

    async def _forget(self) -> None:
        """Delete the rows of waits that are over."""
        over, self._over = self._over - self._waits.keys(), set()
        if self._line is not None and self._registers:
            await self._line_runs(awaited.ceasing, over)

    async def _line_runs(self, build: Callable[[list[Ref], str], Statement], refs: Iterable[Ref]) -> None:
        if self._line is not None:
            for batch in _batches(refs):
                await self._line.run(build(batch, self._channel))

    async def _rest(self) -> None:
        """Until there is news, or it is time to poll."""
        if self._over or not self._waits:
            return
        left_s = self._poll_at - asyncio.get_running_loop().time()
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, left_s)):
                await self._news.wait()

    async def _failed(self, error: Exception) -> None:
        """Try again after a pause, with a new connection; or end the waits with the error."""
        now = asyncio.get_running_loop().time()
        self._failures += 1
        self._failing_since = self._failing_since or now
        await self._hang_up()
        passing = isinstance(error, DatabaseUnavailable | TimedOut) and not isinstance(error, LoginFailed)
        out_s = now - self._failing_since
        gives_up = out_s > OUTAGE_S if passing and self._reached else passing or self._failures >= TRIES
        if gives_up or not self._executor.reopens:
            self._fail(error)
            self._over.clear()
            self._failures, self._failing_since = 0, None
            return
        self._fresh |= self._waits.keys()
        await asyncio.sleep(min(MAX_RETRY_S, RETRY_S * 2 ** min(self._failures - 1, 10)))

    def _fail(self, error: Exception) -> None:
        for future in [future for futures in self._waits.values() for future in futures]:
            if not future.done():
                future.set_exception(error)
        self._over |= self._waits.keys()
        self._waits.clear()
        self._fresh.clear()

    async def _hang_up(self) -> None:
        line, self._line, self._cut = self._line, None, False
        if line is None:
            return
        with suppress(Exception):
            async with asyncio.timeout(LAST_WORDS_S):
                for batch in _batches(self._over):
                    await line.run(awaited.ceasing(batch, self._channel))
                self._over.clear()
        with suppress(Exception):
            async with asyncio.timeout(LAST_WORDS_S):
                await line.close()

    # called by the connection

    def _heard(self, payload: str) -> None:
        ref = awaited.told(payload)
        if ref in self._waits:
            self._told.add(ref)
            self._news.set()

    def _lost(self) -> None:
        self._cut = True
        self._poll_at = 0.0
        self._news.set()


def _batches(refs: Iterable[Ref]) -> list[list[Ref]]:
    """In order: rows are locked in the same order by all that lock several."""
    ordered = sorted(refs)
    return [ordered[begin : begin + BATCH] for begin in range(0, len(ordered), BATCH)]

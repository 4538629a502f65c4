"""The parent of several worker processes: as many as were asked for, each replaced when it dies or is worn
out, all of them one after the other on SIGHUP, and none left behind.

It does no work of its own and needs no database: what a child can't do it says itself, on the same stderr.
"""

from __future__ import annotations

import asyncio
import logging
import random
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from postmill.fleet.member import Member
from postmill.service.backoff import Backoff
from postmill.service.stop_requests import StopRequests

if TYPE_CHECKING:
    from collections.abc import Sequence

CALM_S = 10.0
"""A process that has worked for so long, in seconds, did not die of its start: the next pause is short again.
Ten seconds: whatever is wrong with a start shows within the first messages.
"""
LONGEST_PAUSE_S = 30.0
"""The longest pause before a process that died is started again, in seconds. Half a minute: a start costs a
second of one core, and a machine whose workers can't live must not be busy with that.
"""

log = logging.getLogger("postmill.fleet")


class Fleet:
    """``size`` processes that run ``postmill`` with ``arguments``. ``probe_port``: the first of the ports of
    their probes; there is one more than processes, since a new one is there before the old one ends.
    """

    def __init__(self, arguments: Sequence[str], size: int, probe_port: int | None = None) -> None:
        self._arguments = arguments
        self._size = size
        self._probe_port = probe_port
        self._members: list[Member] = []
        self._worn: list[Member] = []
        """Those to be replaced, the first one next."""
        self._newcomer: Member | None = None
        """The one that is to take the place of the first of these."""
        self._ever_started = False
        self._stopping = False
        self._status = 0
        self._pauses = Backoff(random.random, base_s=0.5, max_s=LONGEST_PAUSE_S)
        self._not_before = 0.0
        self._changed = asyncio.Event()

    async def run(self) -> int:
        """Run until SIGINT or SIGTERM, or until every process has left by itself. Returns the exit code: that
        of a process that could not start, where none ever did; else 0.
        """
        requests = StopRequests(self._stop)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, requests.hear)
        loop.add_signal_handler(signal.SIGHUP, self._replace_all)
        while self._size or self._members:
            self._changed.clear()
            self._bury()
            self._pass_on()
            await self._fill()
            if self._size or self._members:
                await self._rest()
        return self._status

    def _stop(self) -> None:
        """All of them drain. Asked again, they cut that short."""
        self._stopping = True
        self._size = 0
        self._worn.clear()
        self._newcomer = None
        for member in self._members:
            member.stop()
        self._changed.set()

    def _replace_all(self) -> None:
        """A successor that does not work yet is given up for another one: it may hang."""
        if self._newcomer is not None and self._newcomer.started_at is None:
            self._newcomer.stop()
            self._newcomer = None
        staying = [each for each in self._members if not each.told]
        log.info("replacing %d worker processes, one after the other", len(staying))
        self._worn += [each for each in staying if each not in self._worn]
        self._changed.set()

    def _bury(self) -> None:
        """Take note of those that have ended."""
        for member in [each for each in self._members if each.ending is not None]:
            self._members.remove(member)
            if member in self._worn:
                self._worn.remove(member)
            if member is self._newcomer:
                self._newcomer = None
            if not member.told:
                self._ended_by_itself(member)

    def _ended_by_itself(self, member: Member) -> None:
        status = member.ending or 0
        self._ever_started = self._ever_started or member.started_at is not None
        if status == 0:
            self._size = max(0, self._size - 1)  # its time was over, or an operator has had it drain
            return
        if status > 0 and not self._ever_started:
            self._status = status
            self._stop()
            return
        if member.started_at is not None and time.monotonic() - member.started_at >= CALM_S:
            self._pauses.reset()
        pause_s = self._pauses.next_delay_s()
        self._not_before = time.monotonic() + pause_s
        how = f"was killed by signal {-status}" if status < 0 else f"ended with {status}"
        log.warning("the worker process %d %s; another one starts in %.1f s", member.pid, how, pause_s)

    def _pass_on(self) -> None:
        """Have the old one drain whose successor works."""
        started = [each for each in self._members if each.started_at is not None]
        self._ever_started = self._ever_started or bool(started)
        for member in started:
            if member.worn and not member.told and member not in self._worn:
                log.info("replacing the worker process %d: %s", member.pid, member.worn)
                self._worn.append(member)
        if self._newcomer in started:
            self._newcomer = None
            if self._worn:
                self._worn.pop(0).stop()

    async def _fill(self) -> None:
        """Start what is missing: the first one alone, since what keeps it from starting keeps all of them;
        and a successor once nothing is missing and the one before it has ended.
        """
        while self._may_start():
            staying = [each for each in self._members if not each.told]
            is_missing = len(staying) < self._size
            is_due = bool(self._worn) and self._newcomer is None and len(self._members) <= self._size
            if not is_missing and not is_due:
                return
            member = Member(self._free_number(), self._changed.set)
            if not is_missing:
                self._newcomer = member
            await self._start(member)

    def _may_start(self) -> bool:
        is_first = not self._ever_started and bool(self._members)
        return not self._stopping and not is_first and time.monotonic() >= self._not_before

    async def _start(self, member: Member) -> None:
        port = self._probe_port and self._probe_port + member.number
        self._members.append(member)
        try:
            await member.start(self._arguments, port)
        except OSError as error:
            self._members.remove(member)
            self._newcomer = None if member is self._newcomer else self._newcomer
            self._not_before = time.monotonic() + max(1.0, self._pauses.next_delay_s())
            log.warning("no worker process can be started now: %s", error)
        if self._stopping:
            member.stop()  # it was asked for in between

    def _free_number(self) -> int:
        taken = {each.number for each in self._members}
        return next(number for number in range(len(taken) + 1) if number not in taken)

    async def _rest(self) -> None:
        """Until something has changed, or a pause is over."""
        left_s = self._not_before - time.monotonic()
        with suppress(TimeoutError):
            async with asyncio.timeout(left_s if left_s > 0 else None):
                await self._changed.wait()

"""Claims the other messages when a claim fails because of one row, so that this row does not stop its queue.

A claim is one statement: a row whose payload has no text that a server can send, or whose update a trigger or
constraint refuses, makes the whole of it fail, each time. Such a row is found by claiming one message at a
time. It is claimed without its payload, or, when that is refused as well, left out for a while.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol

import asyncpg

from postmill.model.sqlstates import may_come_from_one_row, state_of

if TYPE_CHECKING:
    from collections.abc import Callable

LEFT_OUT_S = 60.0
"""Seconds until a row that was left out is tried again. A minute: seldom enough to cost nothing, often enough
that a mended row runs soon.
"""
MOST_LEFT_OUT = 100
"""The most rows that are left out. With more than 100 the fault is not a few odd rows but the whole queue, so
the claim fails.
"""


class Fetch(Protocol):
    """Sends one claim. Raises what asyncpg raises."""

    async def __call__(self, limit: int, left_out: list[int], /, *flags: str) -> Any:
        """Of at most ``limit`` messages, with these flags of the statement."""


class OddRows:
    """What one worker knows of the rows that its claims can't take."""

    def __init__(self) -> None:
        self.on_left_out: Callable[[int, str], None] = lambda _id, _reason: None
        """Called with a message that can't be claimed at all, and why."""
        self.known = False
        """There may be such rows: claims go through :meth:`claim`."""
        self._alone = 0
        """How many of the next claims take one message each, because one of the next messages makes a claim
        fail.
        """
        self._left_out: dict[int, float] = {}
        """Messages that can't be claimed, and until when they are left out (by the monotonic clock)."""

    def met(self, error: asyncpg.PostgresError, limit: int) -> None:
        """A claim of at most ``limit`` messages has failed. Raises ``error`` if no single row is to blame."""
        if not _for_a_rows_sake(error):
            raise error
        self.known, self._alone = True, limit

    async def claim(self, fetch: Fetch, limit: int) -> tuple[Any, str]:
        """The row of a claim, and why its only message came without its payload; empty: it came whole. Raises
        errors that are not caused by a row.
        """
        while True:
            try:
                row = await fetch(1 if self._alone else limit, self._ids())
                self._alone = max(0, self._alone - 1)
                self.known = bool(self._alone or self._left_out)
                return row, ""
            except asyncpg.PostgresError as error:
                if not _for_a_rows_sake(error):
                    raise
                if self._alone:
                    row = await self._past(fetch, error)
                    if row is not None:
                        return row, str(error)
                else:
                    self._alone = limit

    async def _past(self, fetch: Fetch, error: asyncpg.PostgresError) -> Any:
        """The next message, alone, makes a claim fail: claim it without its payload, or leave it out."""
        try:
            return await fetch(1, self._ids(), "unread")
        except asyncpg.PostgresError as refused:
            if not _for_a_rows_sake(refused) or len(self._left_out) >= MOST_LEFT_OUT:
                raise
            reason = f"{state_of(refused)}: {refused}"
        front = (await fetch(1, self._ids(), "front"))["front"]
        if front is not None:
            self._left_out[front] = time.monotonic() + LEFT_OUT_S
            self.on_left_out(front, reason)
        return None

    def _ids(self) -> list[int]:
        if self._left_out:
            now = time.monotonic()
            self._left_out = {msg_id: until for msg_id, until in self._left_out.items() if until > now}
        return list(self._left_out)


def _for_a_rows_sake(error: asyncpg.PostgresError) -> bool:
    return may_come_from_one_row(state_of(error))

"""What the log says of a worker's claims: the state of its queue, and messages that could not be claimed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import asyncpg

from postmill.model.events import Event

if TYPE_CHECKING:
    from postmill.engine.claim.lane import Overlooked
    from postmill.service.events import Events

_NAMES_OUR_SCHEMA = re.compile(r"\bpostmill\.\w|[\"«„]postmill[\"»“]")
"""Finds the name of the missing table in the server's message, which has it in quotation marks in every
language.
"""


class ClaimReports:
    """Logs each change once."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._told_locked: int | None = None

    def missing(self, error: Exception) -> None:
        """The queue is not there, or Postmill's schema is not: the worker waits for it."""
        if isinstance(error, asyncpg.PostgresError) and _NAMES_OUR_SCHEMA.search(str(error)):
            reason = "the schema postmill is not there: run `postmill migrate`; waiting for it"
            self._events.emit(Event.SCHEMA_MISSING, reason=reason)
        else:
            reason = "the queue was dropped; waiting for it to be created again"
            self._events.emit(Event.QUEUE_MISSING, reason=reason)

    def created(self) -> None:
        """The queue or the schema that was missing is there."""
        self._events.emit(Event.QUEUE_CREATED, reason="it is back")

    def paused(self, *, paused: bool) -> None:
        """The queue was paused, or resumed."""
        self._events.emit(Event.QUEUE_PAUSED if paused else Event.QUEUE_RESUMED)

    def overlooked(self, found: Overlooked) -> None:
        """Messages lay ready behind the lanes: another client moved them, or had them locked."""
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

    def left_out(self, msg_id: int, reason: str) -> None:
        """A message that can't be claimed at all."""
        self._events.emit(Event.CLAIM_REFUSED, msg_id=msg_id, reason=reason)

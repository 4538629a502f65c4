"""A job as its handler gets it, made of the message that the bridge has made of the job's row."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from postmill.model.errors import InvalidPayload

if TYPE_CHECKING:
    from postmill.model.queue.message import Message

HEADER = "supaworker"
"""The header in which the bridge says what the row said."""


class SupaworkerJob(msgspec.Struct, frozen=True, kw_only=True):
    """One job. ``id``, ``queue``, ``created_at`` and ``options`` are those of its row; a message that no
    bridge has moved has its own id and time.
    """

    id: int
    queue: str
    attempts: int = 0
    """How many there were with this one: 1 in the first."""
    created_at: datetime
    payload: Any = None
    options: Any = None
    table: str = ""
    """Where it came from: ``supaworker_jobs``, ``jobs``, or nowhere."""

    @property
    def max_attempts(self) -> int | None:
        """What its own options allow; None: they say nothing that can be used."""
        limit = self.options.get("max_attempts") if isinstance(self.options, dict) else None
        return max(1, limit) if isinstance(limit, int) and not isinstance(limit, bool) else None


def row_of(message: Message) -> SupaworkerJob:
    """The job's row as the bridge found it, without the payload. Raises :class:`InvalidPayload` when the
    header is not what a bridge writes.
    """
    said = message.headers.get(HEADER) if message.has_headers else None
    if said is None:
        return SupaworkerJob(id=message.msg_id, queue=message.queue, created_at=message.enqueued_at)
    try:
        return msgspec.convert(said, SupaworkerJob)
    except msgspec.ValidationError as error:
        raise InvalidPayload(f"the header {HEADER} is not what supaworker.bridge writes: {error}") from error


def job_of(message: Message) -> SupaworkerJob:
    """The job for this attempt. Raises as :func:`row_of`, and for a payload that can't be read."""
    row = row_of(message)
    return msgspec.structs.replace(row, payload=message.payload, attempts=row.attempts + message.attempt)

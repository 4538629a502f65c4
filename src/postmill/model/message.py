"""One message as a worker holds it: what was claimed, and the fencing token that proves the claim."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Any

import orjson

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class State(IntEnum):
    """Where a message stands in the worker that holds it."""

    HELD = 0
    """Waiting, running, or finished and not yet written: its lease is renewed."""
    SETTLING = 1
    """Its outcome is on the way to the server: a renewal that misses it means nothing."""
    SETTLED = 2
    LOST = 3
    """Another holder has it by now."""


class Claim:
    """One claim of several messages: its receipt, when it was made by the server's clock, and what is
    unsettled of it.
    """

    __slots__ = ("claim_id", "claimed_at", "messages", "renewed_at", "unsettled")

    def __init__(self, claim_id: int, claimed_at: datetime, renewed_at: float) -> None:
        self.claim_id = claim_id
        self.claimed_at = claimed_at
        self.renewed_at = renewed_at
        """When its leases were last taken or renewed, by the worker's monotonic clock."""
        self.messages: list[Message] = []
        self.unsettled = 0


class Message:
    """A claimed message. ``(msg_id, read_ct, vt)`` is the lease's token: every later write is a
    compare-and-set on it.
    """

    __slots__ = (
        "_enqueued_us",
        "_headers",
        "claim",
        "failures",
        "lost_leases",
        "msg_id",
        "queue",
        "raw",
        "read_ct",
        "size",
        "started",
        "state",
        "vt_us",
    )

    def __init__(
        self,
        queue: str,
        msg_id: int,
        read_ct: int,
        vt_us: int,
        enqueued_us: int,
        raw: str,
        headers: str | None,
        failures: int,
        lost_leases: int,
        claim: Claim,
    ) -> None:
        self.queue = queue
        self.msg_id = msg_id
        self.read_ct = read_ct
        self.vt_us = vt_us
        """When the lease ends, in microseconds since 1970 by the server's clock: a token, compared exactly.
        """
        self._enqueued_us = enqueued_us
        self.raw = raw
        self._headers = headers
        self.failures = failures
        """Recorded failures that count as attempts."""
        self.lost_leases = lost_leases
        """Deliveries that ended without an outcome, by a crash or a lost lease: bounded separately."""
        self.claim = claim
        self.size = len(raw)
        self.state = State.HELD
        self.started = 0.0
        """When this attempt began, by the worker's monotonic clock; 0 while it waits."""

    @property
    def attempt(self) -> int:
        """1 for the first. Counts recorded failures, not ``read_ct``: others' reads are no attempts."""
        return self.failures + 1

    @property
    def enqueued_at(self) -> datetime:
        """When the message was sent, by the server's clock (UTC)."""
        return _EPOCH + timedelta(microseconds=self._enqueued_us)

    @property
    def vt(self) -> datetime:
        """When the lease ends, by the server's clock (UTC)."""
        return _EPOCH + timedelta(microseconds=self.vt_us)

    @property
    def claimed_at(self) -> datetime:
        """When this worker claimed it, by the server's clock (UTC)."""
        return self.claim.claimed_at

    @property
    def headers(self) -> dict[str, Any]:
        """The message's headers; empty when it has none, or something else than an object."""
        headers = orjson.loads(self._headers) if self._headers else {}
        return headers if isinstance(headers, dict) else {}

    @property
    def has_headers(self) -> bool:
        """Whether there are headers at all, without decoding them."""
        return self._headers is not None

    @property
    def payload(self) -> Any:
        """The message's JSON, decoded; the handler's annotation plays no part."""
        return orjson.loads(self.raw)

    def __repr__(self) -> str:
        return f"<Message {self.queue}/{self.msg_id} read_ct={self.read_ct} attempt={self.attempt}>"

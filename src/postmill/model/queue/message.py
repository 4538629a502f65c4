"""The messages that a worker holds: what was claimed, the fencing token that proves the claim, and which of
them are unsettled.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import msgspec

from postmill.model.errors import InvalidPayload
from postmill.model.queue.payload import loads

if TYPE_CHECKING:
    from collections.abc import Iterable

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class State(IntEnum):
    """Where a message stands in the worker that holds it."""

    HELD = 0
    """Waiting, running, or finished and not yet written: its lease is renewed."""
    SETTLING = 1
    """Its outcome is on the way to the server: a renewal that misses it means nothing."""
    SETTLED = 2
    LOST = 3
    """Another client holds it by now."""


class Claim:
    """One claim of several messages: its id, when it was made by the server's clock, and how many of its
    messages are not settled yet.
    """

    __slots__ = ("claim_id", "claimed_at", "messages", "renewed_at", "unsettled")

    def __init__(self, claim_id: int, claimed_at: datetime, renewed_at: float) -> None:
        self.claim_id = claim_id
        self.claimed_at = claimed_at
        self.renewed_at = renewed_at
        """When its leases were last taken or renewed, by the worker's monotonic clock."""
        self.messages: list[Message] = []
        self.unsettled = 0


class Message(msgspec.Struct, eq=False):
    """A claimed message. ``(msg_id, read_ct, vt)`` is the lease's token: every later write is a
    compare-and-set on it.

    A struct of msgspec because there is one for every message: making it takes a third of the time.
    """

    queue: str
    msg_id: int
    read_ct: int
    vt_us: int
    """When the lease ends, in microseconds since 1970 by the server's clock: a token, compared exactly."""
    enqueued_us: int
    raw: str
    """The payload's JSON."""
    raw_headers: str | None
    failures: int
    """Recorded failures that count as attempts."""
    lost_leases: int
    """Deliveries that ended without an outcome; ``max_deliveries`` bounds them."""
    claim: Claim
    state: State = State.HELD
    started: float = 0.0
    """When this attempt began, by the worker's monotonic clock; 0 while it waits."""
    counted: bool = False
    """Its claim counts it as settled."""
    unanswered: bool = False
    """Its outcome was sent before, and no answer came: it may have landed."""
    gated: bool = False
    """It has a place in its group, or in a queue with limits, which its end gives back."""
    given: str | None = None
    """What the statement that has claimed it tells the handler beside it, as JSON; None: nothing."""
    unread: str = ""
    """Why its payload can't be had from the server; empty: it can."""
    read: Any = None
    """What its handler has read in its payload, for where it needs that again; None: nothing so far."""

    @property
    def attempt(self) -> int:
        """1 for the first. Counts recorded failures, not ``read_ct``: others' reads are no attempts."""
        return self.failures + 1

    @property
    def enqueued_at(self) -> datetime:
        """When the message was sent, by the server's clock (UTC)."""
        return _EPOCH + timedelta(microseconds=self.enqueued_us)

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
        headers = loads(self.raw_headers) if self.raw_headers else {}
        return headers if isinstance(headers, dict) else {}

    @property
    def tick(self) -> datetime | None:
        """The tick of the schedule that has sent it (UTC); None when none has. Another client may have put
        anything there.
        """
        run = self.headers.get("postmill-run")
        tick_us = run.get("tick_us") if isinstance(run, dict) else None
        try:
            return _EPOCH + timedelta(microseconds=tick_us) if isinstance(tick_us, int) else None
        except OverflowError:
            return None

    @property
    def has_headers(self) -> bool:
        """Whether there are headers at all, without decoding them."""
        return self.raw_headers is not None

    @property
    def has_to_wait(self) -> bool:
        """Whether the headers say that it waits for a place in its group, or for other messages. What they
        name as the group is the same as what the SQL function ``_group_of`` finds there.
        """
        raw = self.raw_headers
        if raw is None or ('"postmill-group"' not in raw and '"postmill-after"' not in raw):
            return False
        try:
            headers = self.headers
        except InvalidPayload:  # what no decoder reads; the handler will say so
            return False
        return "postmill-after" in headers or headers.get("postmill-group") not in (None, "")

    @property
    def payload(self) -> Any:
        """The message's JSON, decoded; the handler's annotation plays no part. Raises ``InvalidPayload``."""
        return loads(self.raw)

    def __repr__(self) -> str:
        return f"<Message {self.queue}/{self.msg_id} read_ct={self.read_ct} attempt={self.attempt}>"


class HeldMessages:
    """The unsettled messages of one worker, by claim, and how old their leases are.

    Written by the event loop, read by the heartbeat's thread. Every step is one operation that the
    interpreter does not interrupt, so there is no lock. A thread that reads a moment too late finds the
    message settled, and leaves it alone.
    """

    def __init__(self) -> None:
        self._claims: dict[int, Claim] = {}
        self.renewing: frozenset[int] = frozenset()
        """Ids whose renewal is on its way to the server at this moment."""

    def opened(self, claim: Claim, messages: list[Message]) -> None:
        """A claim was made."""
        claim.messages = messages
        claim.unsettled = len(messages)
        self._claims[claim.claim_id] = claim

    def closing(self, messages: Iterable[Message]) -> tuple[list[int], list[int]]:
        """Count ``messages`` as settled. Claims that are finished with this, and claims that only lose
        messages. Their leases are kept until :meth:`closed`.
        """
        touched: dict[int, Claim] = {}
        for message in messages:
            claim = message.claim
            claim.unsettled -= 1
            message.counted = True
            touched[claim.claim_id] = claim
        finished = [claim_id for claim_id, claim in touched.items() if claim.unsettled <= 0]
        return finished, [claim_id for claim_id, claim in touched.items() if claim.unsettled > 0]

    def reopened(self, messages: Iterable[Message]) -> None:
        """Undo :meth:`closing` for these messages: they were not settled."""
        for message in messages:
            message.claim.unsettled += 1
            message.counted = False

    def closed(self, claim_ids: Iterable[int]) -> None:
        """The last outcome of these claims has landed, or was given up."""
        for claim_id in claim_ids:
            self._claims.pop(claim_id, None)

    def close_empty(self) -> None:
        """Close claims without an unsettled message: the task that settled the last one broke before it could
        do so.
        """
        self.closed([claim.claim_id for claim in list(self._claims.values()) if claim.unsettled <= 0])

    @property
    def held(self) -> list[Message]:
        """Messages whose leases are renewed."""
        claims = list(self._claims.values())
        return [each for claim in claims for each in claim.messages if each.state <= State.SETTLING]

    def older_than(self, monotonic: float) -> list[Message]:
        """Messages whose lease was last taken or renewed before ``monotonic``. Those whose outcome is on its
        way are included, since the outcome may have to wait.
        """
        return [
            message
            for claim in list(self._claims.values())
            if claim.renewed_at < monotonic
            for message in claim.messages
            if message.state <= State.SETTLING
        ]

    def renewed(self, message: Message, vt_us: int, at: float) -> None:
        """The lease of ``message`` ends at ``vt_us`` now."""
        message.vt_us = vt_us
        message.claim.renewed_at = at

    @property
    def claim_ids(self) -> list[int]:
        """The claims that are not finished."""
        return list(self._claims)

    @property
    def unsettled(self) -> int:
        """Messages held in all."""
        return sum(claim.unsettled for claim in list(self._claims.values()))

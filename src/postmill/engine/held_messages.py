"""What a worker holds: its claims, which of their messages are unsettled, and how old their leases are.

Written by the event loop, read by the heartbeat's thread. Every step is one operation that the interpreter
does whole, so there is no lock: a thread that reads a moment too late finds a message settled, and leaves it
alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from postmill.model.queue.message import Claim, Message, State

if TYPE_CHECKING:
    from collections.abc import Iterable


class HeldMessages:
    """The unsettled messages of one worker, by claim."""

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
        """Count ``messages`` as settled. Receipts that are finished with this, and receipts that only lose
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
        """Take back what :meth:`closing` counted: these messages are not settled after all."""
        for message in messages:
            message.claim.unsettled += 1
            message.counted = False

    def closed(self, receipts: Iterable[int]) -> None:
        """The last outcome of these claims has landed, or was given up."""
        for claim_id in receipts:
            self._claims.pop(claim_id, None)

    def close_empty(self) -> None:
        """Close what has no unsettled message left: whoever settled the last one broke before saying so."""
        self.closed([claim.claim_id for claim in list(self._claims.values()) if claim.unsettled <= 0])

    @property
    def held(self) -> list[Message]:
        """Messages whose leases are renewed."""
        claims = list(self._claims.values())
        return [each for claim in claims for each in claim.messages if each.state <= State.SETTLING]

    def older_than(self, monotonic: float) -> list[Message]:
        """Messages whose lease was last taken or renewed before ``monotonic``; also those whose outcome is on
        the way, for it may wait there.
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
    def receipts(self) -> list[int]:
        """Receipts of claims that are not finished."""
        return list(self._claims)

    @property
    def unsettled(self) -> int:
        """Messages held in all."""
        return sum(claim.unsettled for claim in list(self._claims.values()))

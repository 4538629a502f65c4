"""A worker's memory for the model test: where it has got to and what it holds; it asks as the engine does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from postmill.model.queue.cursor import LOWEST, Cursor
from postmill.model.queue.message import Claim, HeldMessages, Message
from postmill.model.queue.patrol import FAR_PERIOD_S
from postmill.sql.catalog import queue_statement, statement
from tests.faults.reference_model import Token

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.faults.protocol import Protocol

LEASE_S = 60
PATROLS = ("patrol", "far patrol")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ModelWorker:
    """One worker process. A new one starts from the hint that others have left."""

    def __init__(self, protocol: Protocol, number: int, *, pooled: bool) -> None:
        self.lease_s = LEASE_S if number % 2 else 3
        """What its row says. A worker with a short lease may be silent for ten seconds all the same."""
        self.id = UUID(int=(number << 65) | 1)
        self.lock_key = number
        self._protocol = protocol
        self._db = protocol.db
        self.held_messages = HeldMessages()
        self.held: list[Message] = []
        self.turn = 0.0
        lock = None if pooled else self.lock_key
        self._db.execute(
            statement("worker_start").encode(),
            [self.id, protocol.queue, "", "", 0, "", 1, lock, timedelta(seconds=self.lease_s), False],
        )
        row = protocol.hint()
        self.cursor = Cursor.at(row["hint"], row["now"], row["history"])
        self.cursor.near.due_s = self.cursor.far.due_s = 0.0

    def __repr__(self) -> str:
        return f"<worker {self.lock_key}>"

    def edges(self, lane: str) -> tuple[int | datetime, int | None] | None:
        """Where a lane begins and ends; None when there is nothing to look at."""
        cursor = self.cursor
        if lane == "fast":
            return cursor.position, None
        if lane == "due":
            return cursor.due_after, cursor.position
        if lane == "late":
            return cursor.late_range
        steps = (
            cursor.near.next_step(cursor.floor, cursor.position, self.turn)
            if lane == "patrol"
            else cursor.far.next_step(LOWEST, cursor.floor, self.turn)
        )
        self.turn += FAR_PERIOD_S  # each turn comes late enough for the next step
        return steps

    def ask(
        self, lane: str, edges: tuple[Any, int | None], limit: int, max_bytes: int, *, told: bool
    ) -> dict[str, Any]:
        """Claim, and move the cursor by the answer if that arrives."""
        above, up_to = edges
        patrol = lane in PATROLS
        row = self._protocol.claim(
            self.id, "late" if patrol else lane, above, limit, up_to, lease_s=LEASE_S, max_bytes=max_bytes,
            flags=("patrol",) if patrol else (),
        )  # fmt: skip
        if not told:
            return row
        if lane == "fast":
            self.cursor.claimed(row["msg_ids"] or ())
        if patrol:
            self.cursor.patrolled((above, up_to or 0), alive=row["alive"])
            if row["complete"]:
                walk = self.cursor.near if lane == "patrol" else self.cursor.far
                walk.walked((above, up_to or 0), 0.0, self.turn)
        elif row["complete"]:
            self._exhausted(lane, edges, row["now"])
        elif lane == "late":
            self.cursor.late_claimed((above, up_to or 0), row["msg_ids"] or ())
        return row

    def look(self) -> dict[str, Any]:
        """See how the queue stands."""
        late = self.cursor.late_range or (0, 0)
        row = self._db.execute(
            queue_statement("idle_snapshot", self._protocol.shape).encode(),
            [self._protocol.queue, self.cursor.due_after, self.cursor.position, *late],
        ).fetchone()
        assert row is not None
        assert self.cursor.fits(row["history"], row["sequence"])
        if not row["behind"]:
            self.cursor.due_seen(row["now"])
        if not row["late"]:
            self.cursor.late_seen(late)
        if row["ahead_age_s"] is None:
            self.cursor.drained()
        self.cursor.looked(row["sequence"], row["writers"] or ())
        return row

    def learn(self, row: dict[str, Any]) -> None:
        """Take over what a claim gave."""
        claim = Claim(row["claim_id"], row["now"], 0.0)
        nothing = [0] * len(row["msg_ids"])
        messages = [
            Message(
                self._protocol.queue,
                msg_id,
                read_ct,
                row["vt_us"],
                enqueued_us,
                raw,
                None,
                failures,
                lost,
                claim,
            )
            for msg_id, read_ct, enqueued_us, raw, failures, lost in zip(
                row["msg_ids"],
                row["read_cts"],
                row["enqueued_us"],
                row["messages"],
                row["failures"] or nothing,
                row["lost_leases"] or nothing,
                strict=True,
            )
        ]
        for message in messages:
            message.started = 1.0
        self.held_messages.opened(claim, messages)
        self.held += sorted(
            messages, key=lambda message: message.msg_id
        )  # the server gives them in any order

    def pick(self, bits: int) -> list[Message]:
        """Some of what it holds, at least one, never two deliveries of one message, in order of id. They
        leave its hands.
        """
        chosen: dict[int, Message] = {}
        for number, message in enumerate(self.held):
            if bits >> number & 1 or (not chosen and message is self.held[-1]):
                chosen.setdefault(message.msg_id, message)
        self.held = [message for message in self.held if message not in chosen.values()]
        return [chosen[msg_id] for msg_id in sorted(chosen)]

    def shift(self, by_us: int) -> None:
        """Time passes: see the model."""
        self.cursor.due_after -= timedelta(microseconds=by_us)
        for message in self.held:
            message.vt_us -= by_us

    def _exhausted(self, lane: str, edges: tuple[Any, int | None], now: datetime) -> None:
        if lane == "fast":
            self.cursor.drained()
        elif lane == "due":
            self.cursor.due_seen(now)
        else:
            self.cursor.late_seen((edges[0], edges[1] or 0))


def tokens(messages: Iterable[Message]) -> list[Token]:
    """What proves the leases of messages."""
    return [Token(message.msg_id, message.read_ct, message.vt_us) for message in messages]


def microseconds(moment: datetime) -> int:
    """Since 1970, exact."""
    return (moment - EPOCH) // timedelta(microseconds=1)

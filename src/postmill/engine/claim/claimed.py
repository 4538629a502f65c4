"""What a claim has given: how many messages, and the messages themselves, made of the statement's answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from postmill.model.queue.message import Message

if TYPE_CHECKING:
    from postmill.model.queue.message import Claim


@dataclass(frozen=True, slots=True)
class Claimed:
    """The result of one turn of claims."""

    messages: int
    complete: bool
    """Whether these lanes have no more due messages."""


NOTHING = Claimed(0, complete=True)


def messages_of(queue: str, row: Any, claim: Claim) -> list[Message]:
    """The messages of a claim, in order of id."""
    vt_us, ids = row["vt_us"], row["msg_ids"]
    nothing = [None] * len(ids)
    zero = [0] * len(ids)
    messages = [
        Message(queue, msg_id, read_ct, vt_us, enqueued_us, raw, headers, failures, lost_leases, claim)
        for msg_id, read_ct, enqueued_us, raw, headers, failures, lost_leases in zip(
            ids,
            row["read_cts"],
            row["enqueued_us"],
            row["messages"],
            row["headers"] or nothing,
            row["failures"] or zero,
            row["lost_leases"] or zero,
            strict=True,
        )
    ]
    messages.sort(key=_by_id)
    return messages


def _by_id(message: Message) -> int:
    return message.msg_id

"""The message of a workflow: a run may go on, or a run that was started by another has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec

from postmill.model.errors import InvalidPayload

if TYPE_CHECKING:
    from postmill.model.queue.message import Message

_Id = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]


class Wake(msgspec.Struct, frozen=True):
    """A run may go on."""

    run: _Id
    wake: _Count | None = None
    """How often the run had been woken: with another number than the run's, the message is stale."""
    step: str | None = None
    """In place of ``wake``: the step that waits for the run ``child``, which has ended."""
    child: _Id | None = None


_decode = msgspec.json.Decoder(Wake).decode


def wake_of(message: Message) -> Wake:
    """What a message says. Raises :class:`InvalidPayload` for one that is of no workflow."""
    try:
        found = _decode(message.raw)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise InvalidPayload(f"the message is of no workflow: {error}") from error
    if found.wake is None and (found.child is None or found.step is None):
        raise InvalidPayload("the message is of no workflow: it has neither wake nor step and child")
    return found


def is_wake(message: Message) -> bool:
    """Whether a run may wait for the end of this message."""
    try:
        return wake_of(message).wake is not None
    except InvalidPayload:
        return False

"""A step's task, as its message says it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec

from postmill.model.errors import InvalidPayload

if TYPE_CHECKING:
    from collections.abc import Collection

    from postmill.model.queue.message import Message

_Id = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]
_Place = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """What a message of a flow or of a workflow says of itself, before it is known which worker takes it."""

    run: _Id
    flow: str = ""
    """What the run is of, as whatever has sent the message says: a worker of several flows tells by it whose
    policy holds, before it knows the run. What is run is decided by the run itself.
    """
    step: str | None = None
    item: _Place | None = None
    """Of a map: which item."""
    wake: _Place | None = None
    """Of a workflow that goes on."""

    def is_of_others(self, own: Collection[str], *, wakes: bool) -> bool:
        """Whether a worker that runs these flows leaves the message to another one. ``wakes``: whether they
        are workflows.
        """
        return self.flow not in own if self.flow else (self.wake is not None) != wakes


class Task(Origin, frozen=True, kw_only=True):
    """One thing to do for a run: a step, an item of a map, or the undoing of a step."""

    step: str
    value: msgspec.Raw = msgspec.Raw(b"null")
    """Of a map: the item's JSON."""
    undo: bool = False
    """Whether the step's work is to be undone."""
    child: _Id | None = None
    """Of a step that runs a flow: the run that has ended."""


_decode = msgspec.json.Decoder(Task).decode
_decode_origin = msgspec.json.Decoder(Origin).decode


def task_of(message: Message) -> Task:
    """The task of a message, which is read once. Raises :class:`InvalidPayload` for one that is none."""
    if isinstance(message.read, Task):
        return message.read
    try:
        message.read = task = _decode(message.raw)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise InvalidPayload(f"the message is no task of a flow: {error}") from error
    return task


def origin_of(message: Message) -> Origin | None:
    """Of which run a message is, which is read once; None: of none."""
    if isinstance(message.read, Origin):
        return message.read
    try:
        message.read = origin = _decode_origin(message.raw)
    except (msgspec.MsgspecError, RecursionError):
        return None
    return origin

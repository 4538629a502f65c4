"""A message that starts a run: any client sends it to the queue of a flow, or names it as another message's
``then_send``.

The run has a key, the message's own unless it names one: a message that is delivered twice starts one run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from postmill.client import runs
from postmill.client.failures import said_by_postmill
from postmill.db.hot.outage import is_passing
from postmill.flows.running.inputs import AWAY_S
from postmill.flows.running.task import Task
from postmill.model.errors import InvalidPayload, PostmillError
from postmill.model.queue.outcome import COMPLETED, Completed, Snooze
from postmill.model.queue.retry import Dead

if TYPE_CHECKING:
    from collections.abc import Collection

    from postmill.db.hot.shared_connection import SharedConnection
    from postmill.model.queue.message import Message


class Start(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``{"start": "checkout", "input": {...}, "key": "order-7"}``."""

    start: str
    """The flow: one of those that the worker runs."""
    input: msgspec.Raw = msgspec.Raw(b"{}")
    key: str | None = None


class _Named(msgspec.Struct, frozen=True):
    """What tells it from a task."""

    start: object = None


_decode = msgspec.json.Decoder(Start).decode
_is_named = msgspec.json.Decoder(_Named).decode


def start_of(message: Message) -> Start | None:
    """What a message starts; None: it is no such message. Raises :class:`InvalidPayload` for one that can't
    be read.
    """
    if isinstance(message.read, Task) or '"start"' not in message.raw:
        return None
    try:
        return None if _is_named(message.raw).start is None else _decode(message.raw)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise InvalidPayload(f"the message can't start a run: {error}") from error


async def begin(
    start: Start, message: Message, flows: Collection[str], shared: SharedConnection
) -> Completed:
    """Start the run, if no earlier delivery has. Raises ``Dead`` for what can't be started, and ``Snooze`` in
    an outage.
    """
    if start.start not in flows:
        raise Dead(f"this worker has no flow {start.start!r}: it has {', '.join(flows)}")
    own = f"message:{message.queue}:{message.msg_id}:{message.enqueued_us}"
    try:
        asked = runs.starting(start.start, start.input, key=own if start.key is None else start.key)
        with said_by_postmill():
            await shared.fetchrow(asked.text, *asked.arguments)
    except PostmillError as error:
        raise Dead(str(error)) from error
    except Exception as error:
        if is_passing(error):
            raise Snooze(AWAY_S) from error
        raise
    return COMPLETED

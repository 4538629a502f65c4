"""What the settler does with a refusal, on a database that is played."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import asyncpg

from postmill.db.hot.outage import is_passing
from postmill.engine.settle.settlement import Settlings, Statements
from postmill.engine.settle.settler import Settler
from postmill.engine.settle.statements import OWN
from postmill.model.queue.message import Claim, HeldMessages, Message
from postmill.model.queue.outcome import COMPLETED
from postmill.model.queue.queue_name import QueueShape
from postmill.service.events import Events
from postmill.service.outage import Outage

if TYPE_CHECKING:
    from postmill.db.hot.shared_connection import SharedConnection


class PlayedConnection:
    """Refuses on its first session, as one whose role a handler has changed."""

    def __init__(self) -> None:
        self.sessions = 1
        self.sent = 0

    async def fetchrow(self, _text: str, ids: str, *_rest: object) -> dict[str, Any]:
        """Settle, on any session but the first."""
        self.sent += 1
        if self.sessions == 1:
            raise asyncpg.InsufficientPrivilegeError("permission denied")
        return {"settled": [int(part) for part in ids.strip("{}").split(",")]}

    async def close(self) -> None:
        """The next statement opens another session."""
        self.sessions += 1


async def test_a_session_that_a_handler_has_changed_is_left() -> None:
    """``SET ROLE`` in a handler refused the settlements of others, for good."""
    connection = PlayedConnection()
    events, held_messages = Events(), HeldMessages()
    said: list[object] = []
    events.listeners.append(lambda event, fields: said.append(event))
    settler = Settler(
        cast("SharedConnection", connection),
        Statements(QueueShape("q", 1), UUID(int=1), archive=True, keep_results=False),
        Settlings(OWN),
        held_messages,
        events,
        Outage(events, is_passing),
    )
    claim = Claim(1, datetime.now(UTC), 0.0)
    messages = [Message("q", msg_id, 1, 0, 0, "1", None, 0, 0, claim) for msg_id in (1, 2, 3)]
    held_messages.opened(claim, messages)
    for message in messages:
        settler.add(message, COMPLETED)
    while await settler.run_once():
        pass
    assert (connection.sent, connection.sessions, settler.settled) == (2, 2, 3)
    assert held_messages.claim_ids == []
    assert [str(event) for event in said] == ["message.completed"] * 3

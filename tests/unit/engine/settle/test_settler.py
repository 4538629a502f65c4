"""What the settler does with a refusal, on a database that is played."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import asyncpg
import pytest

from postmill.db.hot import statement_size
from postmill.db.hot.outage import is_passing
from postmill.engine.settle.settlement import Settlings, Statements
from postmill.engine.settle.settler import Settler
from postmill.engine.settle.statements import OWN
from postmill.model.queue.message import Claim, HeldMessages, Message
from postmill.model.queue.outcome import COMPLETED, Completed
from postmill.model.queue.queue_name import QueueShape
from postmill.service.events import Events
from postmill.service.outage import Outage

if TYPE_CHECKING:
    from postmill.db.hot.shared_connection import SharedConnection


class TakingConnection:
    """Settles all, and notes how many results, of what size, each statement has."""

    def __init__(self) -> None:
        self.took: list[list[int]] = []

    async def fetchrow(self, _text: str, ids: str, *rest: Any) -> dict[str, Any]:
        """Settle."""
        self.took.append([len(result) for result in rest[-1]])
        return {"settled": [int(part) for part in ids.strip("{}").split(",")]}


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


def a_settler(
    connection: object, events: Events, held_messages: HeldMessages, *, keep_results: bool = False
) -> Settler:
    return Settler(
        cast("SharedConnection", connection),
        Statements(QueueShape("q", 1), UUID(int=1), archive=True, keep_results=keep_results),
        Settlings(OWN),
        held_messages,
        events,
        Outage(events, is_passing),
    )


async def settle(settler: Settler, held_messages: HeldMessages, outcomes: list[Completed]) -> None:
    """Settle messages, of one claim, that have ended so."""
    claim = Claim(1, datetime.now(UTC), 0.0)
    messages = [
        Message("q", msg_id, 1, 0, 0, "1", None, 0, 0, claim) for msg_id in range(1, len(outcomes) + 1)
    ]
    held_messages.opened(claim, messages)
    for message, outcome in zip(messages, outcomes, strict=True):
        settler.add(message, outcome)
    while await settler.run_once():
        pass


@pytest.mark.parametrize(("bytes_", "took"), [(1000, [[40] * 4]), (100, [[40] * 2] * 2), (10, [[40]] * 4)])
async def test_large_results_go_in_several_statements(
    monkeypatch: pytest.MonkeyPatch, bytes_: int, took: list[list[int]]
) -> None:
    """A thousand results of megabytes were one statement, which no time limit let through."""
    monkeypatch.setattr(statement_size, "BATCH_BYTES", bytes_)
    connection, held_messages = TakingConnection(), HeldMessages()
    settler = a_settler(connection, Events(), held_messages, keep_results=True)
    await settle(settler, held_messages, [Completed("x" * 40)] * 4)
    assert (connection.took, settler.settled, held_messages.claim_ids) == (took, 4, [])


async def test_a_session_that_a_handler_has_changed_is_left() -> None:
    """``SET ROLE`` in a handler refused the settlements of others, for good."""
    connection = PlayedConnection()
    events, held_messages = Events(), HeldMessages()
    said: list[object] = []
    events.listeners.append(lambda event, fields: said.append(event))
    settler = a_settler(connection, events, held_messages)
    await settle(settler, held_messages, [COMPLETED] * 3)
    assert (connection.sent, connection.sessions, settler.settled) == (2, 2, 3)
    assert held_messages.claim_ids == []
    assert [str(event) for event in said] == ["message.completed"] * 3

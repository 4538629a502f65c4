"""The connections of reads and actions: shared by threads, and lost with their server."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from postmill.db.tools.sessions import SIZE, Sessions
from postmill.model.config.address import parse

if TYPE_CHECKING:
    import pytest

    from postmill.db.tools.connect import Connection
    from tests.servers import PrivateServer


def number(connection: Connection) -> int:
    """Of the backend that answers."""
    (row,) = connection.execute("select pg_backend_pid() as pid, pg_sleep(0.05)").fetchall()
    found: int = row["pid"]
    return found


async def all_of(sessions: Sessions) -> set[int]:
    """One read on each connection, all at once."""
    return set(await asyncio.gather(*(sessions.read(number) for _ in range(SIZE))))


async def test_a_restarted_server_costs_no_read_its_answer(server: PrivateServer) -> None:
    """Each idle connection was lost with the server, and the next request on it was answered with that."""
    sessions = Sessions(parse(server.url))
    before = await all_of(sessions)
    await asyncio.to_thread(server.restart)
    after = await all_of(sessions)
    assert len(before) == len(after) == SIZE
    assert not before & after
    await sessions.close()


class Emptied(list[Any]):
    """Idle connections, the last of which another thread takes after one has seen that it is there."""

    def __bool__(self) -> bool:
        self.clear()
        return True


async def test_two_threads_that_want_the_last_idle_connection_both_have_one(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = Sessions(parse(database_url))
    idle = Emptied()
    monkeypatch.setattr(sessions, "_idle", idle)
    assert await sessions.read(number) > 0
    monkeypatch.setattr(sessions, "_idle", list(idle))
    await sessions.close()

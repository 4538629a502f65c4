"""Messages that wait for others behind a pooler in transaction mode, and after pg_dump and a restore."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
import pytest

from postmill import Context, worker
from postmill.model.config.address import parse
from postmill.model.events import Event
from tests import servers
from tests.faults.pooler import pooler
from tests.faults.restoring import restored_copy
from tests.service.running import running
from tests.sql.test_dependencies import complete, send, state

if TYPE_CHECKING:
    from collections.abc import Iterator

    from postmill.embedded.binaries import Binaries


@pytest.mark.parametrize("connections", [2, 4])
async def test_behind_a_pooler(database_url: str, connections: int) -> None:
    """Settings of a transaction carry the order of locks from the send to the commit: none is a session's."""
    begun: list[int] = []

    @worker(max_pg_connections=connections)
    async def handle(number: int, ctx: Context) -> None:
        begun.append(number)
        if number == 3:
            async with ctx.transaction() as tx:
                text = "select postmill.send('tasks', '4', after => array['tasks:' || $1::text])"
                await tx.execute(text, str(ctx.message.msg_id))

    with pooler(database_url) as pooled:
        async with running(database_url, handle, address=parse(pooled.url)) as run:
            db = await asyncpg.connect(pooled.url, statement_cache_size=0)
            text = (
                "select postmill.send_batch('tasks', array['1', '2', '3']::jsonb[], "
                'after => array[null, \'["#1"]\', \'["#1", "#2"]\']::jsonb[])'
            )
            await db.fetch(text)
            await run.until(Event.MESSAGE_COMPLETED, count=4)
            await db.close()
    assert begun == [1, 2, 3, 4]


@pytest.fixture
def restored(database_url: str, postgres_binaries: Binaries) -> Iterator[str]:
    """The address of a database into which the test's database, with messages that wait, was restored."""
    with servers.session(database_url) as db:
        db.execute(b"select postmill.create_queue('a')")
        send(db, "a", f"after => array['a:{send(db, 'a')}']")
    with restored_copy(database_url, postgres_binaries) as url:
        yield url


def test_after_a_restore(restored: str) -> None:
    with servers.session(restored) as db:
        last = send(db, "a", "after => array['a:2']")
        complete(db, "a", 1)
        assert [state(db, "a", each) for each in (2, last)] == ["due", "parked"]
        complete(db, "a", 2)
        assert state(db, "a", last) == "due"

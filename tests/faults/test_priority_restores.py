"""A queue with priorities after pg_dump and a restore into another database: served by priority as before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from postmill import worker
from tests.faults.restoring import restored_copy
from tests.service.running import finished, running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from postmill.embedded.binaries import Binaries

SETUP = """
select postmill.create_queue('tasks'); select postmill.enable_priority('tasks', aging => '7 seconds');
insert into pgmq.q_tasks (vt, message, headers)
select now(), to_jsonb(n), case when n % 10 > 0 then jsonb_build_object('postmill-priority', n % 10) end
  from generate_series(1, 40) as n
"""


@pytest.fixture
def restored(database_url: str, postgres_binaries: Binaries) -> Iterator[str]:
    """The address of a database into which the test's database, with a queue in it, was restored."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(SETUP.encode())
    with restored_copy(database_url, postgres_binaries) as url:
        yield url


async def test_a_restored_queue_is_served_by_priority(restored: str) -> None:
    """The index is found by its name, which the table's name gives: oids are others after a restore."""
    seen: list[int] = []

    @worker(queue="tasks", max_concurrent=1, batch_size=4, max_poll_seconds=60)
    async def handle(number: int) -> None:
        seen.append(number)

    async with running(restored, handle, begin=False) as run:
        row = await run.db.fetchrow("select has_priorities, priority_aging::text from postmill.queues")
        assert tuple(row) == (True, "00:00:07")
        await run.db.execute("select postmill.enable_priority('tasks')")  # finds the index that is there
        await run.engine.start()
        assert (await finished(run, 40))["archive"] == 40
    assert seen == sorted(seen, key=lambda number: (-(number % 10), number))

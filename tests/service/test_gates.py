"""Messages of a group wait for a place in it, whoever sent them; the limits hold for all workers together."""

from __future__ import annotations

from postmill import worker
from tests.service.running import finished, running


async def test_messages_of_groups_are_run(database_url: str) -> None:
    seen: list[int] = []

    @worker(queue="tasks", max_poll_seconds=60)
    async def handle(number: int) -> None:
        seen.append(number)

    async with running(database_url, handle) as run:
        for number in range(3):
            await run.db.fetchval("select postmill.send('tasks', $1::jsonb, group_key => 'a')", str(number))
        account = await finished(run, 3)
        assert await run.count("postmill.gates") == 0
    assert account == {"queue": 0, "archive": 3, "dead": 0, "claims": 0}
    assert seen == [0, 1, 2]

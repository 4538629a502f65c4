"""Workers of graph flows lose their connection, or the server, round every statement about steps: each run
comes to what it should, and nothing of it is left.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from postmill.flows.running.handlers import handlers_of
from tests.faults.cutting import Cutter, When
from tests.faults.graph_flows import BEGIN, GIVEN, HANDLERS, go
from tests.service.running import GIVE_UP_S, Running, running

if TYPE_CHECKING:
    from tests.servers import PrivateServer

MARKS = {
    "_settle_steps(": "step_settle",
    "_fail_steps(": "step_fail",
    "_step_inputs(": "step_inputs",
    "_child_result(": "step_child",
    "_start_children(": "step_start_child",
    "_hold_tasks(": "step_hold",
    "array_agg(null::text)) as ended": "undo_settle",
    "array_agg(why)) as ended": "undo_fail",
    "_refuse_inputs(": "run_refuse_input",
    "ids from gone\n)\nselect": "step_drop",
}
"""What tells each statement about steps from the others. Every kind of message's end has one of its own."""


def about_steps(text: str) -> str | None:
    """What a statement about steps is called."""
    return next((name for mark, name in MARKS.items() if mark in text), None)


async def sail(run: Running) -> dict[str, int]:
    """The runs of one round; each has begun, and has all that it waits for."""
    return dict(json.loads(await run.db.fetchval(BEGIN, go.name)))


async def arrive(run: Running, begun: dict[str, int]) -> None:
    """Until they have ended: the paused one goes on when a worker has met it."""
    await run.true_in_database(f"exists (select from postmill.held_tasks where run_id = {begun['rests']})")
    await run.db.execute(
        "select postmill.resume_run(run_id) from postmill.runs where run_id = $1 and state = 'paused'",
        begun["rests"],
    )
    ids = ", ".join(str(run_id) for run_id in begun.values())
    await run.true_in_database(
        f"not exists (select from postmill.runs where run_id in ({ids}) and ended_at is null)"
    )


async def check(run: Running, begun: dict[str, int]) -> None:
    """Every run has given what it should, and said what was not undone."""
    for name, run_id in begun.items():
        found = json.loads(await run.db.fetchval("select postmill.run_result($1)", run_id))
        assert (found["state"], found.get("output")) == GIVEN[name], name


async def check_rest(run: Running) -> None:
    """No message, place or claim is left of any run."""
    await run.let_go()
    for flow in ("voyage", "wreck", "leg", "ticket"):
        assert await run.count(f"pgmq.q_{flow}") == 0
    assert await run.count("postmill.held_tasks") == 0
    assert await run.count("postmill.dead_letters") == 0


async def round_every_statement(run: Running, cutter: Cutter) -> None:
    """One round of runs for each statement; in it the session is lost round the first of that name."""
    begun = await sail(run)
    await arrive(run, begun)
    assert set(cutter.seen) == set(MARKS.values()), "a statement about steps was not used"
    for name in MARKS.values():
        before = cutter.cut.total()
        cutter.is_its_turn = lambda named, name=name, before=before: (  # type: ignore[misc]
            named == name and cutter.cut.total() == before
        )
        begun = await sail(run)
        await arrive(run, begun)
        assert cutter.cut[name, cutter.when] == 1
        await check(run, begun)
    await check_rest(run)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_the_connection_is_lost_round_every_statement(
    database_url: str, monkeypatch: pytest.MonkeyPatch, when: When
) -> None:
    cutter = Cutter(monkeypatch, about_steps)
    cutter.when = when
    async with running(database_url, *handlers_of(HANDLERS)) as run:
        await round_every_statement(run, cutter)


class Patient:
    """A test's connection that is made again after it was lost; what it asks is asked again."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: Any = None

    async def execute(self, text: str, *args: object) -> None:
        """As asyncpg has it."""
        await self.fetchval(text, *args)

    async def fetchval(self, text: str, *args: object) -> Any:
        """As asyncpg has it, for as long as it takes."""
        async with asyncio.timeout(GIVE_UP_S):
            while True:
                try:
                    if self._connection is None or self._connection.is_closed():
                        self._connection = await asyncpg.connect(self._url)
                    return await self._connection.fetchval(text, *args)
                except (OSError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError):
                    await self.close()
                    await asyncio.sleep(0.05)

    async def close(self) -> None:
        """End it; the next question makes another."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
async def test_the_server_crashes_round_every_statement(
    server: PrivateServer, monkeypatch: pytest.MonkeyPatch, when: When
) -> None:
    cutter = Cutter(monkeypatch, about_steps)
    cutter.when = when
    cutter.on_cut = lambda: asyncio.to_thread(server.restart, "immediate")
    async with running(server.url, *handlers_of(HANDLERS)) as run:
        await run.db.close()
        run.db = Patient(server.url)
        await round_every_statement(run, cutter)
        await run.db.close()

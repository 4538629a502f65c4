"""What everybody looks at is read once, and is never older than what a viewer was told."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from postmill.api import looks as module
from postmill.api.looks import Looks
from postmill.db.reads import findings, overview
from postmill.db.tools.sessions import Sessions
from postmill.model.config.address import parse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import psycopg

    Db = psycopg.Connection[dict[str, Any]]

NAMES = ["letters", "mail"]


@pytest_asyncio.fixture
async def sessions(database_url: str, db: Db) -> AsyncIterator[Sessions]:
    """On a database with two queues."""
    db.execute("select postmill.create_queue('mail'), postmill.create_queue('letters')")
    opened = Sessions(parse(database_url))
    yield opened
    await opened.close()


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The queues that were looked into, in each look; nothing is read for its age alone."""
    seen: list[list[str]] = []
    some = overview.some

    def noting(connection: Any, names: Any) -> list[dict[str, Any]]:
        seen.append(list(names))
        return some(connection, names)

    monkeypatch.setattr(overview, "some", noting)
    monkeypatch.setattr(module, "ROW_S", 600.0)
    return seen


async def test_only_a_queue_whose_version_moved_is_read_again(
    sessions: Sessions, db: Db, read: list[list[str]]
) -> None:
    looks = Looks()
    assert [row["queue"] for row in await looks.queues(sessions, NAMES)] == NAMES
    db.execute("select postmill.send('mail', '{}')")
    assert [row["ready"] for row in await looks.queues(sessions, NAMES)] == [0, 1]
    assert read == [NAMES, ["mail"]]


async def test_many_at_once_are_one_look(sessions: Sessions, read: list[list[str]]) -> None:
    looks = Looks()
    found = await asyncio.gather(*(looks.queues(sessions, NAMES) for _ in range(8)))
    assert [each for each in read if each] == [NAMES]
    assert all([row["queue"] for row in rows] == NAMES for rows in found)


async def test_what_falls_due_moves_no_version_and_is_seen_by_its_age(
    sessions: Sessions, db: Db, read: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = Looks()
    await looks.queues(sessions, NAMES)
    monkeypatch.setattr(module, "ROW_S", 0.0)
    await looks.queues(sessions, NAMES)
    assert read == [NAMES, NAMES]


async def test_a_queue_that_is_gone_is_left_out(sessions: Sessions, db: Db, read: list[list[str]]) -> None:
    looks = Looks()
    await looks.queues(sessions, NAMES)
    db.execute("select postmill.drop_queue('mail')")
    assert [row["queue"] for row in await looks.queues(sessions, NAMES)] == ["letters"]


async def test_what_is_wrong_is_found_again_after_an_action(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when it was being looked for while the action was done: that look may be older."""
    looks, found, began = Looks(), [], asyncio.Event()
    loop = asyncio.get_running_loop()
    of_work = findings.of_work

    def noting(connection: Any, address: Any) -> Any:
        found.append(1)
        loop.call_soon_threadsafe(began.set)
        return of_work(connection, address)

    monkeypatch.setattr(findings, "of_work", noting)
    await looks.findings(sessions)
    await looks.findings(sessions)
    assert len(found) == 1
    looks.forget()
    began.clear()
    looking = asyncio.create_task(looks.findings(sessions))
    await began.wait()
    looks.forget()
    await looking
    await looks.findings(sessions)
    assert len(found) == 3

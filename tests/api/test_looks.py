"""What everybody looks at is read once, and is never older than what a viewer was told."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from postmill.api import looks as module
from postmill.api.looks import Looks, _Found, _Kept, _of_age, _Pace
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
    monkeypatch.setattr(module, "OLDEST_S", 0.0)
    await looks.queues(sessions, NAMES)
    assert read == [NAMES, NAMES]


def test_no_more_is_read_for_its_age_than_a_hundredth_of_the_time_pays_for() -> None:
    """All hundred rows were read once a second, which took a tenth of a core, and who asked then waited."""
    pace = _Pace()
    pace.begin(1_000.0)
    pace.note(100, 0.2)
    pace.note(1, 0.5)  # one that is worked on says nothing of the others
    kept = {str(number): _Kept("1", 1_000.0 + number / 100, {}) for number in range(100)}
    names = [*map(str, range(99, -1, -1))]
    assert _of_age(names, kept, 1_001.5, pace.begin(1_001.0)) == {str(number) for number in range(5)}
    assert _of_age(names, kept, 1_001.5, pace.begin(1_001.001)) == set()
    assert _of_age(names, kept, 1_010.125, pace.begin(1_001.002)) == {str(number) for number in range(13)}


async def test_the_last_finding_is_shown_while_it_is_found_again(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who asked when it had become old waited for all checks. After long enough it is of another time."""
    looks, go_on, found = Looks(), threading.Event(), [object(), object(), object()]
    waiting, began, loop = iter(found), asyncio.Event(), asyncio.get_running_loop()

    def held(*_: Any) -> Any:
        each = next(waiting)
        if each is found[1]:
            loop.call_soon_threadsafe(began.set)
            assert go_on.wait(30)
        return [each]

    monkeypatch.setattr(findings, "of_work", held)
    assert await looks.findings(sessions) == [found[0]]
    monkeypatch.setattr(_Found, "is_fresh", lambda _self, _now, times=1: times == module.STILL)
    assert await looks.findings(sessions) == [found[0]]
    await began.wait()
    assert await looks.findings(sessions) == [found[0]]
    go_on.set()
    monkeypatch.setattr(_Found, "is_fresh", lambda *_: False)
    assert await looks.findings(sessions) == [found[2]]


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

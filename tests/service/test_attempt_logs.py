"""A failed attempt leaves its last log lines with its message, where the worker's options say so."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest

from postmill import Retry, Snooze, worker
from postmill.db.reads import messages
from postmill.engine.run.logged_handler import LONGEST_LINE, MOST_LINES, _line
from postmill.model.events import Event
from postmill.model.queue.retry import FixedRetry
from tests.service.running import finished, running

if TYPE_CHECKING:
    import psycopg

    Db = psycopg.Connection[dict[str, Any]]

LOG = logging.getLogger("shop")
OPTIONS: dict[str, Any] = {"queue": "tasks", "retry": FixedRetry(max_attempts=2, delay=0), "keep_log": True}


@pytest.fixture(autouse=True)
def says_all(caplog: pytest.LogCaptureFixture) -> None:
    """As in an application that logs from INFO on."""
    caplog.set_level(logging.INFO, LOG.name)


def kept(db: Db, msg_id: int) -> list[list[str]]:
    """The lines of each failed attempt, without their times."""
    found = messages.one(db, "tasks", msg_id)["failures"]
    return [[line.partition(" ")[2] for line in each["log"]] for each in found]


async def rows(run: Any) -> int:
    return int(await run.count("postmill.attempt_logs"))


async def test_each_failed_attempt_leaves_what_it_has_logged(database_url: str, db: Db) -> None:
    @worker(**OPTIONS)
    async def pay(payload: int) -> None:
        LOG.debug("not asked for")
        LOG.info("pays %s", payload)
        if payload > 1:
            await asyncio.to_thread(LOG.warning, "no\0thing")
            raise ValueError

    async with running(database_url, pay) as run:
        await run.send("1")
        bad = [await run.send("2"), await run.send("3")]
        await finished(run, 3)
        assert [kept(db, each) for each in bad] == [
            [[f"INFO shop: pays {payload}", r"WARNING shop: no\x00thing"]] * 2 for payload in (2, 3)
        ]
        assert await rows(run) == 4
        assert db.execute("select postmill._prune_logs('tasks', now() + '1 h', 3) as n").fetchall() == [
            {"n": 3}
        ]
    db.execute("select postmill.drop_queue('tasks', force => true)")
    assert db.execute("select count(*) as n from postmill.attempt_logs").fetchall() == [{"n": 0}]


async def test_a_plain_function_that_is_too_late_or_asks_for_a_retry(database_url: str, db: Db) -> None:
    @worker(**{**OPTIONS, "timeout": 0.2})
    async def late(payload: str) -> Any:
        LOG.info("got %s", payload)
        if payload == "late":
            await asyncio.Event().wait()
        if payload == "snooze" and not seen:
            seen.append(payload)
            raise Snooze(0)
        return Retry() if payload == "retry" else None

    @late.task
    def plain(payload: str) -> None:
        LOG.info("in a thread: %s", payload)
        raise ValueError

    seen: list[str] = []
    async with running(database_url, late) as run:
        late_id, again, threaded = (
            await run.send('"late"'),
            await run.send('"retry"'),
            await run.send('"snooze"'),
        )
        in_thread = await run.send('"x"', task="plain")
        await finished(run, 4)
        assert kept(db, late_id) == [["INFO shop: got late"]] * 2
        assert kept(db, again) == [["INFO shop: got retry"]] * 2
        assert kept(db, in_thread) == [["INFO shop: in a thread: x"]] * 2
        assert kept(db, threaded) == []
        assert await rows(run) == 6


async def test_without_the_option_nothing_is_kept(database_url: str, db: Db) -> None:
    @worker(**{**OPTIONS, "keep_log": False})
    async def pay(payload: int) -> None:
        LOG.info("pays")
        raise ValueError

    async with running(database_url, pay) as run:
        msg_id = await run.send("1")
        await finished(run, 1)
        assert (kept(db, msg_id), await rows(run)) == ([[], []], 0)


async def test_a_log_that_can_not_be_kept_changes_no_outcome(database_url: str, db: Db) -> None:
    db.execute("alter table postmill.attempt_logs add check (false)")

    @worker(**OPTIONS)
    async def pay(payload: int) -> None:
        LOG.info("pays")
        raise ValueError("no money")

    async with running(database_url, pay) as run:
        await run.send("1")
        assert (await finished(run, 1))["dead"] == 1
        said = [each["reason"] for each in run.events(Event.HOOK_FAILED)]
        assert said == ["its log could not be kept"] * 2
        assert await run.db.fetchval("select error_message from postmill.failures limit 1") == "no money"


async def test_only_the_last_lines_are_kept_and_none_is_long(database_url: str, db: Db) -> None:
    @worker(**{**OPTIONS, "retry": FixedRetry(max_attempts=1, delay=0)})
    async def pay(payload: int) -> None:
        for number in range(MOST_LINES + 50):
            LOG.info("%s %s", number, "x" * 2 * LONGEST_LINE)
        raise ValueError

    async with running(database_url, pay) as run:
        msg_id = await run.send("1")
        await finished(run, 1)
        (lines,) = (each["log"] for each in messages.one(db, "tasks", msg_id)["failures"])
        assert (len(lines), {len(line) for line in lines}) == (MOST_LINES, {LONGEST_LINE})
        assert "INFO shop: 50 x" in lines[0]


def test_a_line_whose_arguments_do_not_fit_is_kept_as_it_was_written() -> None:
    record = logging.LogRecord("shop", logging.INFO, "", 1, "%d of %d", ("odd",), None)
    assert _line(record).endswith("INFO shop: %d of %d")

"""The database is away when something starts that runs on and on: it waits, says so, and can be ended."""

from __future__ import annotations

import asyncio
import logging
import signal
from typing import TYPE_CHECKING, Any

import pytest

from postmill.project.once_up import prepare_once_up
from postmill.project.project import load_settings
from tests.acceptance.test_cli_running import until
from tests.faults.proxy import proxied

if TYPE_CHECKING:
    from pathlib import Path

WORKER = "from postmill import worker\n@worker(queue='q')\ndef work(p): ...\n"
AWAY = {"POSTMILL_DB_URL": "postgresql://nobody@127.0.0.1:1/nothing"}


@pytest.fixture(autouse=True)
def files(tmp_path: Path) -> None:
    (tmp_path / "jobs.py").write_text(WORKER)
    (tmp_path / "functions").mkdir()
    (tmp_path / "postmill.toml").write_text("[runtime]\nport = 0\n")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "at_work"),
    [
        ("worker run jobs:work", "worker.started"),
        ("worker run jobs:work --processes 1", "worker.started"),
        ("serve", "Postmill: functions at"),
        ("dev", "worker.started"),
        ("calls run", "calls.started"),
        ("schedule work", "database.back"),
        ("dashboard --port 0", "Dashboard: "),
    ],
)
async def test_it_begins_once_the_database_is_there(
    spawn: Any, database_url: str, command: str, at_work: str
) -> None:
    """It ended with 5, and what starts it gave up, or never tried again."""
    async with proxied(database_url) as proxy:
        proxy.mode = "refuse"
        child = spawn(*command.split(), env={"POSTMILL_DB_URL": proxy.url})
        await asyncio.to_thread(until, child, "database.lost")
        proxy.mode = "pass"
        await asyncio.to_thread(until, child, at_work)
        child.terminate()
        assert await asyncio.to_thread(child.wait, 60) == 0


def test_what_waits_ends_at_once_when_it_is_asked_to(spawn: Any) -> None:
    child = spawn("worker", "run", "jobs:work", env=AWAY)
    until(child, "database.lost")
    child.terminate()
    _, said = child.communicate(timeout=60)
    assert (child.returncode, said) == (0, "")


def test_a_signal_that_comes_while_the_log_is_written_is_no_fault_of_the_log(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    class Signalling(logging.Handler):
        def emit(self, _: logging.LogRecord) -> None:
            signal.raise_signal(signal.SIGTERM)

    settings = load_settings({}, project=tmp_path, environ=AWAY)
    logging.getLogger("postmill").addHandler(signalling := Signalling())
    try:
        assert settings.address is not None
        assert not prepare_once_up(settings, settings.address)
    finally:
        logging.getLogger("postmill").removeHandler(signalling)
    assert capsys.readouterr().err == ""


def test_a_job_fails_at_once(spawn: Any) -> None:
    child = spawn("worker", "run", "jobs:work", "--until-empty", env=AWAY)
    _, said = child.communicate(timeout=60)
    assert (child.returncode, "database-unavailable" in said) == (5, True)

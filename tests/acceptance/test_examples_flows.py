"""Each example of flows runs, as its page says, and comes to what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from typing import Any

    import psycopg

    Db = psycopg.Connection[dict[str, Any]]

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


def run(folder: Path, database_url: str, name: str, *arguments: str) -> str:
    """What an example prints."""
    done = subprocess.run(
        [sys.executable, "-m", f"examples.flows.{name}", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "POSTMILL_DB_URL": database_url, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def count(db: Db, statement: bytes) -> int:
    row = db.execute(statement).fetchone()
    assert row is not None
    return int(row["count"])


def test_a_site_is_analysed_though_some_of_its_pages_are_broken(
    tmp_path: Path, database_url: str, db: Db
) -> None:
    shown = run(tmp_path, database_url, "site")
    unread = re.findall(r"^  \S+/trouble/([\w-]+)\.py: (.+)$", shown, re.M)
    assert {name for name, _ in unread} == {"hangs", "always-busy", "missing", "bad-syntax", "not-utf-8"}
    assert dict(unread)["missing"] == "404 Not Found"
    found = re.search(r"^(\d+) files define (\d+) functions", shown, re.M)
    assert found is not None
    assert int(found[2]) > 100
    ended = count(db, b"select count(*) from postmill.items where step = 'read'")
    assert ended == int(found[1]) + len(unread)


def test_a_checkout_is_approved_or_refunded(tmp_path: Path, database_url: str, db: Db) -> None:
    shown = run(tmp_path, database_url, "checkout")
    assert "shipped as parcel-1" in shown
    assert "shipped as express-2" in shown
    assert "not approved within 3 seconds" in shown
    assert count(db, b"select count(*) from postmill.steps where step = 'undo:refund'") == 1
    assert count(db, b"select count(*) from postmill.steps where step = 'charge'") == 3


def test_an_agent_asks_and_answers(tmp_path: Path, database_url: str) -> None:
    shown = run(tmp_path, database_url, "agent")
    does = re.findall(r"^ *(ask|you|fare|nights|answer)  (?! )", shown, re.M)
    assert does == ["ask", "you", "fare", "ask", "you", "nights", "answer"]
    assert "3 nights in Lisbon cost 360." in shown


def test_a_nightly_report_runs_a_flow_for_each_region(tmp_path: Path, database_url: str, db: Db) -> None:
    shown = run(tmp_path, database_url, "nightly")
    assert shown.splitlines()[-1] == "6 orders, most in the east: 101.00"
    assert count(db, b"select count(*) from postmill.runs where parent_run is not null") == 4
    [schedule] = db.execute("select name, recurrence, timezone from postmill.schedule_list").fetchall()
    assert list(schedule.values()) == ["flow.nightly_report", "0 2 * * *", "Europe/Berlin"]


def test_images_go_through_one_map(tmp_path: Path, database_url: str, db: Db) -> None:
    shown = run(tmp_path, database_url, "images", "500")
    assert "500 of 500" in shown
    assert shown.splitlines()[-2].startswith("500 images, ")
    assert count(db, b"select count(*) from postmill.items") == 500

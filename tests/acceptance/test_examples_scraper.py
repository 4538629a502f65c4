"""The demo, small: every page that is sent ends done or dead, exactly once, even when workers are killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from examples.scraper import account, sitemap, trouble
from examples.scraper.site import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    import psycopg

ROOT = Path(__file__).parents[2]
PAGES, MANY = 60, 120

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]  # one page hangs until it has used up its attempts


class Project:
    """An empty project folder whose commands use the test's database."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.folder = folder
        self.started: list[subprocess.Popen[str]] = []
        self.environment = os.environ | {
            "PYTHONPATH": str(ROOT),
            "POSTMILL_DB_URL": database_url,
            "NO_COLOR": "1",
        }

    def start(self, *arguments: str, **extra: Any) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", *arguments]
        process = subprocess.Popen(command, cwd=self.folder, env=self.environment, text=True, **extra)
        self.started.append(process)
        return process

    def start_worker(self) -> subprocess.Popen[str]:
        return self.start("postmill.cli.main", "worker", "run", "tests.acceptance.patient_scraper:fetch")

    def run(self, *arguments: str) -> str:
        """What the command printed; fails with all of its output when it fails."""
        process = self.start(*arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        output, _ = process.communicate()
        assert process.returncode == 0, output
        return output


@pytest.fixture
def project(tmp_path: Path, database_url: str) -> Iterator[Project]:
    created = Project(tmp_path, database_url)
    yield created
    for process in created.started:
        if process.poll() is None:
            process.kill()
            process.wait()


def dead_paths(db: psycopg.Connection[dict[str, Any]]) -> set[str]:
    return {urlsplit(letter.url).path for letter in account.dead_letters(db)}


def in_queue(db: psycopg.Connection[dict[str, Any]], table: str) -> int:
    row = db.execute(f"select count(*) from pgmq.{table}").fetchone()
    assert row is not None
    return int(row["count"])


def test_the_demo_accounts_for_every_page(project: Project, db: psycopg.Connection[dict[str, Any]]) -> None:
    """A fresh crawl, also where another left a page. A crawl takes its time, so all is asked of one."""
    db.execute("select postmill.create_queue('pages')")
    account.start(db, "http://127.0.0.1:1/left-over")
    project.start_worker()
    output = project.run("examples.scraper", "--no-worker", "--pages", str(PAGES))

    end = account.take(db)
    assert (end.sent, end.waiting, end.both) == (PAGES, 0, 0)
    assert end.exact
    assert dead_paths(db) == trouble.HOPELESS
    assert in_queue(db, "q_pages") == 0
    assert in_queue(db, "a_pages") == end.done
    assert end.functions > 0
    assert f"{PAGES} sent = {end.done} done + {end.dead} dead; none lost" in output
    assert "404 Not Found" in output
    assert_odd_encodings_are_read(db)
    assert_attempts_are_counted(db)


def assert_odd_encodings_are_read(db: psycopg.Connection[dict[str, Any]]) -> None:
    query = "select summary from scraper.definitions where name = 'greet' and url like '%' || $1 || '%'"
    found = db.execute(query, [trouble.FOLDER]).fetchall()
    assert [row["summary"] for row in found] == ["Grüße, señor."] * 2


def assert_attempts_are_counted(db: psycopg.Connection[dict[str, Any]]) -> None:
    attempts = {
        urlsplit(row["url"]).path.removeprefix(trouble.FOLDER): row["attempts"]
        for row in db.execute("select url, attempts from scraper.pages where attempts > 1").fetchall()
        if trouble.FOLDER in row["url"]
    }
    assert attempts == {"hangs-once.py": 2, "busy-twice.py": 3, "cut-short-once.py": 2}
    assert {letter.attempts for letter in account.dead_letters(db)} == {1, 4}


@pytest.fixture
def site() -> Iterator[str]:
    with serving(sitemap.build(sitemap.this_python(), pages=MANY)) as running:
        yield running.url


def test_a_worker_killed_in_the_middle_loses_and_doubles_nothing(
    project: Project, db: psycopg.Connection[dict[str, Any]], site: str
) -> None:
    db.execute("select postmill.create_queue('pages')")
    account.start(db, site)
    announce_ends(db)
    for killed_after in (20, 60):
        worker = project.start_worker()
        wait_until_ended(db, killed_after)
        worker.kill()
        worker.wait()
    worker = project.start_worker()
    wait_until_ended(db, MANY)
    worker.terminate()
    assert worker.wait() == 0

    end = account.take(db)
    assert (end.sent, end.exact) == (MANY, True)
    assert dead_paths(db) == trouble.HOPELESS
    doubled = db.execute(
        "select url, name, line, count(*) from scraper.definitions"
        " group by url, kind, name, line, summary having count(*) > 1"
    ).fetchall()
    assert doubled == []


def announce_ends(db: psycopg.Connection[dict[str, Any]]) -> None:
    """Have the database notify this connection whenever a page ends."""
    db.execute(
        "create function announce() returns trigger language plpgsql as"
        " $$ begin perform pg_notify('ended', ''); return null; end $$"
    )
    for table in ("scraper.pages", "postmill.dead_letters"):
        db.execute(f"create trigger announce after insert or update on {table} execute function announce()")
    db.execute("listen ended")


def wait_until_ended(db: psycopg.Connection[dict[str, Any]], pages: int) -> None:
    while account.take(db).settled < pages:
        next(db.notifies(stop_after=1))


def test_the_demo_needs_no_address(tmp_path: Path) -> None:
    """Its worker would not run on a database that nobody named, and `make demo` ended at once."""
    unset = {"POSTMILL_DB_URL", "EDGE_WORKER_DB_URL", "DATABASE_URL"}
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    environment |= {"PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    command = [sys.executable, "-m", "examples.scraper", "--pages", "10"]
    ended = subprocess.run(
        command,
        check=False,
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "none lost, none twice" in ended.stdout

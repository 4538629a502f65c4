"""Starting a project, its schema, and `postmill dev`."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import tomllib
from typing import TYPE_CHECKING, Any

import pytest

from postmill.cli import discover, project_lock
from postmill.model.config.settings import resolve
from postmill.model.errors import AlreadyStarted, EmbeddedError, Refused

if TYPE_CHECKING:
    from pathlib import Path

    import psycopg

    from postmill.model.config.settings import Settings
    from tests.acceptance.conftest import Cli


def test_init_writes_a_project_that_works(cli_without_database: Cli, tmp_path: Path) -> None:
    answer = cli_without_database("init", "shop")
    project = tmp_path / "shop"
    assert answer.code == 0
    assert resolve({}, {}, tomllib.loads((project / "postmill.toml").read_text()), project).is_embedded
    assert [target.name for target in discover.targets(project)] == ["worker:greet"]
    assert (project / ".gitignore").read_text() == ".postmill/\n.env\n__pycache__/\n"


def test_init_never_overwrites(cli_without_database: Cli, tmp_path: Path) -> None:
    (tmp_path / "worker.py").write_text("mine")
    answer = cli_without_database("init")
    assert (answer.code, answer.error_code) == (4, "refused")
    assert (tmp_path / "worker.py").read_text() == "mine"
    assert not (tmp_path / "postmill.toml").exists()


def test_init_keeps_what_git_ignores_already(cli_without_database: Cli, tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("*.log")
    cli_without_database("init")
    assert (tmp_path / ".gitignore").read_text() == "*.log\n.postmill/\n.env\n__pycache__/\n"


def test_migrate_is_done_once_and_prints_what_it_would_do(cli: Cli, db: psycopg.Connection[Any]) -> None:
    assert cli("migrate", "--json").json == []
    assert cli("migrate", "--sql").out == ""
    db.execute("drop schema postmill cascade")
    assert "create table postmill.queues" in cli("migrate", "--sql").out
    assert cli("queue", "list").code == 6
    assert cli("migrate", "--json").json
    assert cli("queue", "list").code == 0


def test_uninstalling_asks_and_leaves_the_queues(cli: Cli, db: psycopg.Connection[Any]) -> None:
    cli("send", "tasks", "1", "--create")
    assert cli("migrate", "--uninstall").code == 4
    assert cli("migrate", "--uninstall", "--sql").code == 2
    assert cli("migrate", "--uninstall", "-y").code == 0
    assert db.execute("select count(*) as messages from pgmq.q_tasks").fetchone() == {"messages": 1}
    assert cli("queue", "list").code == 6


def test_a_second_dev_learns_who_the_first_is(tmp_path: Path) -> None:
    with project_lock.held(tmp_path, "dev", "postgresql://u:***@h/db"):
        holder = json.loads((tmp_path / ".postmill" / "running").read_text())
        with pytest.raises(AlreadyStarted) as raised, project_lock.held(tmp_path, "dev", "other"):
            pass
    assert str(holder["pid"]) in raised.value.why
    assert "postgresql://u:***@h/db" in raised.value.why
    with project_lock.held(tmp_path, "dev", "again"):
        pass


def test_a_file_system_without_locks_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`serve` goes on there, as in a folder that it can't write; the system's bare error ended it."""

    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with (
        pytest.raises(Refused, match="can't be locked") as raised,
        project_lock.held(tmp_path, "serve", "db"),
    ):
        pass
    assert not isinstance(raised.value, AlreadyStarted)


def test_dev_without_a_worker_says_so_and_stops_on_sigterm(
    spawn: Any, database_url: str, tmp_path: Path
) -> None:
    child = spawn("dev", env={"POSTMILL_DB_URL": database_url})
    assert "database" in child.stderr.readline()
    assert "postmill init" in child.stderr.readline()
    second = spawn("dev", env={"POSTMILL_DB_URL": database_url})
    _, told = second.communicate()
    assert second.returncode == 4
    assert str(child.pid) in told
    child.terminate()
    assert child.wait() == 0


def test_a_database_made_outside_of_a_project_is_told(
    cli_without_database: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the wrong folder `queue list` showed a new, empty database, and no sign that it was one."""

    def no_server(_settings: Settings) -> None:
        raise EmbeddedError("not today")

    monkeypatch.setattr("postmill.app.connection", no_server)
    told = f"No postmill.toml here or in a folder above: making a new database in {tmp_path / '.postmill'}.\n"
    assert told in cli_without_database("queue", "list").err
    assert told not in cli_without_database("queue", "list", "--data", "mine").err
    (tmp_path / ".postmill").mkdir()
    assert told not in cli_without_database("queue", "list").err
    (tmp_path / ".postmill").rmdir()
    (tmp_path / "postmill.toml").touch()
    assert told not in cli_without_database("queue", "list").err

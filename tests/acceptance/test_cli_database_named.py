"""Which database something runs on is said, and never a new one by mistake."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.conftest import Cli

WORKER = "from postmill import worker\n@worker(queue='q')\ndef work(p): ...\n"


@pytest.fixture(autouse=True)
def files(tmp_path: Path) -> None:
    (tmp_path / "jobs.py").write_text(WORKER)
    (tmp_path / "functions").mkdir()


@pytest.mark.parametrize("command", [("worker", "run", "jobs:work"), ("serve",)])
def test_without_an_address_nothing_runs_on_a_new_database(
    cli_without_database: Cli, tmp_path: Path, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One mistyped variable gave a healthy worker on an empty database."""
    monkeypatch.setenv("POSTMIL_DB_URL", "postgresql://127.0.0.1/app")
    answer = cli_without_database(*command)
    assert (answer.code, answer.error_code) == (2, "invalid-option")
    assert "--embedded" in answer.err
    assert not (tmp_path / ".postmill").exists()


def first_line(spawn: Any, *command: str, **environment: str) -> str:
    """What the command says first; it is ended then."""
    child = spawn(*command, env=environment)
    line = child.stderr.readline()
    child.send_signal(signal.SIGTERM)
    child.communicate(timeout=60)
    return str(line).strip()


def test_the_start_says_the_address_masked_and_where_it_came_from(spawn: Any, database_url: str) -> None:
    line = first_line(spawn, "worker", "run", "jobs:work", POSTMILL_DB_URL=database_url)
    assert line.startswith("Postmill: database postgres")
    assert line.endswith("(POSTMILL_DB_URL)")


def test_the_address_may_stand_in_the_projects_env_file(
    spawn: Any, database_url: str, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text(f"# ours\nPOSTMILL_DB_URL={database_url}\n", encoding="utf-8-sig")
    (tmp_path / "postmill.toml").write_text('[db]\nurl = "postgresql://127.0.0.1:1/other"\n')
    line = first_line(spawn, "worker", "run", "jobs:work")
    assert line.endswith("(POSTMILL_DB_URL in .env)")
    line = first_line(spawn, "worker", "run", "jobs:work", POSTMILL_DB_URL=database_url)
    assert line.endswith("(POSTMILL_DB_URL)")


def test_a_folder_named_env_is_no_file_of_variables(cli_without_database: Cli, tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()
    assert cli_without_database("functions", "list").code == 0


def test_an_env_file_that_can_not_be_read_is_named(cli_without_database: Cli, tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"A=\xff")
    answer = cli_without_database("functions", "list")
    assert (answer.error_code, str(tmp_path / ".env") in answer.err) == ("invalid-option", True)


@pytest.mark.parametrize("named", ["--embedded", "--data", "postmill.toml"])
def test_the_embedded_one_is_used_where_it_is_asked_for(spawn: Any, tmp_path: Path, named: str) -> None:
    if named == "postmill.toml":
        (tmp_path / named).touch()
    asked = {"--embedded": ["--embedded"], "--data": ["--data", "db"], "postmill.toml": []}[named]
    line = first_line(spawn, "worker", "run", "jobs:work", *asked)
    assert line.endswith("(embedded)")


@pytest.mark.parametrize("url", ["sqlite:///app.db", "mysql://h/db"])
def test_the_address_of_another_kind_of_database_in_the_env_file_is_left_alone(
    cli_without_database: Cli, tmp_path: Path, url: str
) -> None:
    """Every command of such a project would have ended with an error about an address that is not ours."""
    (tmp_path / ".env").write_text(f"DATABASE_URL={url}\n")
    assert cli_without_database("functions", "list").code == 0
    (tmp_path / ".env").write_text(f"POSTMILL_DB_URL={url}\n")
    assert cli_without_database("functions", "list").error_code == "invalid-address"

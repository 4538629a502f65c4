"""``postmill db``, run as a user runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from postmill import embedded
from postmill.embedded import binaries
from tests.embedded.processes import ask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.embedded.processes import Opener

    Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def command(project: Path) -> Iterator[Command]:
    """Run ``postmill db ...`` in the project."""

    def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        known = {name: value for name, value in os.environ.items() if not name.endswith("DB_URL")}
        return subprocess.run(
            [sys.executable, "-m", "postmill.cli.main", "db", *words],
            cwd=project.parent,
            env=known | environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )

    yield run
    embedded.stop(project, force=True)


def test_from_start_to_stop(command: Command, project: Path) -> None:
    assert command("start").returncode == 0
    assert command("start").returncode == 0
    shown = json.loads(command("status", "--json").stdout)
    assert shown["running"]
    assert shown["kept"]
    assert shown["version"].startswith("18.")
    assert shown["data"] == str(project)
    assert ask(command("url").stdout.strip()) == 1
    stopped = command("stop")
    assert (stopped.returncode, stopped.stdout, stopped.stderr) == (0, "", "Stopped.\n")
    assert json.loads(command("stop", "--json").stdout) == {"stopped": False}


def test_status_of_one_that_does_not_run(command: Command, project: Path) -> None:
    done = command("status", "--json")
    assert done.returncode == 3
    assert json.loads(done.stdout) == {"running": False, "data": str(project)}


def test_url_of_one_that_does_not_run(command: Command) -> None:
    done = command("url")
    assert done.returncode == 5
    assert done.stdout == ""
    assert "postmill db start" in done.stderr


def test_stop_while_it_is_used(command: Command, project: Path, opener: Callable[..., Opener]) -> None:
    opener(project).url()
    refused = command("stop")
    assert refused.returncode == 4
    assert "in use" in refused.stderr
    assert command("stop", "--yes").returncode == 0


def test_tcp(command: Command) -> None:
    assert command("start").returncode == 0
    assert command("url", "--tcp").returncode == 3
    assert command("stop").returncode == 0
    started = command("start", "--tcp")
    address = command("url", "--tcp").stdout.strip()
    assert ask(address) == 1
    password = address.split(":")[2].split("@")[0]
    assert password not in started.stdout + started.stderr


def test_psql_prefers_the_one_on_path(command: Command, place: Path) -> None:
    ours = place / "psql"
    ours.write_text('#!/bin/sh\necho called with "$@"\n')
    ours.chmod(0o755)
    done = command("psql", "--", "-c", "SELECT 1", PATH=f"{place}{os.pathsep}{os.environ['PATH']}")
    assert done.returncode == 0
    assert "called with user=postgres dbname=postmill" in done.stdout
    assert done.stdout.endswith("-c SELECT 1\n")


def test_psql_falls_back_on_the_wheels(command: Command, place: Path) -> None:
    assert (binaries.find().bin / "psql").exists()
    done = command("psql", "--", "-Atc", "SELECT 6*7", PATH=str(place))
    assert (done.returncode, done.stdout) == (0, "42\n")


def test_psql_that_fails(command: Command, place: Path) -> None:
    assert command("psql", "--", "-c", "SELECT nonsense", PATH=str(place)).returncode == 1


def test_psql_never_shows_a_password(command: Command, place: Path) -> None:
    ours = place / "psql"
    ours.write_text('#!/bin/sh\necho "$@" and "$PGPASSWORD"\n')
    ours.chmod(0o755)
    done = command(
        "psql",
        PATH=f"{place}{os.pathsep}{os.environ['PATH']}",
        POSTMILL_DB_URL="postgresql://me:s3cret%40@127.0.0.1:1/app",
    )
    words, password = done.stdout.strip().split(" and ")
    assert password == "s3cret@"
    assert "s3cret" not in words


def test_a_project_with_another_database(command: Command) -> None:
    given = {"POSTMILL_DB_URL": "postgresql://me:s3cret@127.0.0.1:1/app"}
    refused = command("start", **given)
    assert refused.returncode == 2
    assert "POSTMILL_DB_URL" in refused.stderr
    assert command("url", **given).stdout == "postgresql://me:***@127.0.0.1:1/app\n"
    assert command("url", "--show-password", **given).stdout == given["POSTMILL_DB_URL"] + "\n"

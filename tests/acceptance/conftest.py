"""The command line as a user has it: in an empty folder, with no setting but the test's database."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from click.testing import CliRunner

from postmill.cli.main import root
from postmill.model.config.settings import ENVIRONMENT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COMMAND = (sys.executable, "-m", "postmill.cli.main")


@dataclass(frozen=True)
class Answer:
    """What one command said, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as one JSON document: nothing else may be in it."""
        return json.loads(self.out)

    @property
    def error_code(self) -> str:
        """The stable code at the end of an error."""
        last = self.err.rstrip().splitlines()[-1]
        assert last.startswith("  code: "), self.err
        return last.removeprefix("  code: ")


class Cli(Protocol):
    """Runs one command in this process."""

    def __call__(self, *arguments: str, stdin: str | bytes | None = None) -> Answer: ...


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of whoever runs the tests reaches them."""
    for variables in ENVIRONMENT.values():
        for variable in variables:
            monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("POSTMILL_DASHBOARD", "off")  # its usual port is that of all tests that run at once
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def cli_without_database() -> Cli:
    """``postmill`` in this process, with no address configured."""

    def run(*arguments: str, stdin: str | bytes | None = None) -> Answer:
        result = CliRunner().invoke(root, arguments, input=stdin)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return Answer(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture
def cli(cli_without_database: Cli, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """``postmill`` in this process, on the test's own migrated database."""
    monkeypatch.setenv("POSTMILL_DB_URL", database_url)
    return cli_without_database


@pytest.fixture
def spawn() -> Iterator[Any]:
    """Starts ``postmill`` as a process of its own; whatever still runs at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str, **options: Any) -> subprocess.Popen[str]:
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", **pipes.pop("env", {})}
        child = subprocess.Popen([*COMMAND, *arguments], text=True, env=environment, **pipes)
        started.append(child)
        return child

    yield start
    for child in started:
        if child.poll() is None:
            child.kill()
        child.communicate()

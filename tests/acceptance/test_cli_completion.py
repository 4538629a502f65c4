"""What the shell offers after Tab, and the example at the end of each help text."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import click
import pytest
from click.shell_completion import ShellComplete

from postmill.cli.examples import EXAMPLES
from postmill.cli.main import root

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.acceptance.conftest import Cli


def offered(*words: str) -> list[str]:
    """What is offered for the last of the words."""
    completing = ShellComplete(root, {}, "postmill", "_POSTMILL_COMPLETE")
    return [item.value for item in completing.get_completions(list(words[:-1]), words[-1])]


def commands(
    command: click.Command, context: click.Context, path: str = ""
) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from commands(inner, context, f"{path} {name}".strip())
    else:
        yield path, command


COMMANDS = dict(commands(root, click.Context(root)))


def test_every_command_has_an_example() -> None:
    assert sorted(EXAMPLES) == sorted(COMMANDS)


@pytest.mark.parametrize("path", EXAMPLES)
def test_every_example_is_a_command_that_can_be_typed(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "functions").mkdir()
    typed = EXAMPLES[path].partition("$(")[2].rstrip(')"') or EXAMPLES[path]
    words = shlex.split(typed.partition(" > ")[0])
    named = 2 if isinstance(root.get_command(click.Context(root), words[1]), click.Group) else 1
    command = COMMANDS[" ".join(words[1 : named + 1])]
    assert command is COMMANDS[path] or path == "functions serve"
    command.make_context(path, words[named + 1 :])  # raises for what can not be typed


@pytest.mark.usefixtures("cli")
def test_commands_and_options_are_offered() -> None:
    assert offered("wor") == ["worker"]
    assert offered("dead", "re") == ["replay"]
    assert "--delay" in offered("send", "q", "1", "--de")


def test_names_of_the_database_are_offered(cli: Cli, db: Any) -> None:
    cli("queue", "create", "mail")
    cli("queue", "create", "media")
    letter = db.execute(
        "insert into postmill.dead_letters (queue_name, msg_id, read_ct, enqueued_at, attempts, kind, reason)"
        " values ('mail', 1, 1, now(), 1, 'error', 'no') returning letter_id"
    ).fetchone()["letter_id"]
    assert offered("queue", "show", "me") == ["media"]
    assert offered("send", "ma") == ["mail"]
    assert offered("dead", "replay", "mail", "") == [str(letter)]
    assert offered("dead", "replay", "media", "") == []


def test_functions_and_workers_of_the_project_are_offered(cli: Cli, tmp_path: Path) -> None:
    cli("functions", "new", "hello")
    (tmp_path / "jobs.py").write_text("from postmill import worker\n@worker\ndef clean(p): ...\n")
    assert offered("functions", "stop", "h") == ["hello"]
    assert offered("worker", "run", "jobs") == ["jobs:clean"]


@pytest.mark.usefixtures("cli_without_database")
def test_completing_starts_no_database_and_shows_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert offered("queue", "show", "") == []
    monkeypatch.setenv("POSTMILL_DB_URL", "postgresql://127.0.0.1:1/nothing")
    assert offered("queue", "show", "") == []
    (tmp_path / "postmill.toml").write_text("broken = [")
    assert offered("functions", "stop", "") == []
    assert list(tmp_path.iterdir()) == [tmp_path / "postmill.toml"]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_its_script(cli_without_database: Cli, shell: str) -> None:
    answer = cli_without_database("completion", shell)
    assert answer.code == 0
    assert "_POSTMILL_COMPLETE" in answer.out


def test_help_texts_name_the_global_options_once(cli_without_database: Cli) -> None:
    told = cli_without_database("queue", "list", "--help").out
    assert "--db-url" not in told
    assert "postmill --help" in told
    assert "--db-url" in cli_without_database("--help").out
    assert cli_without_database("queue", "list", "--db-url", "nonsense").error_code == "invalid-address"

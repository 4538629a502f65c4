"""Commands about functions, secrets and keys that need nothing to run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from postmill.cli.commands.functions import TEMPLATES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.conftest import Cli


@pytest.mark.parametrize("template", TEMPLATES)
def test_new_makes_a_function_of_each_kind(cli_without_database: Cli, tmp_path: Path, template: str) -> None:
    made = cli_without_database("functions", "new", "First", "--template", template)
    assert made.code == 0
    text = (tmp_path / "functions" / "First.py").read_text()
    compile(text, "First.py", "exec")
    assert "NAME" not in text
    assert cli_without_database("functions", "new", "First").code == 4
    (row,) = cli_without_database("functions", "list", "--json").json
    assert (row["function"], row["state"], row["verify_jwt"]) == ("First", "not served", True)


@pytest.mark.parametrize("name", ["_shared", "../up", "1st", "a b", ""])
def test_a_name_that_is_none_is_refused(cli_without_database: Cli, tmp_path: Path, name: str) -> None:
    assert cli_without_database("functions", "new", name).code == 2
    assert not (tmp_path / "functions").exists()


def test_delete_asks_and_takes_its_tables_along(cli_without_database: Cli, tmp_path: Path) -> None:
    cli_without_database("functions", "new", "one")
    folder = tmp_path / "functions" / "two"
    folder.mkdir()
    (folder / "main.py").write_text("async def handler(request): return 'two'\n")
    (folder / "more.py").write_text("")
    (tmp_path / "postmill.toml").write_text("[functions.two]\nverify_jwt = false\n")
    assert cli_without_database("functions", "delete", "one").code == 4
    assert cli_without_database("functions", "delete", "one", "-y").code == 0
    answer = cli_without_database("functions", "delete", "two", "-y")
    assert "Deleted" in answer.err
    assert (tmp_path / "postmill.toml").read_text() == ""
    assert not folder.exists()
    assert cli_without_database("functions", "delete", "two", "-y").code == 3
    (tmp_path / "postmill.toml").write_text("[functions.two]\nverify_jwt = false\n")
    assert cli_without_database("functions", "delete", "two", "-y").code == 2  # its table names no file
    listed = cli_without_database("functions", "list")
    assert listed.code == 0, "the others are listed"
    assert "has no file" in listed.err
    (tmp_path / "postmill.toml").unlink()
    assert cli_without_database("functions", "delete", "two", "-y").code == 3
    assert cli_without_database("functions", "list").out == ""


@pytest.mark.parametrize("action", ["stop", "recycle"])
def test_what_runs_can_only_be_told_through_its_host(cli_without_database: Cli, action: str) -> None:
    assert cli_without_database("functions", action, "one").code == 3


def test_serve_needs_a_folder(cli_without_database: Cli) -> None:
    assert cli_without_database("serve").code == 3


def test_keys_are_shown_by_name_and_only_then(cli_without_database: Cli, tmp_path: Path) -> None:
    assert cli_without_database("keys", "show").code == 3
    made = cli_without_database("init")
    assert ".postmill/keys.json" in made.out
    path = tmp_path / ".postmill" / "keys.json"
    assert path.stat().st_mode & 0o777 == 0o600
    kept = json.loads(path.read_text())
    assert cli_without_database("keys", "show").out == kept["publishable"] + "\n"
    assert cli_without_database("keys", "show", "service_role").out == kept["service_role"] + "\n"
    assert not any(value in made.out + made.err for value in kept.values())


def test_init_leaves_keys_that_are_there(cli_without_database: Cli, tmp_path: Path) -> None:
    (tmp_path / ".postmill").mkdir()
    path = tmp_path / ".postmill" / "keys.json"
    path.write_text("mine")
    assert cli_without_database("init").code == 0
    assert path.read_text() == "mine"


def test_secrets_are_set_listed_and_unset(cli_without_database: Cli, tmp_path: Path) -> None:
    (tmp_path / "more.env").write_text("THIRD='3'\n")
    said = cli_without_database("secrets", "set", "FIRST=hush=hush", "--env-file", "more.env")
    assert said.code == 0
    assert cli_without_database("secrets", "set", "SECOND", stdin="from stdin\n").code == 0
    listed = cli_without_database("secrets", "list", "--json")
    assert [row["name"] for row in listed.json] == ["FIRST", "SECOND", "THIRD"]
    assert all(len(row["digest"]) == 64 for row in listed.json)
    assert "hush" not in said.out + said.err + listed.out
    kept = json.loads((tmp_path / ".postmill" / "secrets.json").read_text())
    assert kept == {"FIRST": "hush=hush", "SECOND": "from stdin", "THIRD": "3"}
    assert cli_without_database("secrets", "unset", "FIRST", "NOWHERE").code == 3
    assert cli_without_database("secrets", "unset", "FIRST", "THIRD").code == 0
    assert [row["name"] for row in cli_without_database("secrets", "list", "--json").json] == ["SECOND"]


@pytest.mark.parametrize("arguments", [[], ["A", "B"], ["SUPABASE_URL=x"], ["A-B=x"], ["PATH=x"], ["EMPTY"]])
def test_secrets_that_can_not_be_are_refused(cli_without_database: Cli, arguments: list[str]) -> None:
    assert cli_without_database("secrets", "set", *arguments, stdin="").code == 2
    assert cli_without_database("secrets", "list", "--json").json == []


def test_there_may_be_no_log_yet(cli_without_database: Cli) -> None:
    answer = cli_without_database("logs")
    assert (answer.code, answer.out) == (0, "")

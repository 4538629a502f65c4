"""What a wrong call, address or database looks like: the words, the code, the exit code, and no password."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import psycopg
import pytest

from postmill.cli.exit_codes import exit_code
from postmill.embedded import open_server
from postmill.model import errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.acceptance.conftest import Cli

PASSWORD = "p@ss/w:rd% #1"


@pytest.fixture(scope="module")
def guarded_url() -> Iterator[str]:
    """A server that wants a password on its TCP port, with a role ``guest``; its superuser's address."""
    with open_server(None, throwaway=True, tcp=True) as server:
        assert server.tcp_url is not None
        with psycopg.connect(server.tcp_url, autocommit=True) as connection:
            connection.execute(f"create role guest login password '{PASSWORD}'")
        yield server.tcp_url


def as_guest(url: str, password: str) -> str:
    """The same server's address for ``guest``."""
    return f"postgresql://guest:{password}@{url.rpartition('@')[2]}"


@pytest.mark.parametrize(
    ("arguments", "nearest"),
    [
        (("quue", "list"), "queue"),
        (("queue", "lsit"), "list"),
        (("queue", "list", "--jsno"), "--json"),
        (("--projct", "x", "doctor"), "--project"),
        (("message", "list", "tasks", "--state", "redy"), "ready"),
    ],
)
def test_a_misspelt_word_is_answered_with_the_nearest_one(
    cli_without_database: Cli, arguments: tuple[str, ...], nearest: str
) -> None:
    answer = cli_without_database(*arguments)
    assert (answer.code, answer.out, answer.error_code) == (2, "", "usage")
    assert nearest in answer.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("message", "show", "tasks"),
        ("message", "cancel", "tasks"),
        ("message", "list", "tasks", "--before"),
        ("dead", "show"),
        ("dead", "replay", "tasks"),
        ("operation", "show"),
        ("audit", "list", "--before"),
        ("run", "show"),
        ("run", "cancel"),
        ("calls", "show"),
    ],
)
def test_an_id_that_no_bigint_holds(cli_without_database: Cli, arguments: tuple[str, ...]) -> None:
    """The database refused it, as "Bigint out of range." and exit code 1."""
    answer = cli_without_database(*arguments, str(2**63))
    assert (answer.code, answer.error_code) == (2, "usage")
    assert f"{2**63} is not in the range" in answer.err


def test_a_key_that_is_not_named_is_not_revoked(cli_without_database: Cli, tmp_path: Path) -> None:
    cli_without_database("init", str(tmp_path))
    answer = cli_without_database("--project", str(tmp_path), "keys", "revoke", "")
    assert (answer.code, answer.error_code) == (2, "invalid-option")


def test_json_and_jsonl_exclude_each_other(cli_without_database: Cli) -> None:
    assert cli_without_database("message", "list", "tasks", "--json", "--jsonl").code == 2


def test_a_database_that_can_not_be_reached(cli_without_database: Cli) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        answer = cli_without_database(
            "queue", "list", "--db-url", f"postgresql://u:hunter2@127.0.0.1:{port}/db"
        )
    assert (answer.code, answer.out, answer.error_code) == (5, "", "database-unavailable")
    assert "refused" in answer.err
    assert "send under way" not in answer.err  # nothing was sent: there was no connection
    assert "from --db-url" in answer.err
    assert "hunter2" not in answer.err


def test_a_password_that_is_not_encoded(cli_without_database: Cli, guarded_url: str) -> None:
    answer = cli_without_database("queue", "list", "--debug", "--db-url", as_guest(guarded_url, PASSWORD))
    assert (answer.code, answer.error_code) == (2, "invalid-address")
    assert "percent-encoded" in answer.err
    assert PASSWORD not in answer.err


def test_a_wrong_password(cli_without_database: Cli, guarded_url: str) -> None:
    wrong = quote(PASSWORD + "x", safe="")
    answer = cli_without_database("queue", "list", "--debug", "--db-url", as_guest(guarded_url, wrong))
    assert (answer.code, answer.error_code) == (5, "login-failed")
    assert "password authentication failed" in answer.err
    assert "Traceback" in answer.err
    assert wrong not in answer.err
    assert PASSWORD not in answer.err


def test_the_right_password_gets_as_far_as_the_schema(cli_without_database: Cli, guarded_url: str) -> None:
    answer = cli_without_database(
        "queue", "list", "--db-url", as_guest(guarded_url, quote(PASSWORD, safe=""))
    )
    assert (answer.code, answer.error_code) == (6, "schema-missing")
    assert "postmill migrate" in answer.err


def test_a_database_that_does_not_exist(cli_without_database: Cli, database_url: str) -> None:
    answer = cli_without_database("queue", "list", "--db-url", database_url.replace("/test_", "/no_such_"))
    assert (answer.code, answer.error_code) == (5, "login-failed")
    assert "createdb" in answer.err


def test_without_the_right_to_do_it(cli_without_database: Cli, guarded_url: str) -> None:
    """Said in words, with what to do, not as a bug."""
    cli_without_database("migrate", "--db-url", guarded_url)
    with psycopg.connect(guarded_url, autocommit=True) as connection:
        connection.execute("grant usage on schema postmill to guest")
        connection.execute("grant select on all tables in schema postmill to guest")
    guest = as_guest(guarded_url, quote(PASSWORD, safe=""))
    answer = cli_without_database("queue", "create", "tasks", "--db-url", guest)
    assert (answer.code, answer.error_code) == (1, "error")
    assert "ermission denied" in answer.err
    assert "Grant" in answer.err


def test_a_schema_of_a_newer_release(cli: Cli, db: psycopg.Connection[Any]) -> None:
    db.execute("update postmill.migrations set name = '9999_pre_future'")
    answer = cli("queue", "list")
    assert (answer.code, answer.error_code) == (6, "schema-too-new")


@pytest.mark.parametrize(
    ("text", "told"), [("[db\n", "line 1"), ("[db]\nulr = 1\n", "Did you mean url?"), ("\udcff", "TOML")]
)
def test_a_bad_postmill_toml(cli_without_database: Cli, tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "postmill.toml").write_bytes(os.fsencode(text))
    answer = cli_without_database("queue", "list")
    assert (answer.code, answer.error_code) == (2, "invalid-option")
    assert told in answer.err


def test_a_project_folder_that_is_not_there(cli_without_database: Cli) -> None:
    assert cli_without_database("queue", "list", "--project", "nowhere").code == 3


def test_options_of_the_project_are_taken_before_and_after_the_command(
    cli_without_database: Cli, database_url: str, tmp_path: Path
) -> None:
    project = tmp_path / "project"
    (project / "deep").mkdir(parents=True)
    (project / "postmill.toml").write_text(f'[db]\nurl = "{database_url}"\n')
    assert cli_without_database("--project", str(project), "queue", "list", "--json").json == []
    assert cli_without_database("queue", "list", "--json", "--project", str(project)).json == []
    os.chdir(project / "deep")
    assert cli_without_database("queue", "list", "--json").json == []


def test_nothing_given_shows_the_help_and_is_a_usage_error(cli_without_database: Cli) -> None:
    answer = cli_without_database()
    assert (answer.code, answer.out) == (2, "")
    assert "Commands:" in answer.err


def test_quiet_drops_remarks_but_not_data(cli: Cli) -> None:
    answer = cli("send", "fresh", "1", "--create", "-q")
    assert (answer.code, answer.out, answer.err) == (0, "1\n", "")


def test_passwords_are_hidden_from_the_process_list(spawn: Any) -> None:
    """The server never answers, so the command is still running when its arguments are read."""
    if not Path("/proc/self/cmdline").exists():
        pytest.skip("arguments can be overwritten on Linux only")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://u:hunter2@127.0.0.1:{silent.getsockname()[1]}/db"
        child = spawn("queue", "list", "--db-url", url)
        connection, _ = silent.accept()
        arguments = Path(f"/proc/{child.pid}/cmdline").read_bytes()
        connection.close()
        _, told = child.communicate()
    assert b"postgresql://u:*******@127.0.0.1" in arguments
    assert child.returncode == 5
    assert "hunter2" not in told


def test_a_reader_that_goes_away_is_no_error(
    spawn: Any, database_url: str, db: psycopg.Connection[Any]
) -> None:
    db.execute("select postmill.create_queue('tasks')")
    db.execute(
        "select pgmq.send_batch('tasks', array_agg(to_jsonb(repeat('x', 500)))) from generate_series(1, 2000)"
    )
    child = spawn("message", "list", "tasks", "--limit", "2000", env={"POSTMILL_DB_URL": database_url})
    child.stdout.readline()
    child.stdout.close()
    told = child.stderr.read()
    assert (child.wait(), told) == (0, "")


def all_errors(
    root: type[errors.PostmillError] = errors.PostmillError,
) -> Iterator[type[errors.PostmillError]]:
    yield root
    for leaf in root.__subclasses__():
        yield from all_errors(leaf)


def test_every_error_has_an_exit_code() -> None:
    codes = {
        kind.code: int(exit_code(kind("x"))) for kind in all_errors() if kind.__module__ == errors.__name__
    }
    assert codes["queue-not-found"] == 3
    assert codes["already-started"] == 4
    assert codes["embedded"] == 5
    assert codes["timed-out"] == 7
    assert (codes["message-dead"], codes["message-cancelled"]) == (9, 10)
    assert set(codes.values()) <= {1, 2, 3, 4, 5, 6, 7, 9, 10}

"""Files that people bring: other encodings and line ends, pipes, links to nowhere, folders that are gone."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.conftest import COMMAND

if TYPE_CHECKING:
    from pathlib import Path

    import psycopg

    from tests.acceptance.conftest import Cli

NAMES = ["postmill.toml", "worker.py"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"caf\xe9\n", b"caf\xe9\n.postmill/\n.env\n__pycache__/\n"),
        (b"a/\r\nb/\r\n", b"a/\r\nb/\r\n.postmill/\r\n.env\r\n__pycache__/\r\n"),
        (b"a/\r\n.postmill/", b"a/\r\n.postmill/\r\n.env\r\n__pycache__/\r\n"),
        (
            b"\xef\xbb\xbf.postmill/\n.env\n",
            b"\xef\xbb\xbf.postmill/\n.env\n__pycache__/\n",
        ),
    ],
)
def test_init_adds_to_gitignore_and_changes_nothing_of_it(
    cli_without_database: Cli, tmp_path: Path, before: bytes, after: bytes
) -> None:
    """One that was not UTF-8 left a project half made; CRLF became LF."""
    (tmp_path / ".gitignore").write_bytes(before)
    assert cli_without_database("init").code == 0
    assert (tmp_path / ".gitignore").read_bytes() == after


def test_init_that_fails_can_be_tried_again(cli_without_database: Cli, tmp_path: Path) -> None:
    for spoil in (
        lambda: (tmp_path / ".gitignore").write_bytes("*.log\n".encode("utf-16")),
        (tmp_path / ".gitignore").mkdir,
        lambda: (tmp_path / ".postmill").symlink_to(tmp_path / "nowhere"),
    ):
        spoil()
        answer = cli_without_database("init")
        assert answer.code in {1, 4}
        assert "bug" not in answer.err
        assert not any((tmp_path / name).exists() for name in NAMES)
        for name in (".gitignore", ".postmill"):
            path = tmp_path / name
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
    assert cli_without_database("init").code == 0


@pytest.mark.parametrize("command", [["queue", "list"], ["dev"], ["secrets", "set", "A=1"], ["init"]])
def test_a_state_folder_that_is_a_link_to_nowhere_is_named_at_once(
    cli_without_database: Cli, tmp_path: Path, command: list[str]
) -> None:
    (tmp_path / ".postmill").symlink_to(tmp_path / "nowhere")
    answer = cli_without_database(*command)
    assert answer.code in {4, 5}
    assert "leads nowhere" in answer.err


@pytest.mark.parametrize("command", [["dev"], ["serve"]])
def test_it_is_named_beside_a_database_of_ones_own_too(cli: Cli, tmp_path: Path, command: list[str]) -> None:
    (tmp_path / ".postmill").symlink_to(tmp_path / "nowhere")
    (tmp_path / "functions").mkdir()
    answer = cli(*command)
    assert answer.code == 4
    assert "leads nowhere" in answer.err


@pytest.mark.parametrize("command", [["queue", "list"], ["init"], ["keys", "show"], ["functions", "list"]])
def test_a_working_folder_that_was_deleted_is_named(tmp_path: Path, command: list[str]) -> None:
    """It was called a bug of ours."""
    gone = tmp_path / "gone"
    gone.mkdir()
    script = f"cd {gone} && rmdir {gone} && {' '.join([*COMMAND, *command])}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "working folder was deleted" in done.stderr
    assert "bug" not in done.stderr


def test_lines_are_read_as_editors_on_windows_write_them(
    cli: Cli, tmp_path: Path, db: psycopg.Connection[Any]
) -> None:
    (tmp_path / "bom.jsonl").write_bytes(b'\xef\xbb\xbf{"a":1}\r\n{"b":2}\r\n\r\n')
    assert cli("send", "tasks", "-f", "bom.jsonl", "--create").code == 0
    assert db.execute("select count(*) as n from pgmq.q_tasks").fetchone() == {"n": 2}
    (tmp_path / "utf16.jsonl").write_bytes('{"a":1}\n'.encode("utf-16"))
    answer = cli("send", "tasks", "-f", "utf16.jsonl")
    assert answer.code == 2
    assert "UTF-16" in answer.err


def test_a_pipe_is_a_file_of_lines(cli: Cli, db: psycopg.Connection[Any]) -> None:
    """`send -f <(command)` was answered with: there is no file."""
    reading, writing = os.pipe()
    os.write(writing, b'{"a":1}\n{"a":2}\n')
    os.close(writing)
    try:
        assert cli("send", "tasks", "-f", f"/dev/fd/{reading}", "--create").code == 0
    finally:
        os.close(reading)
    assert db.execute("select count(*) as n from pgmq.q_tasks").fetchone() == {"n": 2}


def test_a_file_that_can_not_be_read_leaves_no_queue_behind(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    for name in ("loop", ".", "missing"):
        assert cli("send", "tasks", "-f", name, "--create").code in {1, 2}
    assert cli("queue", "list", "--json").json == []


def test_settings_may_begin_with_a_byte_order_mark(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "postmill.toml").write_bytes(b'\xef\xbb\xbf[log]\r\nlevel = "debug"\r\n')
    assert cli("queue", "list").code == 0

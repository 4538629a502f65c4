"""A state file may be torn, huge, a pipe, or of another release: nothing waits for it or fails over it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from postmill.auth import jwks, private_file
from postmill.cli import served
from postmill.cli.terminal.log_file import _parsed
from postmill.embedded import state_file
from postmill.embedded.folder import read_state
from postmill.model.errors import Refused

if TYPE_CHECKING:
    from pathlib import Path

DEEP = b'{"url": ' + b"[" * 30_000 + b"]" * 30_000 + b"}"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"url": "htt',
        b"[1]",
        b"null",
        b"\xff\xfe",
        b"\0" * 100,
        DEEP,
        b'{"url": "' + b"x" * 10_000_000 + b'"}',
    ],
    ids=["empty", "torn", "list", "null", "no UTF-8", "zeros", "deep", "huge"],
)
def test_what_is_no_state_is_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / ".postmill" / "served.json"
    path.parent.mkdir()
    path.write_bytes(content)
    assert state_file.read(path) == {}
    assert read_state(path) is None
    assert served.ask(tmp_path, "GET", "functions") is None


def test_a_pipe_or_a_folder_in_its_place_is_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "server.json"
    os.mkfifo(pipe)
    assert (state_file.read(pipe), state_file.read(tmp_path)) == ({}, {})


def test_a_state_of_a_later_release_is_none_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "server.json"
    path.write_text('{"version": 9, "servers": []}', encoding="utf-8")
    assert read_state(path) is None
    assert state_file.read(path) == {"version": 9, "servers": []}


def test_other_json_may_be_nested_as_deep(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_bytes(DEEP)
    path.chmod(0o600)
    with pytest.raises(Refused, match="not one JSON object"):
        private_file.read(path)
    with pytest.raises(ValueError, match="deep"):
        jwks.parse(DEEP)
    assert list(_parsed([DEEP.decode(), '{"event": "x"}'])) == [{"event": "x"}]

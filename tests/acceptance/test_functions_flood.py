"""Ten thousand connections that say nothing: bounded, and an honest caller is served meanwhile."""

from __future__ import annotations

import resource
import socket
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from postmill.web.limits import SPARE_DESCRIPTORS, ConnectionLimits
from tests.serving import Serving

if TYPE_CHECKING:
    from collections.abc import Iterator

MANY = 10_000
OWN = 256
"""Descriptors that this process keeps for itself."""


@contextmanager
def room_for_many() -> Iterator[int]:
    """How many connections this process may open, ten thousand where the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MANY + OWN if hard == resource.RLIM_INFINITY else min(MANY + OWN, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
    try:
        yield most - OWN
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def answer_on(connection: socket.socket) -> bytes:
    """All that comes until the host hangs up."""
    heard = b""
    try:
        while piece := connection.recv(4096):
            heard += piece
    except ConnectionResetError:
        pass
    return heard


def is_served(serving: Serving) -> bool:
    """Whether somebody who comes now is answered."""
    response = httpx.get(f"{serving.functions}/hello", headers={"apikey": serving.keys.anon}, timeout=60)
    return response.text == "hello"


@pytest.mark.slow
def test_ten_thousand_silent_connections_are_bounded(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those beyond the bound are told so, the others that they were too slow; nobody else notices."""
    monkeypatch.setenv("POSTMILL_DB_URL", database_url)
    (tmp_path / "postmill.toml").write_text("[runtime]\nport = 0\n")
    (tmp_path / "functions").mkdir()
    (tmp_path / "functions" / "hello.py").write_text("async def handler():\n    return 'hello'\n")
    with room_for_many() as count, Serving(tmp_path, "serve", "--on-demand") as serving, ExitStack() as stack:
        assert is_served(serving)
        host, port = serving.url.removeprefix("http://").split(":")
        silent = []
        for number in range(count):
            silent.append(stack.enter_context(socket.create_connection((host, int(port)), 60)))
            if number % 1000 == 0:
                assert is_served(serving)
        opened = len(list(Path(f"/proc/{serving.process.pid}/fd").iterdir()))
        assert opened <= ConnectionLimits().connections + SPARE_DESCRIPTORS
        assert is_served(serving)
        told = [answer_on(each).split(b" ", 2)[1] for each in silent]
        assert set(told) <= {b"503", b"408"}
        assert is_served(serving)

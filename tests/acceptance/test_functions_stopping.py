"""How `postmill serve` ends: asked once it waits for what runs, asked twice it waits for nobody."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from postmill.service.stop_requests import ECHO_S
from tests.serving import Serving

if TYPE_CHECKING:
    from collections.abc import Iterator

STREAMS = """
import asyncio, os
from starlette.responses import StreamingResponse

async def ticks():
    yield str(os.getpid())
    await asyncio.Event().wait()

async def handler():
    return StreamingResponse(ticks())
"""
STUBBORN = """
import asyncio, os, signal, time
from starlette.responses import StreamingResponse

for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)

async def hangs():
    yield str(os.getpid())
    await asyncio.sleep(0.1)  # the piece is on its way
    print("HANGS", flush=True)
    while True:
        try:
            time.sleep(3600)
        except BaseException:
            continue

async def handler():
    return StreamingResponse(hangs())
"""


@pytest.fixture
def serving(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serving]:
    """A function that streams for ever and one that hears no signal, with all the time to finish."""
    monkeypatch.setenv("POSTMILL_DB_URL", database_url)
    (tmp_path / "postmill.toml").write_text("[runtime]\nport = 0\ngrace_s = 1000\n")
    (tmp_path / "functions").mkdir()
    for name, text in {"streams": STREAMS, "stubborn": STUBBORN}.items():
        (tmp_path / "functions" / f"{name}.py").write_text(text)
    with Serving(tmp_path, "serve", "--on-demand") as running:
        yield running


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_forces_whatever_a_function_does(serving: Serving, how: signal.Signals) -> None:
    with serving.client.stream("GET", "streams") as first, serving.client.stream("GET", "stubborn") as second:
        pieces = [each.iter_text() for each in (first, second)]
        processes = [int(next(each)) for each in pieces]
        serving.said("HANGS")
        serving.process.send_signal(how)
        serving.said("Stopping")
        time.sleep(ECHO_S)
        assert serving.process.poll() is None
        assert serving.stop(how) == 0
        for each in pieces:
            with pytest.raises(httpx.RemoteProtocolError):
                next(each)
    assert not any(Path(f"/proc/{pid}").exists() for pid in processes)
    ends = [line for line in serving.log.splitlines() if "function.shutdown" in line]
    assert len(ends) == 2, serving.log
    assert all("TerminationRequested" in line for line in ends), serving.log

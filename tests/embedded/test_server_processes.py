"""A process id is another program's after a while: a signal goes to the very process that was meant."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from postmill.embedded import server_processes

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the system has no /proc")


@pytest.fixture
def namesake(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that works in the folder and calls itself what a session of Postgres does."""
    command = ["bash", "-c", "exec -a 'postgres: postmill' sleep 60"]
    with subprocess.Popen(command, cwd=tmp_path) as child:
        while not server_processes.is_server(child.pid, tmp_path):
            assert child.poll() is None
        yield child
        child.kill()


def test_one_that_began_at_another_time_is_not_signalled(
    tmp_path: Path, namesake: subprocess.Popen[bytes]
) -> None:
    since = server_processes.begun(namesake.pid)
    boot, ticks = since.split(":")
    for other in (f"{boot}:{int(ticks) - 1}", f"another-boot:{ticks}"):
        assert not server_processes.send(namesake.pid, signal.SIGTERM, tmp_path, other)
    assert namesake.poll() is None
    assert server_processes.send(namesake.pid, signal.SIGTERM, tmp_path, since)
    assert namesake.wait(10) == -signal.SIGTERM


def test_one_in_another_folder_is_not_signalled(tmp_path: Path, namesake: subprocess.Popen[bytes]) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    assert not server_processes.send(namesake.pid, signal.SIGTERM, copy)
    assert namesake.poll() is None


def test_a_process_that_is_gone_began_never(tmp_path: Path) -> None:
    with subprocess.Popen(["true"]) as child:
        child.wait()
    assert server_processes.begun(child.pid) == ""
    assert not server_processes.send(child.pid, signal.SIGTERM, tmp_path)

"""The tests' own private server: what a fault test relies on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.embedded.processes import GIVE_UP_S, alive, ask, until

if TYPE_CHECKING:
    from tests.servers import PrivateServer

_HOLDER = """
import sys
from tests import servers
private = servers.PrivateServer(servers.binaries_of(18))
private.start()
print(private.pid, private.folder, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("mode", ["fast", "immediate", "kill"])
def test_its_address_outlives_any_stop(server: PrivateServer, mode: str) -> None:
    ask(server.url, "SELECT postmill.create_queue('kept')")
    server.stop(mode)
    with pytest.raises(psycopg.OperationalError):
        ask(server.url)
    server.start()
    assert ask(server.url, "SELECT count(*) FROM pgmq.meta WHERE queue_name = 'kept'") == 1


def test_it_goes_with_a_killed_test_process() -> None:
    repository = Path(__file__).parents[2]
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER],
        cwd=repository,
        env=os.environ | {"PYTHONPATH": str(repository)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdout
        pid, folder = holder.stdout.readline().split()
        holder.send_signal(signal.SIGKILL)
        holder.wait(GIVE_UP_S)
    until(lambda: not alive(int(pid)), "server gone")
    until(lambda: not Path(folder).exists(), "folder gone")

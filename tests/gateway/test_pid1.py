"""Process 1 of a container: signals go to the child, its exit code comes back, orphans are reaped."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

# A child subreaper inherits orphans as process 1 does, which needs no container to try.
SUBREAPER = """
import ctypes, os, signal, sys, time
from postmill.web.pid1 import become_reaper
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
become_reaper()
"""
ORPHANS = """
for _ in range(3):
    if os.fork() == 0:
        if os.fork() == 0:
            os._exit(0)
        os._exit(0)
    os.wait()
def left():
    with open(f"/proc/{os.getppid()}/task/{os.getppid()}/children") as file:
        return [pid for pid in file.read().split() if int(pid) != os.getpid()]
while left():
    time.sleep(0.01)
print("reaped", flush=True)
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="child subreapers are Linux's")


def started(code: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", SUBREAPER + code], stdout=subprocess.PIPE, text=True)


def test_orphans_are_reaped_and_the_exit_code_comes_back() -> None:
    with started(ORPHANS + "sys.exit(7)") as process:
        assert process.communicate(timeout=60)[0] == "reaped\n"
    assert process.returncode == 7


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_are_passed_on(number: signal.Signals) -> None:
    code = f"signal.signal({int(number)}, lambda *_: sys.exit(9))\nprint('up', flush=True)\n"
    with started(code + "while True: time.sleep(1)") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        process.send_signal(number)
        assert process.wait(60) == 9


def test_a_child_that_was_killed_is_told_as_a_shell_would() -> None:
    with started("os.kill(os.getpid(), signal.SIGKILL)") as process:
        assert process.wait(60) == 128 + signal.SIGKILL


def test_elsewhere_nothing_is_forked() -> None:
    code = "import os\nfrom postmill.web.pid1 import stand_in_as_pid1\n"
    code += "before = os.getpid()\nstand_in_as_pid1()\nassert os.getpid() == before"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)

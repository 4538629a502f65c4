"""Standard streams that are closed, full, broken or not read: commands do their work and end when told to."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.conftest import COMMAND

if TYPE_CHECKING:
    import psycopg

FULL = Path("/dev/full")
ONE = "async def handler(request): return 'one'\n"
WORKER = """
from postmill import worker

@worker(queue="tasks", max_poll_seconds=0.5)
async def greet(payload):
    print("hello", flush=True)
"""


@pytest.fixture
def project(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one function and one worker."""
    monkeypatch.setenv("POSTMILL_DB_URL", database_url)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "functions").mkdir()
    (tmp_path / "functions" / "one.py").write_text(ONE)
    (tmp_path / "work.py").write_text(WORKER)
    (tmp_path / "postmill.toml").write_text("[runtime]\nport = 0\n")
    return tmp_path


def run(command: str) -> subprocess.CompletedProcess[str]:
    """A shell line in which ``P`` is ``postmill``."""
    script = f'P() {{ {" ".join(COMMAND)} "$@"; }}; {command}'
    return subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False, timeout=100)


@pytest.mark.parametrize("redirection", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_a_closed_stream_is_no_error(project: Path, redirection: str) -> None:
    """Python has None in the place of such a stream, and gives its number to the next file or socket."""
    run("P queue create tasks")
    for command in ("queue list", "queue list --json", "--help", "--version", "logs"):
        done = run(f"P {command} {redirection}")
        assert (done.returncode, done.stderr) == (0, ""), command


def test_a_closed_stream_is_not_mixed_up_with_another_file(project: Path) -> None:
    done = run("P queue purge nosuch -y 2>&-")
    assert (done.returncode, done.stdout, done.stderr) == (3, "", "")
    assert run("P init sub >&- 2>&-").returncode == 0
    assert "P init" not in (project / "sub" / "worker.py").read_text()


def test_nothing_can_be_sent_from_a_closed_input(project: Path) -> None:
    assert "closed" in run("P send tasks -f - --create <&-").stderr
    assert run("P secrets set A <&-").returncode == 2


def test_a_full_disk_is_said_in_words(project: Path) -> None:
    """It was called a bug of ours, and Python added a second complaint at its end."""
    for command in ("queue list --json", "--version", "--help", "doctor --json"):
        done = run(f"P {command} >{FULL}")
        assert done.returncode == 1, command
        assert "No space left on device" in done.stderr
        assert "bug" not in done.stderr
        assert "Exception ignored" not in done.stderr


def test_remarks_that_can_not_be_written_change_nothing(project: Path) -> None:
    assert run(f"P queue create tasks 2>{FULL}").returncode == 0
    assert run(f"P queue purge nosuch -y 2>{FULL}").returncode == 3


def test_a_reader_that_has_seen_enough_is_no_error(project: Path) -> None:
    for command in ("--help", "-q queue list", "logs -f"):
        done = run(f"P {command} | true; echo ${{PIPESTATUS[0]}}")
        assert (done.stdout, done.stderr) == ("0\n", ""), command


def _read_until(reading: int, text: bytes) -> None:
    """Until the command has said that it runs, and so hears signals."""
    said = b""
    while text not in said:
        more = os.read(reading, 4096)
        assert more, said.decode()
        said += more


@pytest.mark.parametrize(
    "arguments", [["serve"], ["dev"], ["dev", "--no-reload"], ["worker", "run", "work:greet"]]
)
@pytest.mark.parametrize("how", ["gone", "not reading"])
def test_a_signal_ends_what_runs_whoever_reads(project: Path, arguments: list[str], how: str) -> None:
    """serve and dev spoke first and decided then: with nobody to speak to they heard no signal, for ever."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    child = subprocess.Popen(
        [*COMMAND, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=writing,
        stderr=writing,
        start_new_session=True,
    )
    try:
        _read_until(reading, b"worker.started" if arguments[0] == "worker" else b"functions at")
        {"gone": _close, "not reading": _fill}[how](reading, writing)
        child.terminate()
        assert child.wait(60) == 0
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        for descriptor in (reading, writing):
            with suppress(OSError):
                os.close(descriptor)


def _close(reading: int, writing: int) -> None:
    os.close(writing)
    os.close(reading)


def _fill(_: int, writing: int) -> None:
    """The reader is there and does not read."""
    os.set_blocking(writing, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writing, b"x" * 512)
    os.set_blocking(writing, True)


def test_a_message_is_done_although_nobody_reads_what_its_handler_prints(
    project: Path, db: psycopg.Connection[Any]
) -> None:
    """The log's reader dies, and each print in a handler was the failure of its message."""
    run("P send tasks '{}' --create")
    reading, writing = os.pipe()
    child = subprocess.Popen(
        [*COMMAND, "worker", "run", "work:greet"], stdout=writing, stderr=subprocess.DEVNULL
    )
    _close(reading, writing)
    try:
        while db.execute("select count(*) as n from pgmq.q_tasks").fetchone() != {"n": 0}:
            assert child.poll() is None
        assert db.execute("select count(*) as n from postmill.failures").fetchone() == {"n": 0}
    finally:
        child.terminate()
        assert child.wait(60) == 0


def test_a_terminal_that_is_gone_before_the_first_line_is_no_error(project: Path) -> None:
    """Its reader is gone as that of a pipe is, but the number of the error is another one."""
    ours, theirs = pty.openpty()
    os.close(ours)
    done = subprocess.run(
        [*COMMAND, "queue", "list", "--json"], stdout=theirs, stderr=subprocess.PIPE, check=False
    )
    os.close(theirs)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("command", [["top"], ["logs", "-f"]])
def test_who_shows_something_ends_with_its_terminal(project: Path, command: list[str]) -> None:
    """A terminal may go without a signal; rich then found that it was none, and showed nothing for ever."""
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-c", _WITHOUT_HANGUP, *COMMAND, *command],
        stdin=theirs,
        stdout=theirs,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        if command == ["top"]:
            assert os.read(ours, 1)
        os.close(ours)
        assert child.wait(60) == 0
    finally:
        child.kill()
        child.wait()


_WITHOUT_HANGUP = """
import os, signal, sys
signal.signal(signal.SIGHUP, signal.SIG_IGN)
os.execv(sys.argv[1], sys.argv[1:])
"""

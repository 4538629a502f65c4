"""Processes around an embedded server: openers that can be killed, other users, and who is left."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import psycopg
import pytest

import postmill

if TYPE_CHECKING:
    from collections.abc import Callable

GIVE_UP_S = 60.0
"""How long a signal may take before a test is given up; no test measures time."""

_OPENER = """
import json, sys
from pathlib import Path
from postmill.embedded.server import open_with
from postmill.embedded.supervisor_options import Options
from postmill.model.errors import PostmillError
asked = json.loads(sys.stdin.readline())
try:
    server = open_with(Path(asked.pop("data_dir")), Options(**asked))
except PostmillError as error:
    print(json.dumps({"error": [error.what, error.why, error.hint]}), flush=True)
    sys.exit(1)
print(json.dumps({"url": server.url, "pid": server.pid}), flush=True)
sys.stdin.readline()
server.close()
"""


class Opener:
    """A process that holds a share of a server until it is told to let go, or killed."""

    def __init__(self, folder: Path, *, user: str | None = None, **options: Any) -> None:
        python = sys.executable if user is None else python_for(user)
        self.process = subprocess.Popen(
            [python, "-c", _OPENER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd="/",
            env={"PATH": os.environ["PATH"], "PYTHONPATH": _search_path()},
            start_new_session=True,
            **_as_user(user),
        )
        assert self.process.stdin
        self.process.stdin.write(json.dumps({"data_dir": str(folder), **options}) + "\n")
        self.process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """What it says once the server is open, or why it is not."""
        assert self.process.stdout
        found: dict[str, Any] = json.loads(self.process.stdout.readline())
        return found

    def url(self) -> str:
        """The address it got; fails the test when it got none."""
        found = self.answer()
        assert "url" in found, found
        return str(found["url"])

    def kill(self) -> None:
        """Kill -9, without a chance to clean up."""
        self.process.kill()
        self._reap()

    def close(self) -> None:
        """Let go of the share in good order and end. May be called twice."""
        if self.process.poll() is None and self.process.stdin and not self.process.stdin.closed:
            self.process.stdin.close()
        self._reap()

    def _reap(self) -> None:
        self.process.wait(GIVE_UP_S)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe and not pipe.closed:
                pipe.close()


def python_for(user: str) -> str:
    """An interpreter of our version that this user can run; skips the test where there is none."""
    version = f"python3.{sys.version_info.minor}"
    for python in (sys.executable, f"/usr/bin/{version}", f"/usr/local/bin/{version}"):
        if Path(python).exists() and _runs_as(python, user):
            return python
    pytest.skip(f"{user} can't run this {version}")


def _runs_as(python: str, user: str) -> bool:
    """Whether the user gets as far as importing what we need with it."""
    try:
        done = subprocess.run(
            [python, "-c", "import postmill.embedded.supervisor"],
            env={"PYTHONPATH": _search_path()},
            cwd="/",
            capture_output=True,
            check=False,
            **_as_user(user),
        )
    except PermissionError:
        return False
    return done.returncode == 0


def _as_user(name: str | None) -> dict[str, Any]:
    if name is None:
        return {}
    entry = pwd.getpwnam(name)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _search_path() -> str:
    """The package under test, and its dependencies for an interpreter of another environment."""
    packages = (path for path in sys.path if "site-packages" in path)
    return os.pathsep.join([str(Path(postmill.__file__).parent.parent), *packages])


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for what sends no signal of its own: a process gone, a file there."""
    deadline = time.monotonic() + GIVE_UP_S
    while not condition():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.002)


def alive(pid: int) -> bool:
    """Whether the process runs; a dead one that nobody has reaped yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # it ended before, or while it was read
        return False


def processes_of(folder: Path) -> dict[int, str]:
    """Every process that names the folder in its command line, but us: pid to command line."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(folder) in words:
                found[int(entry.name)] = words
    return found


def supervisor_of(folder: Path) -> int:
    """The supervisor's process id; 0 when there is none."""
    return next((pid for pid, words in processes_of(folder).items() if "embedded.supervisor" in words), 0)


_orphans: set[Path] = set()
"""Shared memory of servers that were killed: where nothing starts on their files again, it stays."""


def kill(pid: int) -> None:
    """Kill -9 and wait until it is gone."""
    for each in (pid, *_children(pid)):
        _orphans.update(_shared_memory(each))
    os.kill(pid, signal.SIGKILL)
    until(lambda: not alive(pid), f"process {pid} gone")


def remove_orphans() -> None:
    """Remove what killed servers have left in shared memory."""
    while _orphans:
        _orphans.pop().unlink(missing_ok=True)


def _children(pid: int) -> list[int]:
    with suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def _shared_memory(pid: int) -> set[Path]:
    with suppress(OSError):
        lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
        return {
            Path(line.split()[-1]) for line in lines if line.split()[-1].startswith("/dev/shm/PostgreSQL.")
        }
    return set()


def ask(url: str, query: str = "SELECT 1") -> Any:
    """The first value of a query, by psycopg; None where there is none."""
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(query.encode())
        row = cursor.fetchone() if cursor.description else None
    return row[0] if row else None


async def ask_asyncpg(url: str, query: str = "SELECT 1") -> Any:
    """The first value of a query, by asyncpg."""
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


def delete(folder: Path) -> None:
    """Remove a test's folder. A killed server's own children may write into it for a moment longer."""
    while folder.exists():
        shutil.rmtree(folder, ignore_errors=True)

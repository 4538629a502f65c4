"""The servers that ``bench functions`` compares, each a process of its own on a free port of this machine."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from postmill.model.errors import TimedOut

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from postmill.model.config.address import Address

READY_S = 60.0
"""How long a server may take until it accepts connections, in seconds. The slowest takes about two; after a
minute it is broken and the run ends with an error.
"""
_LISTENING = re.compile(rb"functions at (http://\S+)/functions/v1/")
_QUIET = ("--log-level", "warning", "--no-access-log", "--lifespan", "off")


@dataclass(frozen=True, slots=True)
class RunningServer:
    """Where it is, and its process."""

    url: str
    process: subprocess.Popen[bytes]


@contextmanager
def function_server(project: Path, address: Address) -> Iterator[RunningServer]:
    """``postmill serve`` in the folder ``project``. Raises ``TimedOut`` when it does not come up."""
    command = [sys.executable, "-m", "postmill.cli.main", "serve", "--port", "0", "--on-demand"]
    environ = {**os.environ, "POSTMILL_DB_URL": address.url, "POSTMILL_LOG_LEVEL": "error"}
    with _running(command, project, environ, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None  # noqa: S101
        for line in process.stderr:
            found = _LISTENING.search(line)
            if found:
                yield RunningServer(found[1].decode(), process)
                return
        raise TimedOut("postmill serve has ended before it listened.")


@contextmanager
def plain_server(folder: Path) -> Iterator[RunningServer]:
    """uvicorn, one process, with the application ``one`` in ``folder``."""
    port = _free_port()
    command = [sys.executable, "-m", "uvicorn", "one:app", "--port", str(port), "--app-dir", str(folder)]
    with _running([*command, *_QUIET], folder, dict(os.environ)) as process:
        yield _listening(port, process)


def has_framework() -> bool:
    """Whether functions-framework is installed in this environment."""
    return find_spec("functions_framework") is not None


@contextmanager
def framework_server(folder: Path) -> Iterator[RunningServer]:
    """Google's functions-framework with the function ``hello`` of ``main.py`` in ``folder``."""
    port = _free_port()
    command = [sys.executable, "-m", "functions_framework", "--target", "hello", "--port", str(port)]
    with _running(command, folder, dict(os.environ)) as process:
        yield _listening(port, process)


def idle_unique_mb(server: int) -> float:
    """Mebibytes that an isolate of the process ``server`` has to itself, on average. 0 without /proc."""
    isolates = [child for zygote in _children(server) for child in _children(zygote)]
    found = [size for size in map(_unique_bytes, isolates) if size]
    return sum(found) / len(found) / 1024 / 1024 if found else 0.0


@contextmanager
def _running(
    command: Sequence[str], folder: Path, environ: dict[str, str], stderr: int = subprocess.DEVNULL
) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=stderr,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stderr is not None:
            process.stderr.close()


def _listening(port: int, process: subprocess.Popen[bytes]) -> RunningServer:
    until = time.monotonic() + READY_S
    while time.monotonic() < until and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return RunningServer(f"http://127.0.0.1:{port}", process)
        time.sleep(0.05)
    raise TimedOut(f"{process.args!r} does not listen.")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def _children(parent: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir() if Path("/proc/self").exists() else ():
        if entry.name.isdigit():
            with suppress(OSError, IndexError):
                stat = (entry / "stat").read_text(encoding="utf-8", errors="replace")
                if int(stat.rpartition(")")[2].split()[1]) == parent:
                    found.append(int(entry.name))
    return found


def _unique_bytes(pid: int) -> int:
    with suppress(OSError):
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
        return sum(int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Private_"))
    return 0

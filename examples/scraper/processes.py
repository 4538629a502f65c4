"""The two processes that the demo starts beside itself: the site, and the worker. Ends both when it ends."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GRACE = 10.0  # seconds for a process to stop by itself


@contextmanager
def site(pages: int) -> Iterator[str]:
    """The demo's site in its own process; gives its address. It stops when its standard input closes."""
    command = [sys.executable, "-m", "examples.scraper.site", "--pages", str(pages)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None, "asked for above"
        address = process.stdout.readline().strip()
        if not address:
            raise SystemExit("The site did not start; what it said is above.")
        yield address


@contextmanager
def worker(log: Path, *names: str) -> Iterator[subprocess.Popen[bytes]]:
    """``postmill worker run`` in its own process, as a user would start it; it writes to ``log``. Without
    names it runs this demo's worker.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "postmill.cli.main", "worker", "run", "--embedded"]
    command += names or ["examples.scraper.worker:fetch"]
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(GRACE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

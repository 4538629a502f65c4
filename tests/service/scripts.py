"""Programs of a user's, run as people run them."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@contextmanager
def scripts(
    folder: Path, database_url: str, *, stderr: int
) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Runs a program, with arguments, with the test's database as its only setting. All end with the test."""
    environment = {name: value for name, value in os.environ.items() if "POSTMILL" not in name}
    running: list[subprocess.Popen[str]] = []

    def begin(source: str, *arguments: str) -> subprocess.Popen[str]:
        path = folder / "app.py"
        path.write_text(source)
        process = subprocess.Popen(
            [sys.executable, "-u", str(path), *arguments],
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            cwd=folder,
            env={**environment, "DATABASE_URL": database_url},
        )
        running.append(process)
        return process

    yield begin
    for process in running:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()

"""Reads what a process has written about itself as JSON. The file may be torn, huge, a pipe, or from another
release: what can be understood is used, and reading it never waits.
"""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

LARGEST = 65_536
"""Bytes of a state file that are read. One has some hundreds, and a path in it at most 4,096; a larger file
was not written by Postmill.
"""


def read(path: Path) -> dict[str, Any]:
    """The JSON object in the file; empty when there is no such file, or it holds something else."""
    try:
        found = json.loads(_content(path))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _content(path: Path) -> bytes:
    """Raises ``OSError``, and ``ValueError`` for what is no file or too large."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size > LARGEST:
            raise ValueError(path)
        return file.read(LARGEST)

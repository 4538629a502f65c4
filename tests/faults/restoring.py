"""pg_dump of a test's database, and its restore into another one of the same server."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import pytest

from tests.servers import session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from postmill.embedded.binaries import Binaries

_MOST_S = 60
"""A dump of a few hundred rows takes a second."""


@contextmanager
def restored_copy(url: str, found: Binaries) -> Iterator[str]:
    """Dump the database at ``url`` as it is now, and yield the address of the one it was restored into."""
    if not Path(found.program("pg_dump")).exists():
        pytest.skip("these binaries have no pg_dump")
    parts = urlsplit(url)
    name = f"{parts.path[1:]}_restored"
    copy = urlunsplit(parts._replace(path=f"/{name}"))
    with session(url) as db:
        dump = _run([found.program("pg_dump"), url])
        db.execute(f"create database {name} template template0".encode())
        _run([found.program("psql"), "-q", "-v", "ON_ERROR_STOP=1", copy], dump)
        yield copy
        db.execute(f"drop database {name} with (force)".encode())


def _run(command: list[str | Path], given: bytes | None = None) -> bytes:
    return subprocess.run(command, input=given, capture_output=True, check=True, timeout=_MOST_S).stdout

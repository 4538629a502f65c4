"""Addresses of the embedded server: where its socket lies, and the URI that libpq and asyncpg both read.

Must not start or look for a server.
"""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path
from urllib.parse import quote

USER = "postgres"
DATABASE = "postmill"
PORT = 5432
"""The number in the name of the socket file. 5432 is what clients assume; no TCP port is taken by it, and
each project has a socket folder of its own.
"""
_LONGEST_SOCKET = 103
"""Bytes of the longest path of a socket: ``sun_path`` has 104 on macOS and 108 on Linux, with a zero at the
end, and a project may be opened on either.
"""


def socket_file(folder: Path, port: int) -> Path:
    """The name Postgres gives its socket."""
    return folder / f".s.PGSQL.{port}"


def fits(folder: Path, port: int) -> bool:
    """Whether every client can use a socket in this folder: short enough, and no comma (a list to libpq)."""
    return len(os.fsencode(socket_file(folder, port))) <= _LONGEST_SOCKET and "," not in str(folder)


def short_folder(port: int, roots: tuple[str, ...] | None = None) -> Path:
    """A new private folder (mode 0700) with a path short enough for a socket.

    Raises ``FileNotFoundError`` where no temporary folder is short enough.
    """
    for root in roots or (tempfile.gettempdir(), "/tmp", "/var/tmp"):  # noqa: S108 - mkdtemp makes it private
        if fits(Path(root) / "postmill-12345678", port) and os.access(root, os.W_OK):
            return Path(tempfile.mkdtemp(prefix="postmill-", dir=root))
    raise FileNotFoundError("no temporary folder with a short enough path")


def forget(folder: Path) -> None:
    """Remove a socket folder with its sockets, and nothing else: its name was read from a file.

    A socket on which a server listens stays: its server is not the one that left this folder behind.
    """
    if any(_is_listened_on(file) for file in folder.glob(".s.PGSQL.*") if file.is_socket()):
        return
    for socket_or_lock in folder.glob(".s.PGSQL.*"):
        socket_or_lock.unlink(missing_ok=True)
    try:
        folder.rmdir()
    except OSError:
        return  # not there, or not only sockets in it


def _is_listened_on(file: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(file))
        except OSError:
            return False
    return True


def socket_url(folder: Path, port: int) -> str:
    """The URI over the unix socket; all but ``/`` is percent-encoded, as ``+`` is a blank to some readers."""
    return f"postgresql://{USER}@/{DATABASE}?host={quote(str(folder), safe='/')}&port={port}"


def tcp_url(port: int, password: str) -> str:
    """The URI over 127.0.0.1. It contains the password, so it never goes to a log."""
    return f"postgresql://{USER}:{quote(password, safe='')}@127.0.0.1:{port}/{DATABASE}"


def free_port() -> int:
    """A TCP port of 127.0.0.1 that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

"""JSON files that only their owner may read. They are written whole or not at all. A link in their place is
never followed.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from postmill.embedded.account import inherit_owner
from postmill.model.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MODE = 0o600
"""Read and write for the owner, nothing for others: the files hold keys and secrets."""
TURN_S = 30.0
"""How long to wait for the right to change files, in seconds. 30 s: a change takes milliseconds, so a process
that holds the lock for longer is halted or broken.
"""
_RETRY_S = 0.01
"""Pause between two tries to get the lock, in seconds. 10 ms: as long as a change takes, and not noticed by a
person.
"""
_NO_LOCK_ON_FOLDERS = {errno.EBADF, errno.EINVAL, errno.ENOTSUP, errno.ENOLCK, errno.EACCES, errno.EISDIR}
"""Errors of network file systems that lock files but no folders."""


def make_folder(folder: Path) -> None:
    """Make the folder if it is missing. Raises :class:`Refused` when that fails, or a link leads nowhere."""
    if folder.is_symlink() and not folder.exists():
        raise Refused(
            f"{folder} is a link that leads nowhere.",
            why=f"It points to {folder.readlink()}, which is not there.",
            hint="Make that folder, or remove the link.",
        )
    try:
        made = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        if made:
            inherit_owner(folder)
    except OSError as error:
        raise Refused(f"The folder {folder} can't be made.", why=f"{error.strerror}.") from error


@contextmanager
def turn(folder: Path) -> Iterator[None]:
    """While it lasts, no other process changes a file in ``folder``: each process that reads, changes and
    writes one takes a turn. The turn ends with the process, however that ends.

    Raises :class:`Refused` when the folder can't be made, or no turn comes within 30 s.
    """
    make_folder(folder)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            _lock(descriptor, folder)
        except OSError as error:
            if error.errno not in _NO_LOCK_ON_FOLDERS:
                raise
            os.close(descriptor)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            descriptor = os.open(folder / ".turn", flags, MODE)
            _lock(descriptor, folder)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, folder: Path) -> None:
    deadline = time.monotonic() + TURN_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise Refused(
                    f"The files in {folder} can't be changed.",
                    why=f"Another process has been changing them for {TURN_S:.0f} s.",
                    hint="Is a postmill command stopped there (Ctrl-Z)? End it, and try again.",
                ) from None
            time.sleep(_RETRY_S)
        else:
            return


def read(path: Path) -> dict[str, Any] | None:
    """What is in the file; None when there is none.

    Raises :class:`Refused` when other users may read it, or when it is not one JSON object.
    """
    try:
        if path.is_fifo():  # opening it could wait for ever
            raise Refused(f"{path} can't be read.", why="It is a pipe.")
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            content = file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Refused(f"{path} can't be read.", why=f"{error.strerror}.") from error
    if mode & 0o077:
        raise Refused(
            f"{path} is not used.",
            why=f"Its mode is {mode:o}: others than its owner can get at it.",
            hint=f"Run: chmod 600 {path}. Was it open to others for long? Then make new keys.",
        )
    return _parsed(path, content)


def write(path: Path, content: Mapping[str, Any]) -> None:
    """Replaces the file, with mode 0600 from its first byte on. Raises :class:`Refused` when that fails."""
    make_folder(path.parent)
    replace(path, f"{json.dumps(content, indent=1)}\n".encode(), MODE)


def replace(path: Path, content: bytes, mode: int) -> None:
    """Puts a file with this content and mode in the place of ``path``, whole or not at all. Raises
    :class:`Refused` when that fails.
    """
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                os.fchmod(descriptor, mode)
                file.write(content)
                file.flush()
                os.fsync(descriptor)
            inherit_owner(Path(name))
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise Refused(f"{path} can't be written.", why=f"{error.strerror}.") from error


def _parsed(path: Path, content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Refused(
            f"{path} can't be used.", why="It is not one JSON object.", hint="Restore or remove it."
        )
    return found

"""One ``postmill dev`` or ``postmill serve`` a project: the second one learns which process is the first, and
where that serves. The lock dies with its holder.
"""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from postmill.auth import private_file
from postmill.cli import served
from postmill.embedded.account import inherit_owner
from postmill.model.config.settings import STATE_FOLDER
from postmill.model.errors import AlreadyStarted, Refused

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILE = "running"


@contextmanager
def held(project_dir: Path, command: str, database: str) -> Iterator[None]:
    """Holds the project's lock for ``command``. Raises :class:`AlreadyStarted`, naming the holder, when it is
    taken, and :class:`Refused` where the lock can't be kept.
    """
    folder = project_dir / STATE_FOLDER
    private_file.make_folder(folder)
    with ExitStack() as stack:
        try:
            file = stack.enter_context((folder / FILE).open("a+", encoding="utf-8"))
            inherit_owner(folder / FILE)
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise _taken(project_dir, command, file.read()) from None
        except OSError as error:  # a file of another account, or a network file system without locks
            raise Refused(f"{folder / FILE} can't be locked.", why=f"{error.strerror}.") from error
        file.truncate(0)
        since = datetime.now(UTC).isoformat(timespec="seconds")
        json.dump({"command": command, "pid": os.getpid(), "since": since, "database": database}, file)
        file.flush()
        yield


def _taken(project_dir: Path, command: str, text: str) -> AlreadyStarted:
    url = served.url(project_dir)
    try:
        holder = json.loads(text)
        first = f"postmill {holder['command']}"
        why = f"It is process {holder['pid']}, since {holder['since']}, on {holder['database']}"
        why += f", with functions at {url}." if url else "."
    except (ValueError, KeyError, TypeError):
        first, why = f"postmill {command}", "It has not yet said which process it is."
    return AlreadyStarted(
        f"{first} runs already in {project_dir}.",
        why=why,
        hint="Use that one, stop it with Ctrl-C, or name another folder with --project.",
    )

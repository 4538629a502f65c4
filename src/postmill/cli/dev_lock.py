"""One ``postmill dev`` a project: a second one is told the process id of the first. The lock ends with its
holder.
"""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from postmill.auth import private_file
from postmill.model.config.settings import STATE_FOLDER
from postmill.model.errors import AlreadyStarted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def held(project_dir: Path, database: str) -> Iterator[None]:
    """Holds the project's lock. Raises :class:`AlreadyStarted`, naming the holder, when it is taken."""
    folder = project_dir / STATE_FOLDER
    private_file.make_folder(folder)
    with (folder / "dev").open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise _taken(project_dir, file.read()) from None
        file.truncate(0)
        since = datetime.now(UTC).isoformat(timespec="seconds")
        json.dump({"pid": os.getpid(), "since": since, "database": database}, file)
        file.flush()
        yield


def _taken(project_dir: Path, text: str) -> AlreadyStarted:
    try:
        holder = json.loads(text)
        who = f"It is process {holder['pid']}, since {holder['since']}, on {holder['database']}."
    except (ValueError, KeyError, TypeError):
        who = "It has not yet written down its process id."
    return AlreadyStarted(
        f"postmill dev runs already in {project_dir}.",
        why=who,
        hint="Use that one, stop it with Ctrl-C, or name another folder with --project.",
    )

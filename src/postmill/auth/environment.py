"""The variables that every function finds: where the project is, its keys, and the user's secrets."""

from __future__ import annotations

import stat
import threading
import time
from typing import TYPE_CHECKING

from postmill.auth import env_file
from postmill.auth.secret_store import Secrets
from postmill.model.errors import NotFound
from postmill.model.events import Event
from postmill.service.events import Events

if TYPE_CHECKING:
    from pathlib import Path

    from postmill.auth.env_file import EnvFile
    from postmill.auth.keys import ProjectKeys


def of_project(url: str, keys: ProjectKeys) -> dict[str, str]:
    """What the host sets, under Supabase's names. ``url``: where functions are served."""
    return {
        "SUPABASE_URL": url,
        "SUPABASE_ANON_KEY": keys.anon,
        "SUPABASE_SERVICE_ROLE_KEY": keys.service_role,
        "POSTMILL_URL": url,
        "POSTMILL_PUBLISHABLE_KEY": keys.publishable,
        "POSTMILL_SECRET_KEY": keys.secret,
    }


class Environment:
    """What a function that starts now is given. Read anew each time, so that a secret set while the host runs
    reaches the next process. May be called in several threads.
    """

    def __init__(
        self, given: dict[str, str], kept: Path, file: Path | None, *, may_come: bool = False
    ) -> None:
        """``kept`` is the folder with the project's secrets; those in the ``.env`` file ``file`` win. With
        ``may_come`` that file may be missing, and is read once it is there.
        """
        self._given = given
        self._secrets = Secrets(kept)
        self._file = file
        self._may_come = may_come
        self._events = Events()
        self._told: tuple[str, ...] = ()
        self._turn = threading.Lock()
        """Two readers of one pipe would get a part each."""
        self._pipe: tuple[tuple[int, int], EnvFile] | None = None
        self._refusal: tuple[float, NotFound] | None = None

    def __call__(self) -> dict[str, str]:
        """Everything. Raises ``Refused``, ``NotFound`` or ``InvalidOption`` for a file that can't be used."""
        return {**self._secrets.values(), **self._from_file(), **self._given}

    def _from_file(self) -> dict[str, str]:
        if self._file is None:
            return {}
        try:
            with self._turn:
                found = self._read(self._file)
        except NotFound as error:
            if self._may_come and isinstance(error.__cause__, FileNotFoundError):
                return {}
            raise
        if found.skipped and found.skipped != self._told:
            names = ", ".join(found.skipped)
            self._events.emit(Event.VARIABLES_SKIPPED, file=str(self._file), names=names)
        self._told = found.skipped
        return found.values

    def _read(self, file: Path) -> EnvFile:
        """A pipe gives its content once, so it is kept as long as the same pipe is there. When a wait for the
        pipe was in vain, every thread that has waited for it gets the same error.
        """
        at = _pipe_at(file)
        if at is None:
            return env_file.read(file)
        if self._pipe is not None and self._pipe[0] == at:
            return self._pipe[1]
        if self._refusal is not None and time.monotonic() - self._refusal[0] < env_file.PIPE_S:
            raise self._refusal[1]
        try:
            found = env_file.read(file)
        except NotFound as error:
            self._refusal = time.monotonic(), error
            raise
        self._pipe = at, found
        return found


def _pipe_at(file: Path) -> tuple[int, int] | None:
    """Which pipe it is; None for anything else."""
    try:
        at = file.stat()
    except OSError:
        return None
    return (at.st_dev, at.st_ino) if stat.S_ISFIFO(at.st_mode) else None

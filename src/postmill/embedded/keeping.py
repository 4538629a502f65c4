"""Keep the server of a folder up without users, and stop it: what ``postmill db start`` and ``stop`` do."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from postmill.embedded import presence
from postmill.embedded.folder import ControlFolder, read_state
from postmill.embedded.locks import FileLock
from postmill.embedded.server import open_server
from postmill.embedded.supervisor_options import KEEP, STOP
from postmill.model.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_POLL_S = 0.003
"""Pause between two looks at the state file, in seconds. 3 ms: the supervisor answers within one or two, and
a command feels instant.
"""


def start_detached(
    data_dir: Path,
    *,
    settings: Mapping[str, str] | None = None,
    tcp: bool = False,
    binaries: Path | None = None,
) -> presence.Status:
    """Start or attach, and keep the server up without users until ``stop``. Raises like ``open_server``."""
    with open_server(data_dir, settings=settings, tcp=tcp, binaries=binaries) as server:
        control = ControlFolder(server.data_dir)
        presence.tell(control, KEEP)
        while (state := read_state(control.state)) is not None and not state.kept:
            time.sleep(_POLL_S)
        return presence.status(data_dir)


def stop(data_dir: Path, *, force: bool = False) -> bool:
    """Stop the server of the folder, kept or not. Returns whether one was running.

    Raises ``Refused`` when others use it and ``force`` is false, ``EmbeddedError`` when it does not go.
    """
    control = ControlFolder(data_dir.absolute())
    if not presence.status(data_dir).running:
        return False
    presence.check_place(control)
    users = FileLock(control.users)
    try:
        if not users.try_exclusive() and not force:
            raise Refused(
                f"The database in {control.path} is in use, so it was not stopped.",
                why="Other processes of this project are connected to it.",
                hint="Stop them first, or insist with --yes: that cuts their connections.",
            )
        presence.tell_and_wait(control, STOP)
    finally:
        users.close()
    return True

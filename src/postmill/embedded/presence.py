"""Whether a server runs for a folder, and how to tell its supervisor something. Must not start one."""

from __future__ import annotations

import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from postmill.embedded.address import socket_file
from postmill.embedded.folder import ControlFolder, State, read_state
from postmill.embedded.locks import FileLock, is_held
from postmill.embedded.postgres_process import is_ready
from postmill.embedded.supervisor_options import RELEASE
from postmill.model.errors import EmbeddedError

if TYPE_CHECKING:
    from collections.abc import Callable

_STOP_S = 200.0
"""How long a supervisor may take to end, in seconds: three signals with a minute each for its server
(``postgres_process._STOP_S``), and 20 s for deleting files.
"""
_POLL_S = 0.003
"""Pause between two looks at the state, in seconds. 3 ms: attaching to a server that runs takes about one, so
a command that waits feels instant.
"""


@dataclass(frozen=True)
class Status:
    """The server of a folder. ``state`` is None when it does not run, and while it starts or stops."""

    data_dir: Path
    running: bool
    state: State | None


def status(data_dir: Path) -> Status:
    """Look at the server of the folder without touching it."""
    control = ControlFolder(data_dir.absolute())
    running = is_held(control.supervisor)
    state = read_state(control.state) if running else None
    if state is None or not (state.belongs_to(control) and state.is_at_its_path()):
        return Status(control.path, running, None)
    return Status(control.path, running, state)


def check_place(control: ControlFolder) -> None:
    """Raises ``EmbeddedError`` when this folder is a copy that shares its files with another one (made by
    ``cp -l``), and the server was started for that other one: commands given here would reach it.
    """
    state = read_state(control.state)
    if state is not None and is_held(control.supervisor) and not state.belongs_to(control):
        raise EmbeddedError(
            f"{control.path} shares its files with {state.folder}, whose database runs.",
            why="It was copied with hard links, and two servers on one set of files would destroy it.",
            hint="Stop that one, and copy without links: cp -a",
        )


def check_path(control: ControlFolder) -> None:
    """Raises ``EmbeddedError`` when the folder was moved under its server, and as :func:`check_place`."""
    check_place(control)
    state = read_state(control.state)
    if state is not None and is_held(control.supervisor) and not state.is_at_its_path():
        raise EmbeddedError(
            f"The database in {control.path} runs, but can't be reached from here.",
            why=f"It was started in {state.folder}, which was moved, or is mounted here under another path.",
            hint="If it was moved: postmill db stop, and go on here.",
        )


def settled(control: ControlFolder, timeout_s: float) -> State | None:
    """The server that runs and answers, or None when there is none; waits while it starts, restarts or stops.

    Raises ``EmbeddedError`` after ``timeout_s`` seconds of neither.
    """
    deadline = time.monotonic() + timeout_s
    while (now := status(control.path)).running:
        if now.state is None:
            check_path(control)
        elif _answers(now.state):
            return now.state
        if time.monotonic() > deadline:
            raise EmbeddedError(
                f"The embedded Postgres of {control.path} is there but does not answer.",
                why=(now.state and now.state.trouble)
                or f"It neither started nor stopped within {timeout_s:.0f} s.",
                hint=f"Its log may say more: {control.log}",
            )
        time.sleep(_POLL_S)
    return None


def tell(control: ControlFolder, command: bytes) -> bool:
    """Send the supervisor a command. Returns False when no supervisor runs."""
    try:
        pipe = os.open(control.control, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        os.write(pipe, command)
    except BrokenPipeError:
        return False
    finally:
        os.close(pipe)
    return True


def tell_and_wait(control: ControlFolder, command: bytes) -> None:
    """Tell the supervisor to go, and wait for its end; after ``RELEASE``, a kept one is left alone.

    Raises ``EmbeddedError`` when it does not go.
    """
    alive = FileLock(control.supervisor)  # opened before: a throw-away server deletes the file as it goes
    try:
        if tell(control, command):
            may_stay = command == RELEASE
            _wait(lambda: alive.try_shared() or (may_stay and _is_kept(control)), control)
    finally:
        alive.close()


def _wait(over: Callable[[], bool], control: ControlFolder) -> None:
    deadline = time.monotonic() + _STOP_S
    while not over():
        if time.monotonic() > deadline:
            raise EmbeddedError(
                f"The embedded Postgres of {control.path} did not stop.",
                hint=f"Its log may say why: {control.log}",
            )
        time.sleep(_POLL_S)


def _is_kept(control: ControlFolder) -> bool:
    state = read_state(control.state)
    return state is not None and state.kept


def _answers(state: State) -> bool:
    """Whether the pid file says that the server is ready, and the socket accepts a connection: a killed
    server leaves a pid file that still says so.
    """
    if not is_ready(Path(state.cluster), state.server_pid):
        return False
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(socket_file(Path(state.socket_folder), state.port)))
        except OSError:
            return False
    return True

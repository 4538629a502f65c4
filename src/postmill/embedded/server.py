"""Open the embedded server of a folder: attach to it, or start it.

All processes that have the server open share it. It stops after the last one.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from postmill.embedded import configuration, launch
from postmill.embedded.complaint import refused_by_system
from postmill.embedded.folder import ControlFolder, State, read_state
from postmill.embedded.locks import FileLock
from postmill.embedded.presence import settled, tell_and_wait
from postmill.embedded.supervisor_options import RELEASE, Options
from postmill.model.errors import EmbeddedError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

_OTHERS_S = 150.0
"""How long another process that starts or stops the server is waited for, in seconds: a start may take two
minutes (``postgres_process._READY_S``), and half a minute is left for initdb.
"""


class Server:
    """A share in a running server. Close it, or use it as a context manager; the last stops the server."""

    def __init__(self, control: ControlFolder, share: FileLock, state: State) -> None:
        self._control = control
        self._share = share
        self._state = state

    @property
    def url(self) -> str:
        """The libpq URI over the unix socket."""
        return self._state.url

    @property
    def tcp_url(self) -> str | None:
        """The URI over 127.0.0.1 with its password; None unless it was started with ``tcp=True``."""
        return self._state.tcp_url

    @property
    def data_dir(self) -> Path:
        """The folder the server was opened with."""
        return self._control.path

    @property
    def version(self) -> str:
        """PostgreSQL's version, such as ``18.6``."""
        return self._state.version

    @property
    def pid(self) -> int:
        """The process id of the Postgres server now; another one after a crash and restart."""
        return (read_state(self._control.state) or self._state).server_pid

    def close(self) -> None:
        """Give up the share. The call that gives up the last share returns when the server has stopped. May
        be called twice.
        """
        if self._share.fileno < 0:
            return
        try:
            if self._share.try_exclusive():
                tell_and_wait(self._control, RELEASE)
        finally:
            self._share.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_server(
    data_dir: Path | str | None = None,
    *,
    settings: Mapping[str, str] | None = None,
    throwaway: bool = False,
    tcp: bool = False,
    binaries: Path | None = None,
) -> Server:
    """Attach to the server of ``data_dir``; start it if it does not run, make its database if there is none.

    ``throwaway``: without fsync, and deleted after its last user; needs no ``data_dir``. ``tcp``: also listen
    on 127.0.0.1, with a password. ``binaries``: the ``bin`` folder of a Postgres. Settings and binaries have
    an effect only when this call starts the server. Raises ``EmbeddedError`` when something is wrong with the
    folder, the programs or the server, and ``InvalidOption`` for a setting that can't be given.
    """
    options = Options(
        settings={name: str(value) for name, value in (settings or {}).items()},
        throwaway=throwaway,
        tcp=tcp,
        binaries=str(binaries) if binaries else None,
    )
    if data_dir is None and not throwaway:
        raise EmbeddedError(
            "The embedded Postgres needs a folder.",
            why="No data_dir was given.",
            hint="Give one, or throwaway=True.",
        )
    return open_with(Path(data_dir) if data_dir is not None else _temporary_folder(), options)


def open_with(data_dir: Path, options: Options) -> Server:
    """``open_server`` with all options in one value."""
    configuration.check(options.settings, throwaway=options.throwaway)
    control = ControlFolder(data_dir.absolute())
    try:
        share = _take_share(control)
        try:
            return Server(control, share, _attach_or_start(control, options))
        except BaseException:
            share.close()
            raise
    except OSError as error:
        raise refused_by_system(
            f"The embedded Postgres can't use the folder {control.path}.", error
        ) from error


def _take_share(control: ControlFolder) -> FileLock:
    """A shared lock on the users file. Waits for a server that is stopping, which may delete the folder."""
    deadline = time.monotonic() + _OTHERS_S
    while True:
        control.make()
        try:
            share = FileLock(control.users)
            share.shared(_OTHERS_S)
        except FileNotFoundError:
            if time.monotonic() > deadline:
                raise
            continue
        return share


def _attach_or_start(control: ControlFolder, options: Options) -> State:
    starting = FileLock(control.starting)
    try:
        starting.exclusive(_OTHERS_S)
        state = settled(control, _OTHERS_S)
        if state is None:
            return launch.start_supervisor(control, options)
        _check_attachable(control, state, options)
        return state
    finally:
        starting.close()


def _check_attachable(control: ControlFolder, state: State, options: Options) -> None:
    if options.tcp and state.tcp_url is None:
        raise EmbeddedError(
            f"The database in {control.path} already runs, without TCP.",
            why="A running Postgres can't be told to listen.",
            hint="Stop it (postmill db stop), then start it with TCP.",
        )
    if state.throwaway != options.throwaway:
        raise EmbeddedError(
            f"The database in {control.path} already runs, as {'' if state.throwaway else 'no '}throw-away.",
            why="A throw-away database is deleted after use; the two kinds don't mix.",
            hint="Choose another folder.",
        )


def _temporary_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="postmill-"))
    folder.chmod(0o711)
    return folder

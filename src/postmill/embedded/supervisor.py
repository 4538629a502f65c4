"""The small process that starts one embedded Postgres and lives exactly as long as its last user.

Started as ``python -m postmill.embedded.supervisor DATA_DIR`` with its options as JSON on stdin. Writes one
line of JSON on stdout that says how the start went. From then on it has no terminal, no parent and no
inherited descriptors. Must import nothing beyond the standard library and ``model.errors``: it has to start
quickly and stay small.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import sys
import tempfile
import time
from contextlib import closing, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from postmill.embedded import account as accounts
from postmill.embedded import address, binaries, configuration, initdb, preparation, runtime
from postmill.embedded.complaint import refused_by_system
from postmill.embedded.folder import ControlFolder, Home, State, identity_of, read_state
from postmill.embedded.locks import FileLock
from postmill.embedded.postgres_process import PostgresProcess
from postmill.embedded.server_processes import OldSessions, begun
from postmill.embedded.supervisor_options import KEEP, RELEASE, STOP, Options
from postmill.model.errors import EmbeddedError, PostmillError

_LOOK_FOR_USERS_S = 0.25
"""Seconds between two looks whether the server still has users. A user that ends in good order tells the
supervisor at once; 0.25 s is how long the server outlives one that was killed.
"""
_PREDECESSOR_S = 90.0
"""How long to wait for the supervisor before this one, in seconds: its server may need a minute to stop
(``postgres_process._STOP_S``), and half a minute is left for its files.
"""
_FIRST_PAUSE_S = 0.25
"""Seconds between the first two tries to bring a killed server back. Each pause is twice the one before, so
that a server that can't start does not keep a processor busy.
"""
_LONGEST_PAUSE_S = 5.0
"""The longest such pause, in seconds. 5 s: a disk that has room again is noticed soon."""
_STEADY_S = 60.0
"""A server that ran for longer than this, in seconds, has recovered: when it ends again, the pauses begin
with the first one. A minute is more than a crash at the start takes.
"""


class Supervisor:
    """One server, from its preparation to its stop. The kernel releases the locks of this process, whatever
    ends it.
    """

    def __init__(self, control: ControlFolder, options: Options) -> None:
        self._control = control
        self._options = options
        self._alive = FileLock(control.supervisor)
        self._users = FileLock(control.users)
        self._folder_id = ""
        self._home = control.home()
        self._lock: FileLock | None = None
        self._sockets: Path | None = None
        self._server: PostgresProcess | None = None
        self._launched_at = 0.0
        self._next_try_at = 0.0
        self._pause_s = _FIRST_PAUSE_S
        self._kept = False
        self._unsaid = False
        self._in_charge = False

    def start(self) -> State:
        """Start a server that accepts connections, whatever the folder holds.

        Raises ``PostmillError`` or ``OSError``; ``close`` cleans up after that too.
        """
        self._alive.exclusive(_PREDECESSOR_S)
        self._in_charge = True
        self._folder_id = identity_of(self._control.path)
        predecessor = self._predecessor()
        self._wakeup = _watch_signals()
        self._prepare(predecessor)
        self._commands = _open_pipe(self._control.control)
        self._launch()
        if self._unsaid:
            self._state.write(self._control.state)  # raises: an opener must hear of it
        return self._state

    def run(self) -> None:
        """Watch until the last user is gone or a stop is asked for. Raises if the server can't be kept up."""
        while not self._is_over():
            ready, _, _ = select.select([self._commands, self._wakeup], [], [], _LOOK_FOR_USERS_S)
            if self._wakeup in ready and signal.SIGCHLD not in os.read(self._wakeup, 1):
                break
            if self._commands in ready and self._obey(os.read(self._commands, 64)):
                break

    def close(self) -> None:
        """Stop the server and leave the folder ready for a later start. A throw-away folder is deleted."""
        if not self._in_charge:
            return
        if self._is_at_its_path():  # else the files there are another project's
            self._control.state.unlink(missing_ok=True)  # first: it must not be found while the server stops
            self._control.control.unlink(missing_ok=True)
        if self._server is not None and self._is_sockets_place_taken():
            self._server.kill()
        elif self._server is not None:
            self._server.stop()
        if not self._is_at_its_path():
            return
        if self._sockets is not None:
            address.forget(self._sockets)
        if self._lock is not None and self._control.throwaway.exists():
            _remove(self._control, self._home)

    def _is_at_its_path(self) -> bool:
        """Whether the folder is still at its path, and no other folder has taken its place."""
        return self._folder_id == identity_of(self._control.path)

    def _is_sockets_place_taken(self) -> bool:
        """Whether another folder is now at the path of the socket's folder, because the project was moved and
        another one took its place. A server that shuts down deletes its socket by the path, and would delete
        the other project's. A killed server leaves it, and recovers at its next start.
        """
        return self._sockets is not None and identity_of(self._sockets) not in {"", self._state.socket_id}

    def _predecessor(self) -> State | None:
        """What a killed supervisor of this folder has written down. A file that was copied here with another
        project does not count.
        """
        state = read_state(self._control.state)
        self._control.state.unlink(missing_ok=True)
        return state if state is not None and state.belongs_to(self._control) else None

    def _prepare(self, predecessor: State | None) -> None:
        options, control = self._options, self._control
        system = Path(tempfile.gettempdir() if options.throwaway else options.system_folder)
        self._account = accounts.server_account(self._home.cluster, control.path)
        self._home = preparation.settle_home(control, self._account, system)
        self._lock = lock = preparation.lock_home(self._home, predecessor)
        self._inherited = lock.fileno
        if predecessor is not None:
            _forget_sockets(predecessor)
        found = binaries.find(Path(options.binaries) if options.binaries else None)
        self._binaries = runtime.readable(found, self._account, Path(options.system_folder))
        preparation.check_durability(control, self._home, throwaway=options.throwaway)
        if not preparation.check_cluster(self._home, self._binaries):
            durable = not options.throwaway
            initdb.create(self._binaries, self._home, self._account, control.password, durable=durable)
        port = address.free_port() if options.tcp else address.PORT
        self._sockets = preparation.settle_sockets(self._home, self._account, port)
        self._settings = configuration.complete(
            options.settings, self._sockets, port, throwaway=options.throwaway, tcp=options.tcp
        )
        self._state = self._describe(self._sockets, port)
        self._old_sessions = OldSessions(self._home.cluster)

    def _launch(self) -> None:
        preparation.clear_stale_pid(self._home)
        self._server = PostgresProcess(self._binaries, self._home.cluster, self._account, self._control.log)
        self._server.start(self._settings, self._inherited)
        self._launched_at = time.monotonic()
        pid = self._server.pid
        self._record(server_pid=pid, server_begun=begun(pid), started_at=time.time(), trouble="")

    def _record(self, **news: Any) -> None:
        """Write the changes to the file that openers read. When the disk is full, the supervisor goes on and
        tries again.
        """
        self._state = replace(self._state, **news)
        try:
            self._state.write(self._control.state)
            self._unsaid = False
        except OSError:
            self._unsaid = True

    def _describe(self, sockets: Path, port: int) -> State:
        tcp_url = None
        if self._options.tcp:
            tcp_url = address.tcp_url(port, self._control.password.read_text().strip())
        return State(
            supervisor_pid=os.getpid(),
            server_pid=0,
            version=self._binaries.version,
            source=self._binaries.source,
            url=address.socket_url(sockets, port),
            tcp_url=tcp_url,
            socket_folder=str(sockets),
            port=port,
            cluster=str(self._home.cluster),
            started_at=0.0,
            kept=False,
            throwaway=self._options.throwaway,
            folder=str(self._control.path),
            folder_id=self._folder_id,
            socket_id=identity_of(sockets),
        )

    def _obey(self, commands: bytes) -> bool:
        """Whether to stop."""
        if KEEP in commands and not self._kept:
            self._kept = True
            self._record(kept=True)
        return STOP in commands or (RELEASE in commands and not self._kept)

    def _is_over(self) -> bool:
        if not self._kept and self._users.try_exclusive():
            return True
        if self._server is None or not self._server.is_running():
            self._restart()
        elif self._unsaid or not self._is_written_down():
            self._record()
        return False

    def _is_written_down(self) -> bool:
        """Whether the file holds what was recorded: openers wait for ever on a file that was cut short or
        removed. True when another folder is at the path, since nothing is written there.
        """
        return not self._is_at_its_path() or read_state(self._control.state) == self._state

    def _restart(self) -> None:
        """The server was killed: start it again at the same address, and again after each failure."""
        now = time.monotonic()
        if now < self._next_try_at:
            return
        if not self._is_at_its_path():
            raise EmbeddedError(f"The embedded Postgres ended, and its folder {self._control.path} has gone.")
        if now - self._launched_at > _STEADY_S:
            self._pause_s = _FIRST_PAUSE_S
        try:
            if self._old_sessions_ended():
                self._launch()
        except (PostmillError, OSError) as error:
            self._complain(f"The embedded Postgres is down, and does not start again: {error}")
        self._next_try_at = time.monotonic() + self._pause_s
        self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)

    def _old_sessions_ended(self) -> bool:
        """Sessions outlive a killed server for a while, and Postgres refuses to start beside them."""
        left = self._old_sessions.left()
        if left:
            self._complain(
                f"The embedded Postgres was killed, and {len(left)} of its sessions still run. "
                "It starts again when they have ended."
            )
        return not left

    def _complain(self, trouble: str) -> None:
        """Write it to the log, and to the file that waiting openers read."""
        if trouble != self._state.trouble:
            with suppress(OSError):
                print(trouble, file=sys.stderr, flush=True)
            self._record(trouble=trouble)


def main() -> None:
    """Entry point of the process."""
    control, options = ControlFolder(Path(sys.argv[1])), Options(**json.load(sys.stdin))
    if os.fork() != 0:
        os._exit(0)  # orphaned on purpose: an opener that lives on has no dead child to reap later
    try:
        with closing(Supervisor(control, options)) as supervisor:
            _report_ready(supervisor.start())
            supervisor.run()
    except PostmillError as error:
        _report_failure(error)
    except OSError as error:
        _report_failure(
            refused_by_system(f"The embedded Postgres can't use the folder {control.path}.", error)
        )


def _report_ready(state: State) -> None:
    """Tell the opener, and close its pipe; later output goes to the log. It is no error when the opener was
    killed: other processes may use the server by now.
    """
    _answer({"ready": asdict(state)})
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())


def _report_failure(error: PostmillError) -> None:
    """Tell the opener; if it has had its answer, the line goes to the log. The pipe closes when this process
    ends.
    """
    _answer({"error": [error.what, error.why, error.hint]})


def _answer(report: dict[str, Any]) -> None:
    with suppress(OSError):
        os.write(sys.stdout.fileno(), f"{json.dumps(report)}\n".encode())


def _forget_sockets(state: State) -> None:
    """Remove the folder with the sockets of a server that has gone, if it is still the same folder."""
    folder = Path(state.socket_folder)
    if state.socket_id and state.socket_id == identity_of(folder):
        address.forget(folder)


def _watch_signals() -> int:
    """A descriptor from which each signal's number can be read. Signals only wake the loop."""
    wakeup, wake = os.pipe()
    os.set_blocking(wakeup, False)
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    return wakeup


def _open_pipe(path: Path) -> int:
    """The pipe for commands. It is opened for writing too, so that a read never finds its end."""
    path.unlink(missing_ok=True)
    os.mkfifo(path, 0o600)
    accounts.inherit_owner(path)
    return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)


def _remove(control: ControlFolder, home: Home) -> None:
    """Delete a throw-away server: the files that Postmill has made, and no other files beside them.

    The users file goes last: a process that waits for its lock must not find half of a folder.
    """
    for folder in (home.cluster, home.unfinished):
        shutil.rmtree(folder, ignore_errors=True)
    files = (home.lock, control.log, control.password, control.location, control.throwaway)
    for file in (*files, control.starting, control.supervisor, control.users):
        file.unlink(missing_ok=True)
    for folder in (home.path, control.path):
        with suppress(OSError):  # something else lies in it
            folder.rmdir()


if __name__ == "__main__":
    main()

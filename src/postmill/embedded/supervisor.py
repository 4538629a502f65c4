"""The small process that starts one embedded Postgres and lives exactly as long as its last user.

Started as ``python -m postmill.embedded.supervisor DATA_DIR`` with its options as JSON on stdin; says in one line of
JSON on stdout how the start went, then has no terminal, no parent and no descriptors but its own. Must not import
anything beyond the standard library and ``model.errors``: it has to start quickly and stay small.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

from postmill.embedded import account as accounts
from postmill.embedded import address, binaries, configuration, initdb, preparation
from postmill.embedded.complaint import refused_by_system
from postmill.embedded.folder import ControlFolder, Home, State
from postmill.embedded.locks import FileLock
from postmill.embedded.process import PostgresProcess
from postmill.embedded.supervisor_options import KEEP, RELEASE, STOP, Options
from postmill.model.errors import EmbeddedError, PostmillError

_LOOK_FOR_USERS_S = 0.25
_PREDECESSOR_S = 90.0
_RESTARTS = 5
_RESTARTS_WITHIN_S = 60.0


class Supervisor:
    """One server from preparation to stop."""

    def __init__(self, control: ControlFolder, options: Options) -> None:
        self._control = control
        self._options = options
        self._alive = FileLock(control.supervisor)
        self._users = FileLock(control.users)
        self._commands = -1
        self._wakeup, self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._kept = False
        self._crashes: list[float] = []

    def start(self) -> State:
        """From whatever the folder holds to a server that takes connections. Raises ``PostmillError``, ``OSError``."""
        self._alive.exclusive(_PREDECESSOR_S)
        self._control.state.unlink(missing_ok=True)
        self._watch_signals()
        self._prepare()
        self._commands = _open_pipe(self._control.control)
        self._launch()
        self._state.write(self._control.state)
        return self._state

    def run(self) -> None:
        """Watch until the last user has gone or a stop is asked for; then stop the server."""
        while not self._is_over():
            ready, _, _ = select.select([self._commands, self._wakeup], [], [], _LOOK_FOR_USERS_S)
            if self._wakeup in ready and signal.SIGCHLD not in os.read(self._wakeup, 64):
                break
            if self._commands in ready and self._obey(os.read(self._commands, 64)):
                break

    def stop(self) -> None:
        """Stop the server and leave the folder as a later start wants it; a throw-away one goes altogether."""
        self._server.stop()
        self._control.state.unlink(missing_ok=True)
        self._control.control.unlink(missing_ok=True)
        shutil.rmtree(self._sockets, ignore_errors=True)
        if self._options.throwaway:
            _remove(self._control, self._home)
        self._lock.close()
        self._alive.close()

    def _prepare(self) -> None:
        options, control = self._options, self._control
        found = binaries.find(Path(options.binaries) if options.binaries else None)
        self._account = accounts.server_account(control.home().cluster)
        self._home = preparation.settle_home(
            control, self._account, Path(options.system_folder), throwaway=options.throwaway
        )
        self._lock = preparation.lock_home(self._home)
        self._binaries = found
        if not preparation.check_cluster(self._home, found):
            initdb.create(found, self._home, self._account, control.password, durable=not options.throwaway)
        preparation.clear_stale_pid(self._home)
        port = address.free_port() if options.tcp else address.PORT
        self._sockets = preparation.settle_sockets(self._home, self._account, port)
        self._settings = configuration.complete(
            options.settings, self._sockets, port, throwaway=options.throwaway, tcp=options.tcp
        )
        self._server = PostgresProcess(found, self._home.cluster, self._account, control.log)
        self._state = self._describe(port)

    def _launch(self) -> None:
        self._server.start(self._settings, self._lock.fileno)
        self._state = replace(
            self._state, server_pid=self._server.pid, started_at=time.time(), kept=self._kept
        )

    def _describe(self, port: int) -> State:
        password = self._control.password
        return State(
            supervisor_pid=os.getpid(),
            server_pid=0,
            version=self._binaries.version,
            source=self._binaries.source,
            url=address.socket_url(self._sockets, port),
            tcp_url=address.tcp_url(port, password.read_text().strip()) if self._options.tcp else None,
            socket_folder=str(self._sockets),
            cluster=str(self._home.cluster),
            started_at=0.0,
            kept=self._kept,
            throwaway=self._options.throwaway,
        )

    def _watch_signals(self) -> None:
        """Signals only wake the loop; a Ctrl-C in the terminal never gets here (own session)."""
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def _obey(self, commands: bytes) -> bool:
        """Whether to stop."""
        if KEEP in commands:
            self._kept = True
            self._state = replace(self._state, kept=True)
            self._state.write(self._control.state)
        return STOP in commands or (RELEASE in commands and not self._kept)

    def _is_over(self) -> bool:
        if not self._server.is_running():
            self._restart()
        if self._kept:
            return False
        return self._users.try_exclusive()

    def _restart(self) -> None:
        """The server was killed: bring it back at the same address, unless it dies again and again."""
        now = time.monotonic()
        self._crashes = [at for at in self._crashes if at > now - _RESTARTS_WITHIN_S] + [now]
        if len(self._crashes) > _RESTARTS:
            raise EmbeddedError("The embedded Postgres keeps dying, so it was given up.")
        preparation.clear_stale_pid(self._home)
        self._launch()
        self._state.write(self._control.state)


def main() -> None:
    """Entry point of the process."""
    control = ControlFolder(Path(sys.argv[1]))
    options = Options(**json.load(sys.stdin))
    _leave_parent()
    try:
        supervisor = Supervisor(control, options)
        state = supervisor.start()
    except PostmillError as error:
        _report({"error": [error.what, error.why, error.hint]})
        sys.exit(1)
    except OSError as error:
        refused = refused_by_system(f"The embedded Postgres can't use the folder {control.path}.", error)
        _report({"error": [refused.what, refused.why, refused.hint]})
        sys.exit(1)
    _report({"ready": asdict(state)})
    try:
        supervisor.run()
    finally:
        supervisor.stop()


def _leave_parent() -> None:
    """Become nobody's child, so that an opener that lives on is not left with a dead child to reap."""
    if os.fork() != 0:
        os._exit(0)


def _report(answer: dict[str, object]) -> None:
    """Tell the opener, then let go of its pipe."""
    print(json.dumps(answer), flush=True)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())


def _open_pipe(path: Path) -> int:
    """The pipe for commands. Opened for writing too, so that it never reads as ended."""
    path.unlink(missing_ok=True)
    os.mkfifo(path, 0o600)
    accounts.inherit_owner(path)
    return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)


def _remove(control: ControlFolder, home: Home) -> None:
    """Delete a throw-away server: what we made, never what somebody else put beside it."""
    for folder in (home.cluster, home.unfinished):
        shutil.rmtree(folder, ignore_errors=True)
    files = (home.lock, control.log, control.password, control.location, control.starting)
    for file in (*files, control.users, control.supervisor):
        file.unlink(missing_ok=True)
    for folder in (home.path, control.path):
        try:
            folder.rmdir()
        except OSError:
            continue  # something else lies in it


if __name__ == "__main__":
    main()

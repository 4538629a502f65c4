"""The small process that starts one embedded Postgres and lives exactly as long as its last user.

Started as ``python -m postmill.embedded.supervisor DATA_DIR`` with its options as JSON on stdin. Says in
one line of JSON on stdout how the start went; then it has no terminal, no parent and no descriptors but its
own. Must import nothing beyond the standard library and ``model.errors``: it has to start quickly and stay
small.
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

from postmill.embedded import account as accounts
from postmill.embedded import address, binaries, configuration, initdb, preparation, runtime
from postmill.embedded.complaint import refused_by_system
from postmill.embedded.folder import ControlFolder, Home, State, read_state
from postmill.embedded.locks import FileLock
from postmill.embedded.process import PostgresProcess
from postmill.embedded.supervisor_options import KEEP, RELEASE, STOP, Options
from postmill.model.errors import EmbeddedError, PostmillError

_LOOK_FOR_USERS_S = 0.25
_PREDECESSOR_S = 90.0
_RESTARTS = 5
_RESTARTS_WITHIN_S = 60.0


class Supervisor:
    """One server from preparation to stop. Whatever ends this process, the kernel lets go of its locks."""

    def __init__(self, control: ControlFolder, options: Options) -> None:
        self._control = control
        self._options = options
        self._alive = FileLock(control.supervisor)
        self._users = FileLock(control.users)
        self._home = control.home()
        self._sockets: Path | None = None
        self._server: PostgresProcess | None = None
        self._crashes: list[float] = []
        self._kept = False
        self._in_charge = False

    def start(self) -> State:
        """From whatever the folder holds to a server that takes connections.

        Raises ``PostmillError`` or ``OSError``; ``close`` cleans up after that too.
        """
        self._alive.exclusive(_PREDECESSOR_S)
        self._in_charge = True
        self._forget_predecessor()
        self._wakeup = _watch_signals()
        self._prepare()
        self._commands = _open_pipe(self._control.control)
        self._launch()
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
        """Stop the server and leave the folder as a later start wants it; a throw-away one goes too."""
        if not self._in_charge:
            return
        self._control.state.unlink(missing_ok=True)  # first: nobody may attach to a server that is going
        self._control.control.unlink(missing_ok=True)
        if self._server is not None:
            self._server.stop()
        if self._sockets is not None:
            address.forget(self._sockets)
        if self._control.throwaway.exists():
            _remove(self._control, self._home)

    def _forget_predecessor(self) -> None:
        """Whatever a supervisor that was killed left behind."""
        predecessor = read_state(self._control.state)
        if predecessor is not None:
            address.forget(Path(predecessor.socket_folder))
            self._control.state.unlink(missing_ok=True)

    def _prepare(self) -> None:
        options, control = self._options, self._control
        system = Path(tempfile.gettempdir() if options.throwaway else options.system_folder)
        self._account = accounts.server_account(self._home.cluster, control.path)
        self._home = preparation.settle_home(control, self._account, system)
        self._lock = preparation.lock_home(self._home)
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

    def _launch(self) -> None:
        preparation.clear_stale_pid(self._home)
        self._server = PostgresProcess(self._binaries, self._home.cluster, self._account, self._control.log)
        self._server.start(self._settings, self._lock.fileno)
        self._state = replace(self._state, server_pid=self._server.pid, started_at=time.time())
        self._state.write(self._control.state)

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
        )

    def _obey(self, commands: bytes) -> bool:
        """Whether to stop."""
        if KEEP in commands and not self._kept:
            self._kept = True
            self._state = replace(self._state, kept=True)
            self._state.write(self._control.state)
        return STOP in commands or (RELEASE in commands and not self._kept)

    def _is_over(self) -> bool:
        if self._server is None or not self._server.is_running():
            self._restart()
        return not self._kept and self._users.try_exclusive()

    def _restart(self) -> None:
        """The server was killed: bring it back at the same address, unless it dies again and again."""
        now = time.monotonic()
        self._crashes = [at for at in self._crashes if at > now - _RESTARTS_WITHIN_S] + [now]
        if len(self._crashes) > _RESTARTS:
            raise EmbeddedError(
                f"The embedded Postgres died {_RESTARTS} times in a minute, so it was given up."
            )
        self._launch()


def main() -> None:
    """Entry point of the process."""
    control, options = ControlFolder(Path(sys.argv[1])), Options(**json.load(sys.stdin))
    if os.fork() != 0:
        os._exit(0)  # nobody's child: an opener that lives on has no dead child to reap later
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
    """Tell the opener, and let go of its pipe; what comes later goes to the log."""
    print(json.dumps({"ready": asdict(state)}), flush=True)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())


def _report_failure(error: PostmillError) -> None:
    """Tell the opener, or the log if that has its answer. The pipe closes as we end: nothing is left then."""
    print(json.dumps({"error": [error.what, error.why, error.hint]}), flush=True)


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
    """The pipe for commands. Opened for writing too, so that it never reads as ended."""
    path.unlink(missing_ok=True)
    os.mkfifo(path, 0o600)
    accounts.inherit_owner(path)
    return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)


def _remove(control: ControlFolder, home: Home) -> None:
    """Delete a throw-away server: what we made, never what somebody else put beside it.

    The users file goes last: who waits for its lock must not find half of a folder.
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

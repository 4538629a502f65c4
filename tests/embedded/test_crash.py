"""After a crash: of the server, of the supervisor, in the middle of initdb, with pid files that lie."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from postmill import embedded
from postmill.embedded import account as accounts
from postmill.embedded import address, binaries, configuration
from postmill.embedded.folder import read_state
from postmill.embedded.locks import FileLock
from postmill.embedded.postgres_process import environment, is_ready
from postmill.model.errors import EmbeddedError
from tests.embedded.processes import alive, ask, kill, processes_of, supervisor_of, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.embedded.processes import Opener


def test_a_killed_server_comes_back_at_the_same_address_with_its_data(project: Path) -> None:
    with embedded.open_server(project) as server:
        ask(server.url, "CREATE TABLE committed AS SELECT 42 AS answer")
        killed = server.pid
        kill(killed)
        until(lambda: server.pid not in {0, killed}, "server restarted")
        assert ask(server.url, "SELECT answer FROM committed") == 42


def test_a_killed_server_comes_back_while_old_sessions_end(project: Path) -> None:
    """Backends outlive a killed postmaster for a moment, and Postgres refuses to start beside them."""
    with embedded.open_server(project) as server:
        killed = server.pid
        with psycopg.connect(server.url) as session:
            kill(killed)
            with pytest.raises(psycopg.OperationalError):
                session.execute("SELECT pg_sleep(60)")
        until(lambda: server.pid not in {0, killed}, "server restarted")
        assert ask(server.url) == 1


def test_a_killed_server_comes_back_after_a_session_that_is_busy(project: Path) -> None:
    """A busy session does not notice that its server was killed. The new one was refused once beside it, and
    the supervisor gave up: no database until another command opened it.
    """
    busy = "DO $$ BEGIN WHILE clock_timestamp() < now() + interval '2 s' LOOP NULL; END LOOP; END $$"
    with embedded.open_server(project) as server:
        killed = server.pid
        with closing(psycopg.connect(server.url, autocommit=True)) as session:
            pid = _begin(session, busy)
            kill(killed)
            until(lambda: _trouble(project), "the supervisor says what it waits for")
            assert alive(pid)
            assert "sessions still run" in _trouble(project)
        until(lambda: server.pid not in {0, killed}, "server restarted")
        assert _trouble(project) == ""
        assert ask(server.url) == 1


def test_a_session_that_never_ends_does_not_keep_the_server_down(project: Path) -> None:
    with embedded.open_server(project) as server:
        killed = server.pid
        with closing(psycopg.connect(server.url, autocommit=True)) as session:
            pid = _begin(session, "DO $$ BEGIN LOOP NULL; END LOOP; END $$")
            kill(killed)
            until(lambda: server.pid not in {0, killed}, "server restarted")
        assert not alive(pid)
        assert ask(server.url) == 1


def test_an_opener_beside_old_sessions_speaks_of_no_container(
    project: Path, opener: Callable[..., Opener]
) -> None:
    """Server and supervisor are killed, a session runs on and holds the lock that both had."""
    owner = opener(project)
    url = owner.url()
    with closing(psycopg.connect(url, autocommit=True)) as session:
        pid = _begin(session, "DO $$ BEGIN LOOP NULL; END LOOP; END $$")
        supervisor, server = supervisor_of(project), _recorded(project)
        os.kill(supervisor, signal.SIGSTOP)
        kill(server)
        os.kill(supervisor, signal.SIGKILL)
        assert alive(pid)
        with embedded.open_server(project) as again:
            assert ask(again.url) == 1
        assert not alive(pid)


def test_a_restart_that_is_refused_is_tried_again(project: Path) -> None:
    """Whatever the reason was: here a pid file that can't be read as long as it is a folder."""
    with embedded.open_server(project) as server:
        killed, pid_file = server.pid, project / "postgres" / "postmaster.pid"
        supervisor = supervisor_of(project)
        os.kill(supervisor, signal.SIGSTOP)
        kill(killed)
        pid_file.unlink()
        pid_file.mkdir()
        os.kill(supervisor, signal.SIGCONT)
        until(lambda: "does not start again" in _trouble(project), "refused once")
        pid_file.rmdir()
        until(lambda: server.pid not in {0, killed}, "server restarted")
        assert ask(server.url) == 1


def test_everything_killed_at_once_recovers(project: Path, opener: Callable[..., Opener]) -> None:
    owner = opener(project)
    ask(owner.url(), "CREATE TABLE committed AS SELECT 42 AS answer")
    supervisor = supervisor_of(project)
    server = next(pid for pid, words in processes_of(project).items() if "bin/postgres" in words)
    os.kill(supervisor, signal.SIGSTOP)  # or it would restart the server
    kill(server)
    os.kill(supervisor, signal.SIGKILL)
    owner.kill()
    with embedded.open_server(project) as again:
        assert ask(again.url, "SELECT answer FROM committed") == 42


def test_initdb_killed_half_way_is_begun_again(place: Path, opener: Callable[..., Opener]) -> None:
    folder = place / ".postmill"
    opener(folder)
    until((folder / "postgres.unfinished" / "cluster" / "PG_VERSION").exists, "initdb half done")
    os.kill(supervisor_of(place), signal.SIGKILL)
    for pid in processes_of(folder / "postgres.unfinished"):
        kill(pid)
    assert not (folder / "postgres").exists()
    with embedded.open_server(folder) as server:
        assert ask(server.url, "SELECT current_database()") == "postmill"
    assert not (folder / "postgres.unfinished").exists()


def test_a_stale_pid_file_whose_pid_is_somebody_elses_by_now(project: Path) -> None:
    """Postgres would refuse: a process of the same user has the recorded pid."""
    account = accounts.server_account(project / "postgres", project)
    stranger = subprocess.Popen(["sleep", "600"], **accounts.identity(account))
    try:
        (project / "postgres" / "postmaster.pid").write_text(
            f"{stranger.pid}\n{project / 'postgres'}\n1\n5432\n{project}\n\n1 1\nready\n"
        )
        with embedded.open_server(project) as server:
            assert server.pid != stranger.pid
            assert ask(server.url) == 1
        assert alive(stranger.pid)
    finally:
        stranger.kill()
        stranger.wait()


def test_a_server_that_was_started_by_hand_is_not_disturbed(project: Path) -> None:
    by_hand = _start_by_hand(project)
    try:
        with pytest.raises(EmbeddedError, match=f"pid {by_hand.pid}.* already runs"):
            embedded.open_server(project)
        assert by_hand.poll() is None
    finally:
        by_hand.terminate()
        by_hand.wait()


def test_a_folder_locked_from_a_place_we_cannot_see_is_refused(project: Path) -> None:
    """Two containers share a folder but not their process ids; Postgres's own check would see nothing."""
    elsewhere = FileLock(project / "lock")
    assert elsewhere.try_exclusive()
    with pytest.raises(EmbeddedError, match="in use"):
        embedded.open_server(project)
    elsewhere.close()
    with embedded.open_server(project) as server:
        assert ask(server.url) == 1


def _start_by_hand(project: Path) -> subprocess.Popen[bytes]:
    cluster = project / "postgres"
    account = accounts.server_account(cluster, project)
    sockets = project / "by-hand"
    sockets.mkdir(mode=0o700)
    accounts.give(sockets, account)
    settings = configuration.complete({}, sockets, address.PORT, throwaway=False, tcp=False)
    child = subprocess.Popen(
        [binaries.find().program("postgres"), "-D", str(cluster)]
        + [part for name, value in settings.items() for part in ("-c", f"{name}={value}")],
        stderr=subprocess.DEVNULL,
        env=environment(),
        **accounts.identity(account),
    )
    until(lambda: is_ready(cluster, child.pid), "server started by hand")
    return child


def _begin(session: psycopg.Connection[Any], statement: str) -> int:
    """Have the session run a statement, without waiting for it; returns the session's process id."""
    pid = session.info.backend_pid
    session.pgconn.send_query(statement.encode())
    until(lambda: _is_busy(pid), "the session is busy")
    return pid


def _is_busy(pid: int) -> bool:
    return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0 ").endswith(b" DO")


def _trouble(project: Path) -> str:
    state = read_state(project / "server.json")
    return state.trouble if state else ""


def _recorded(project: Path) -> int:
    state = read_state(project / "server.json")
    assert state is not None
    return state.server_pid

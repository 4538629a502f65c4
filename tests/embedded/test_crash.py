"""After a crash: of the server, of the supervisor, in the middle of initdb, with pid files that lie."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING

import psycopg
import pytest

from postmill import embedded
from postmill.embedded import account as accounts
from postmill.embedded import address, binaries, configuration
from postmill.embedded.locks import FileLock
from postmill.embedded.process import environment, is_ready
from postmill.model.errors import EmbeddedError
from tests.embedded.processes import alive, ask, kill, processes_of, supervisor_of, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

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
        os.kill(pid, signal.SIGKILL)
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

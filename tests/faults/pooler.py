"""PgBouncer in front of a test server, in transaction mode unless a test asks for another: Debian's, on a
free port of the loopback, with its own configuration in a temporary folder. Gone when the test process ends,
however that ends.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

from postmill.embedded import account as accounts

if TYPE_CHECKING:
    from collections.abc import Iterator

USER = "postmill"
_START_S = 10.0


def pgbouncer() -> str:
    """The program. Skips the test where it is missing, but fails on CI."""
    found = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is not None:
        return found
    reason = "PgBouncer is not installed: `make test-deps` brings it"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


class Pooler:
    """One PgBouncer. ``server_url`` is the address of a database on a test server's socket."""

    def __init__(
        self, server_url: str, *, pool: int = 5, clients: int = 100, mode: str = "transaction"
    ) -> None:
        program = pgbouncer()
        self.pool = pool
        self.folder = Path(tempfile.mkdtemp(prefix="postmill-pooler-"))
        self._server = urlsplit(server_url)
        self._account = accounts.server_account(self.folder / "none", self.folder)
        self.port = _free_port()
        self._configure(clients, mode)
        self._child = self._start(program)
        self._wait()

    @property
    def url(self) -> str:
        """The address of the pooled database; nothing in it shows that a pooler is there."""
        return f"postgresql://{self._server.username}@127.0.0.1:{self.port}{self._server.path}"

    @property
    def log(self) -> str:
        """All it has logged."""
        return (self.folder / "pgbouncer.log").read_text()

    def ask(self, command: str) -> list[dict[str, object]]:
        """The answer to a command of its console, such as ``show pools``."""
        with psycopg.connect(
            f"postgresql://{USER}@127.0.0.1:{self.port}/pgbouncer",
            autocommit=True,
            cursor_factory=psycopg.ClientCursor,
            row_factory=psycopg.rows.dict_row,
        ) as console:
            return console.execute(command.encode()).fetchall()

    def close(self) -> None:
        """Stop it and delete its files."""
        if self._child.stdin is not None:
            self._child.stdin.close()
        self._child.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _configure(self, clients: int, mode: str) -> None:
        query = parse_qs(self._server.query)
        host, port = query["host"][0], query.get("port", ["5432"])[0]
        (self.folder / "pgbouncer.ini").write_text(
            "[databases]\n"
            f"* = host={host} port={port} user={self._server.username}\n"
            "[pgbouncer]\n"
            f"listen_addr = 127.0.0.1\nlisten_port = {self.port}\nunix_socket_dir =\n"
            f"pool_mode = {mode}\ndefault_pool_size = {self.pool}\nmax_client_conn = {clients}\n"
            f"auth_type = any\nauth_file = {self.folder}/users\nadmin_users = {USER}\n"
            f"logfile = {self.folder}/pgbouncer.log\nserver_login_retry = 1\n"
            "log_connections = 0\nlog_disconnections = 0\n"
        )
        (self.folder / "users").write_text(f'"{USER}" ""\n')
        for path in (self.folder, *self.folder.iterdir()):
            accounts.give(path, self._account)

    def _start(self, program: str) -> subprocess.Popen[bytes]:
        """A shell holds it: when our end of the pipe closes, also by our death, it ends both."""
        script = '"$0" -q "$1" & child=$!; cat >/dev/null; kill -KILL $child 2>/dev/null; wait $child'
        return subprocess.Popen(
            ["/bin/sh", "-c", script, program, str(self.folder / "pgbouncer.ini")],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            **accounts.identity(self._account),
        )

    def _wait(self) -> None:
        """Until it takes connections: it says so nowhere else."""
        deadline = time.monotonic() + _START_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                assert time.monotonic() < deadline, self.log
                time.sleep(0.01)
            else:
                return


@contextmanager
def pooler(
    server_url: str, *, pool: int = 5, clients: int = 100, mode: str = "transaction"
) -> Iterator[Pooler]:
    """A PgBouncer for a while: ``pool`` server sessions at most, ``clients`` connections at most."""
    made = Pooler(server_url, pool=pool, clients=clients, mode=mode)
    try:
        yield made
    finally:
        made.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

"""Make a cluster, all or nothing: it gets its name when it is complete and on disk.

Must not start a server that takes connections.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from postmill.embedded.account import give, inherit_owner
from postmill.embedded.address import DATABASE, USER
from postmill.embedded.postgres_process import run

if TYPE_CHECKING:
    from pathlib import Path

    from postmill.embedded.account import Account
    from postmill.embedded.binaries import Binaries
    from postmill.embedded.folder import Home

_FAST = ("-c", "fsync=off", "-c", "log_checkpoints=off", "-c", "shared_buffers=16MB")


def create(binaries: Binaries, home: Home, account: Account | None, password: Path, *, durable: bool) -> None:
    """Make the cluster of ``home`` with its database, and write the superuser's password to ``password``.

    A killed earlier attempt left only ``home.unfinished``, which is removed first. With ``durable`` all of
    it is on the disk before it gets its name. Raises ``EmbeddedError`` or ``OSError``.
    """
    shutil.rmtree(home.unfinished, ignore_errors=True)
    home.unfinished.mkdir(mode=0o700)
    give(home.unfinished, account)
    cluster = home.unfinished / "cluster"
    secret = os.urandom(24).hex()
    password_for_initdb = home.unfinished / "password"
    _write_secret(password_for_initdb, secret)
    give(password_for_initdb, account)
    run(_initdb(binaries, cluster, password_for_initdb), account)
    run(_single(binaries, cluster), account, text=f"CREATE DATABASE {DATABASE};\n")
    _write_secret(password, secret)
    inherit_owner(password)
    if durable:
        run(_sync(binaries, cluster), account)
    cluster.rename(home.cluster)
    if durable:
        _sync_folder(home.path)
    shutil.rmtree(home.unfinished)


def _initdb(binaries: Binaries, cluster: Path, password: Path) -> list[str]:
    """No sync yet: one at the end covers the database too. The built-in C.UTF-8 is the same everywhere."""
    locale = ["--locale=C"]
    if binaries.major >= 17:
        locale += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    return [
        binaries.program("initdb"),
        f"--pgdata={cluster}",
        f"--username={USER}",
        f"--pwfile={password}",
        "--auth-local=trust",  # the socket's folder is private to the server's user
        "--auth-host=scram-sha-256",
        "--encoding=UTF8",
        "--no-sync",
        *locale,
    ]


def _single(binaries: Binaries, cluster: Path) -> list[str]:
    """A backend without a server: so a cluster that has its name always has its database."""
    return [
        binaries.program("postgres"),
        "--single",
        "-D",
        str(cluster),
        *_FAST,
        "-c",
        "exit_on_error=on",
        "template1",
    ]


def _sync(binaries: Binaries, cluster: Path) -> list[str]:
    return [binaries.program("initdb"), "--sync-only", f"--pgdata={cluster}"]


def _write_secret(path: Path, secret: str) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secret + "\n")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

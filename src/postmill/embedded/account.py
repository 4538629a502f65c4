"""The account that the server runs as. Postgres refuses to run as root, so root starts it as a user without
privileges.

Must not change the permissions of any folder it did not make.
"""

from __future__ import annotations

import os
import pwd
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

from postmill.model.errors import EmbeddedError

if TYPE_CHECKING:
    from pathlib import Path

CANDIDATES = ("postmill", "nobody")


@dataclass(frozen=True)
class Account:
    """A user of the system other than the one this process runs as."""

    uid: int
    gid: int


class Identity(TypedDict, total=False):
    """The options of ``subprocess.Popen`` that name the user of the child."""

    user: int
    group: int
    extra_groups: list[int]


def server_account(cluster: Path, control: Path) -> Account | None:
    """The account for the server of this cluster, in the folder ``control``; None: this process's own.

    For root it is the owner of the cluster, or of the folder when there is no cluster, so that a user's
    project stays usable without root. Raises ``EmbeddedError`` where root finds no such account, and where
    the cluster belongs to another user and this process is not root.
    """
    owner = cluster.stat() if cluster.exists() else None
    if os.geteuid() != 0:
        if owner is not None and owner.st_uid != os.geteuid():
            raise EmbeddedError(
                f"The database in {cluster} belongs to another user.",
                why=f"It is {name_of(owner.st_uid)}'s, and this process runs as {name_of(os.geteuid())}.",
                hint=f"Run as {name_of(owner.st_uid)} or as root, or choose another folder with --data.",
            )
        return None
    if owner is not None and owner.st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    return _owner_of(control) or _unprivileged()


def _owner_of(folder: Path) -> Account | None:
    """The folder's owner, if that is a user initdb accepts: not root, and with a passwd entry."""
    owner = folder.stat().st_uid
    try:
        entry = pwd.getpwuid(owner)
    except KeyError:
        return None
    return Account(entry.pw_uid, entry.pw_gid) if owner != 0 else None


def _unprivileged() -> Account:
    for name in CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise EmbeddedError(
        "The embedded Postgres can't be started as root here.",
        why=f"Postgres refuses to run as root, and the system has no user named {' or '.join(CANDIDATES)}.",
        hint="Add one (`useradd --system postmill`) or run as a normal user.",
    )


def identity(account: Account | None) -> Identity:
    """Options that make ``subprocess`` run a child as that account."""
    if account is None:
        return {}
    return {"user": account.uid, "group": account.gid, "extra_groups": []}


def name_of(uid: int) -> str:
    """The user's name, or its number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def can_use(account: Account | None, path: Path, mode: int = os.R_OK | os.X_OK) -> bool:
    """Whether the account may use this path, asked of the kernel as that account: parents, ACLs and all.

    Forks, so only for a process without threads.
    """
    if account is None:
        return os.access(path, mode)
    child = os.fork()
    if child == 0:
        answer = 1
        try:
            os.setgroups([])
            os.setgid(account.gid)
            os.setuid(account.uid)
            answer = 0 if os.access(path, mode) else 1
        finally:
            os._exit(answer)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def give(path: Path, account: Account | None) -> None:
    """Make the account the owner of a file or folder that was just made."""
    if account is not None:
        os.chown(path, account.uid, account.gid)


def inherit_owner(path: Path) -> None:
    """A file that root makes in a user's folder becomes that user's, so that the project stays usable without
    root.

    A link is left alone, also a hard one: the user may have made it to a file of root's.
    """
    if os.geteuid() != 0:
        return
    owner, found = path.parent.stat(), path.lstat()
    linked = stat.S_ISLNK(found.st_mode) or (stat.S_ISREG(found.st_mode) and found.st_nlink > 1)
    if owner.st_uid != found.st_uid and not linked:
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)

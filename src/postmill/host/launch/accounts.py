"""Which account of this machine an isolate runs as. Looks it up or refuses it; the isolate itself changes to
it.
"""

from __future__ import annotations

import os
import pwd
from typing import TYPE_CHECKING

from postmill.model.errors import InvalidOption, Refused
from postmill.wire.frames import Account

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def accounts_of(names: Iterable[str]) -> Mapping[str, Account]:
    """By name, without the empty name, which means the host's own account.

    Raises :class:`Refused` unless this process is root, and :class:`InvalidOption` for an account that there
    is not, or that is root itself.
    """
    return {name: _account_of(name) for name in set(names) if name}


def _account_of(name: str) -> Account:
    if os.geteuid() != 0:
        raise Refused(
            f"Functions can't run as {name}.",
            why="Only root may change to another account, and this process is not root.",
            hint="Start it as root, or take user out of postmill.toml.",
        )
    try:
        found = pwd.getpwnam(name)
    except (KeyError, ValueError) as error:
        raise InvalidOption(
            f"user={name!r}: there is no account of that name.",
            why="It is the name of an account of this machine.",
            hint="Make one, for instance: useradd --system --no-create-home functions.",
        ) from error
    if found.pw_uid == 0:
        raise InvalidOption(
            f"user={name!r} is root.", why="Functions are to have fewer rights than the host, not the same."
        )
    groups = os.getgrouplist(found.pw_name, found.pw_gid)
    return Account(found.pw_name, found.pw_uid, found.pw_gid, groups, found.pw_dir)
